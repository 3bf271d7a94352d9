// Registration of the styles, and the C function through which Python takes the recorded frames.

#include "fix_diffsim_counts.h"
#include "lammps_plugin_abi.h"
#include "pair_diffsim.h"

#include "exceptions.h"
#include "force.h"
#include "lammps.h"
#include "modify.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" int lammps_version(void *handle);

namespace {

// Kept as text in its own array, so that the version can be read off the file with `strings`.
constexpr char BUILT_FOR[] = "diffsim-built-for-lammps=" DIFFSIM_BUILT_FOR_LAMMPS;
int loaded_into = 0;

int built_for()
{
  const char *volatile text = BUILT_FOR;
  return std::stoi(std::strchr(text, '=') + 1);
}

// LAMMPS's classes change between versions, and a style built for another one would read the wrong
// memory.  Neither Pair's nor Error's layout can be relied upon here: print and throw.
[[noreturn]] void refuse()
{
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const std::string message =
      "ERROR: The diffsim plugin was built for LAMMPS version " + std::to_string(built_for()) +
      ", but this is LAMMPS version " + std::to_string(loaded_into) +
      ". Install diffsim again beside this LAMMPS, or install the LAMMPS version that it was "
      "built for. 'diffsim doctor' shows what fits together.";
  if (rank == 0) std::fprintf(stderr, "%s\n", message.c_str());
  throw LAMMPS_NS::LAMMPSException(message);
}

void *create_pair(void *lmp)
{
  if (built_for() != loaded_into) refuse();
  return static_cast<LAMMPS_NS::Pair *>(
      new LAMMPS_NS::PairDiffSim(static_cast<LAMMPS_NS::LAMMPS *>(lmp)));
}

void *create_fix_counts(void *lmp, int narg, char **arg)
{
  if (built_for() != loaded_into) refuse();
  return static_cast<LAMMPS_NS::Fix *>(
      new LAMMPS_NS::FixDiffSimCounts(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg));
}

}    // namespace

extern "C" void lammpsplugin_init(void *lmp, void *handle, void *register_function)
{
  loaded_into = lammps_version(lmp);
  const auto register_plugin = reinterpret_cast<lammpsplugin_regfunc>(register_function);

  lammpsplugin_t plugin = {};
  plugin.version = nullptr;    // the versions are compared below, when a style is used
  plugin.author = "the DiffSim developers";
  plugin.handle = handle;

  plugin.style = "pair";
  plugin.name = "diffsim";
  plugin.info = "diffsim pair style";
  plugin.creator.v1 = &create_pair;
  register_plugin(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "diffsim/counts";
  plugin.info = "diffsim/counts fix style";
  plugin.creator.v2 = &create_fix_counts;
  register_plugin(&plugin, lmp);
}

// The completed frames of fix `id`, owned by the caller; null if there is no such fix.
extern "C" diffsim::Frames *diffsim_take_frames(void *lmp, const char *id)
{
  auto *fix = dynamic_cast<LAMMPS_NS::FixDiffSimCounts *>(
      static_cast<LAMMPS_NS::LAMMPS *>(lmp)->modify->get_fix_by_id(id));
  return fix ? fix->take_frames().release() : nullptr;
}

// The name of the pair style in use, "none" if there is none.
extern "C" const char *diffsim_pair_style(void *lmp)
{
  return static_cast<LAMMPS_NS::LAMMPS *>(lmp)->force->pair_style;
}
