// fix ID all diffsim/trajectory [every N]
//
// Records positions, velocities and thermostat of every Nth step of each run, for the adjoint of
// the trajectory, and how it was integrated.  Each process keeps its own atoms; they are brought
// together at the end of the run, on the first process.

#ifndef LMP_FIX_DIFFSIM_TRAJECTORY_H
#define LMP_FIX_DIFFSIM_TRAJECTORY_H

#include "../kernels/trajectory.h"

#include "fix.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixDiffSimTrajectory : public Fix {
 public:
  FixDiffSimTrajectory(class LAMMPS *, int, char **);

  int setmask() override;
  void init() override;
  void setup(int) override;
  void end_of_step() override;
  void post_run() override;
  double compute_scalar() override;
  double memory_usage() override;

  // Hands the trajectories of completed runs over.  Nothing is copied; only the first process has
  // them.
  std::vector<diffsim::Trajectory> take_trajectories();

 private:
  // what this process knows of one state
  struct State {
    int atoms;
    std::vector<double> rows;    // [atoms][7] ID, unwrapped position, velocity
  };

  void find_integrator();
  void check_forces() const;
  void record();
  double target_temperature() const;
  void find_friction();
  void find_chain();
  void gather(diffsim::Trajectory &);
  void check_replay(const diffsim::Trajectory &) const;

  int stride = 1;    // steps from state to state
  class PairDiffSim *pair = nullptr;
  class Fix *integrate = nullptr;    // nve or nvt
  class Fix *langevin = nullptr;     // or null
  double temperature_at_start = 0.0;
  bigint first_step = 0;                           // of this run
  std::unique_ptr<diffsim::Trajectory> current;    // of this run, without its states
  std::vector<State> states;                       // of this run
  std::vector<double> chain_velocity;              // of this run
  std::vector<diffsim::Trajectory> completed;
};

}    // namespace LAMMPS_NS

#endif
