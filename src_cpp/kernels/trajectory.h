// A stretch of a simulation, every step of it, and how it was integrated: what an adjoint needs.

#ifndef DIFFSIM_KERNELS_TRAJECTORY_H
#define DIFFSIM_KERNELS_TRAJECTORY_H

#include "pair_tables.h"
#include "periodic_pairs.h"

#include <cstdint>
#include <vector>

namespace diffsim {

enum class Integrator : std::uint8_t { NVE, LANGEVIN, NOSE_HOOVER };

// State 0 is what the first step begins with, state k the one at the end of step k stride.  With a
// stride above one the states in between are computed again where they are needed.
struct Trajectory {
  Integrator integrator = Integrator::NVE;
  int natoms = 0;
  int steps = 0;                         // a multiple of stride
  int stride = 1;                        // from state to state
  double dt = 0.0;                       // of a step
  double force_to_acceleration = 1.0;    // of a mass of one (LAMMPS's ftm2v)
  double mvv_to_energy = 1.0;            // LAMMPS's mvv2e
  double skin = 0.0;                     // of the neighbour list
  double cutoff = 0.0;                   // the longest of the tables
  Box box;
  PairTables tables;                // the potential that was simulated
  std::vector<std::int64_t> tag;    // [natoms] in ascending order, as all that follows
  std::vector<int> type;            // [natoms] 1-based
  std::vector<double> mass;         // [natoms]
  std::vector<double> x, v;         // [states][natoms][3], positions not wrapped into the box

  // Langevin: the friction force is -drag * velocity
  std::vector<double> drag;    // [natoms]

  // Nose-Hoover chain
  int chain = 0;      // its length
  double kt = 0.0;    // target temperature as an energy
  double degrees_of_freedom = 0.0;
  std::vector<double> chain_mass;        // [chain], energy times time squared
  std::vector<double> chain_velocity;    // [states][chain]

  int states() const { return steps / stride + 1; }
  const double *x_at(int state) const { return x.data() + offset(state); }
  const double *v_at(int state) const { return v.data() + offset(state); }
  const double *chain_at(int state) const
  {
    return chain_velocity.data() + static_cast<size_t>(state) * chain;
  }
  size_t offset(int state) const { return static_cast<size_t>(state) * 3 * natoms; }
  // the change of velocity by a force of one in half a step
  double half_kick(int i) const { return 0.5 * dt * force_to_acceleration / mass[i]; }
};

}    // namespace diffsim

#endif
