// The steps of a trajectory again: to know the states that were not kept, and to see that they are
// those of the integrator.

#ifndef DIFFSIM_KERNELS_REPLAY_H
#define DIFFSIM_KERNELS_REPLAY_H

#include "nose_hoover.h"
#include "pair_kernels.h"
#include "periodic_pairs.h"
#include "trajectory.h"

#include <vector>

namespace diffsim {

// sum m v^2 as an energy
double twice_kinetic(const Trajectory &trajectory, const double *v);

NoseHooverChain chain_of(const Trajectory &trajectory);
PeriodicPairs pairs_of(const Trajectory &trajectory);

// All states from a kept one to the next, both included.
struct Stretch {
  std::vector<double> x, v;     // [stride+1][natoms][3]
  std::vector<double> chain;    // [stride+1][chain]
};

// The integrators without random forces.
class Replay {
 public:
  Replay(const Trajectory &trajectory, Instructions instructions);

  // From kept state k on.
  const Stretch &stretch(int k);
  // The last one; empty before the first.
  const Stretch &present() const { return stretch_; }

 private:
  void scale();
  void kick();

  const Trajectory &t_;
  PeriodicPairs pairs_;
  PairForces kernel_;
  NoseHooverChain chain_;
  std::vector<double> x_, v_, w_, f_;    // the present state and its forces
  Stretch stretch_;
};

// How far state k+1 is from what the integrator makes of state k, as the largest difference of a
// velocity over the root mean square velocity.  With friction the random forces are not known:
// infinite where they are larger than fix langevin's can be.
double replay_error(const Trajectory &trajectory, int k, Instructions instructions);

}    // namespace diffsim

#endif
