// Half a step of a chain of Nose-Hoover thermostats, in the order of fix nvt.
//
// With K = sum m v^2 (twice the kinetic energy), N degrees of freedom and chain velocities w_1 ..
// w_M,
//
//     G_1 = (K - N kT) / Q_1,      G_j = (Q_{j-1} w_{j-1}^2 - kT) / Q_j,
//
// w_M .. w_1 get a quarter step of G and of the damping by the next one, all velocities are
// multiplied by exp(-w_1 dt/2), and w_1 .. w_M get another quarter step with the new K.
//
// Source: G. J. Martyna, M. E. Tuckerman, D. J. Tobias, M. L. Klein, Mol. Phys. 87, 1117 (1996).

#ifndef DIFFSIM_KERNELS_NOSE_HOOVER_H
#define DIFFSIM_KERNELS_NOSE_HOOVER_H

#include <vector>

namespace diffsim {

struct NoseHooverChain {
  double dt;
  double kt;
  double degrees_of_freedom;
  std::vector<double> mass;    // [M]

  int length() const { return static_cast<int>(mass.size()); }

  // Takes w[M] half a step on, given K before; returns the factor of all velocities.
  double half_step(double kinetic, double *w) const;

  // The factor of the half step that ended with K and w[M].
  double factor_of_last(double kinetic, const double *w) const;

  // The derivatives of (factor, w_1 .. w_M) after with respect to (K, w_1 .. w_M) before:
  // jacobian[M+1][M+1], a row for each result.
  void half_step_jacobian(double kinetic, const double *w, double *jacobian) const;
};

}    // namespace diffsim

#endif
