// The functions of the library of styles: the plugin makes styles through them, and Python takes
// the recorded frames.

#include "fix_diffsim_counts.h"
#include "fix_diffsim_trajectory.h"
#include "pair_diffsim.h"

#include "lammps.h"
#include "modify.h"

using namespace LAMMPS_NS;

extern "C" void *diffsim_create_pair(void *lmp)
{
  return static_cast<Pair *>(new PairDiffSim(static_cast<LAMMPS *>(lmp)));
}

extern "C" void *diffsim_create_fix_counts(void *lmp, int narg, char **arg)
{
  return static_cast<Fix *>(new FixDiffSimCounts(static_cast<LAMMPS *>(lmp), narg, arg));
}

extern "C" void *diffsim_create_fix_trajectory(void *lmp, int narg, char **arg)
{
  return static_cast<Fix *>(new FixDiffSimTrajectory(static_cast<LAMMPS *>(lmp), narg, arg));
}

// The completed frames of fix `id`, owned by the caller; null if there is no such fix.
extern "C" diffsim::Frames *diffsim_take_frames(void *lmp, const char *id)
{
  auto *fix =
      dynamic_cast<FixDiffSimCounts *>(static_cast<LAMMPS *>(lmp)->modify->get_fix_by_id(id));
  return fix ? fix->take_frames().release() : nullptr;
}

// The trajectories of the completed runs of fix `id`, owned by the caller; null if there is no such
// fix.
extern "C" std::vector<diffsim::Trajectory> *diffsim_take_trajectories(void *lmp, const char *id)
{
  auto *fix =
      dynamic_cast<FixDiffSimTrajectory *>(static_cast<LAMMPS *>(lmp)->modify->get_fix_by_id(id));
  return fix ? new std::vector<diffsim::Trajectory>(fix->take_trajectories()) : nullptr;
}
