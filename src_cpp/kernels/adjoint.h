// The discrete adjoint of a simulated trajectory.

#ifndef DIFFSIM_KERNELS_ADJOINT_H
#define DIFFSIM_KERNELS_ADJOINT_H

#include "pair_hessian.h"
#include "trajectory.h"

#include <vector>

namespace diffsim {

// Derivatives of a function L of the states with respect to each state by itself,
// [last+1][natoms][3]; L does not depend on states after `last`, nor on those that are not kept.
struct StateDerivatives {
  const double *x;    // null if L does not depend on positions
  const double *v;    // null if L does not depend on velocities
  int last;
};

// The total derivatives of L: through all later states.
struct Adjoint {
  std::vector<double> coefficients;    // dL/dc, [pairs of types][knots+2]
  std::vector<double> x, v;            // dL/d(state 0), [natoms][3]
  std::vector<double> chain;           // the same of a Nose-Hoover chain, [chain]
  std::vector<double> norm;    // [steps+1] of dL/dv of each state: its growth is that of chaos
};

// Goes back through the trajectory step by step.  The map from a state to the next is
// differentiated as it was computed, not the equation of motion; random forces are constants.  One
// contraction of the Hessian a step, by `hessian`, which is that of the trajectory's potential and
// new; states that were not kept are computed again with the instructions.
//
// Velocity Verlet with half kicks k = dt/2m,
//
//     h = v_n + k f_n,   x_{n+1} = x_n + dt h,   v_{n+1} = h + k f_{n+1}
//
// with the forces
//
//     nve          f_n = F(x_n)
//     langevin     f_n = F(x_n) - g u + random, u = h of the step before (v_0 in state 0)
//     nose-hoover  the velocities of a step are scaled before and after by half a step of the chain
Adjoint adjoint(const Trajectory &trajectory, const StateDerivatives &derivatives,
                PairHessian &hessian, Instructions instructions);

// The sum over all pairs in state n of functions of their distance, given as splines on the knots
// of the potential, a row of coefficients for each pair of types, [pairs of types][knots+2]; and
// its derivative with respect to the positions, gradient[natoms][3].
double pair_sum(const Trajectory &trajectory, int n, const double *coefficients,
                Instructions instructions, int threads, double *gradient);

}    // namespace diffsim

#endif
