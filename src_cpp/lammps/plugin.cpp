// What LAMMPS loads.  It registers the styles, and loads the library that holds them when the first
// of them is used: a LAMMPS that does not use them does not pay for them.
//
// LAMMPS's classes change between versions, even between the updates of a release, and with the
// options that LAMMPS is built with; a style built for another LAMMPS reads the wrong memory.  So
// here none of its classes is used, but functions that any LAMMPS has, to say in a sentence what
// does not fit.

#include "lammps_plugin_abi.h"

#include "exceptions.h"
#include "lammps.h"
#include "library.h"
#include "lmptype.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#ifdef MPI_STUBS
#error "A LAMMPS built without MPI is not supported."
#endif

namespace {

constexpr const char *STYLES = "libdiffsim_lammps.so";    // beside this library

// Kept as text in its own array, so that the version can be read off the file with `strings`.
constexpr char BUILT_FOR[] = "diffsim-built-for-lammps=" DIFFSIM_BUILT_FOR_LAMMPS;
constexpr int BUILT_FOR_UPDATE = DIFFSIM_BUILT_FOR_UPDATE;    // of a stable release, or -1

int built_for()
{
  const char *volatile text = BUILT_FOR;
  return std::stoi(std::strchr(text, '=') + 1);
}

// The update of a stable release of LAMMPS, from what git said of its sources ("stable_29Aug2024",
// "stable_29Aug2024_update3"); -1 for anything else, as of sources that were not in git.
int update_of(const std::string &description)
{
  if (description.rfind("stable_", 0) != 0 || description.find('-') != std::string::npos) return -1;
  const size_t update = description.find("_update");
  if (update == std::string::npos) return 0;
  return static_cast<int>(std::strtol(description.c_str() + update + 7, nullptr, 10));
}

std::string bits(size_t bytes)
{
  return std::to_string(8 * bytes);
}

// What is not as in the LAMMPS that the styles were built for, as sentences; empty if they fit.
std::string misfit(void *lmp)
{
  const std::string remedy =
      ". Install diffsim again beside this LAMMPS, or install the LAMMPS version that it was "
      "built for. 'diffsim doctor' shows what fits together.";
  const int version = lammps_version(lmp);
  if (version != built_for())
    return "The diffsim plugin was built for LAMMPS version " + std::to_string(built_for()) +
           ", but this is LAMMPS version " + std::to_string(version) + remedy;

  const int update = update_of(LAMMPS_NS::LAMMPS::git_descriptor());
  if (update >= 0 && BUILT_FOR_UPDATE >= 0 && update != BUILT_FOR_UPDATE)
    return "The diffsim plugin was built for update " + std::to_string(BUILT_FOR_UPDATE) +
           " of LAMMPS version " + std::to_string(version) + ", but this is update " +
           std::to_string(update) + remedy;

  using LAMMPS_NS::bigint, LAMMPS_NS::tagint;
  const size_t tag = lammps_extract_setting(lmp, "tagint");
  const size_t big = lammps_extract_setting(lmp, "bigint");
  if (tag != sizeof(tagint) || big != sizeof(bigint))
    return "The diffsim plugin was built for a LAMMPS whose atom IDs have " + bits(sizeof(tagint)) +
           " bits and whose counters have " + bits(sizeof(bigint)) + ", but here they have " +
           bits(tag) + " and " + bits(big) +
           ". Install diffsim again with DIFFSIM_LAMMPS_SIZES set to the LAMMPS_SIZES of this "
           "LAMMPS.";

  // handles are numbers of 4 bytes in MPICH, and pointers in Open MPI
  const size_t handle = lammps_config_has_mpi_support();
  if (handle == 0)
    return "The diffsim plugin needs MPI, but this LAMMPS was built without it. Build LAMMPS with "
           "MPI, and diffsim for that LAMMPS.";
  if (handle != sizeof(MPI_Comm))
    return "The diffsim plugin was built with another MPI library than this LAMMPS, whose handles "
           "have " +
           bits(handle) + " bits and not " + bits(sizeof(MPI_Comm)) +
           ". Install diffsim again with DIFFSIM_MPI_INCLUDE set to the folder of the mpi.h that "
           "LAMMPS was built with.";
  return "";
}

// MPI and LAMMPS's Error cannot be relied upon here: print and throw.
[[noreturn]] void refuse(void *lmp, const std::string &reason)
{
  const std::string message = "ERROR: " + reason;
  if (lammps_extract_setting(lmp, "world_rank") == 0) std::fprintf(stderr, "%s\n", message.c_str());
  throw LAMMPS_NS::LAMMPSException(message);
}

// A function of the library that holds the styles
template <class Function>
Function *style_function(void *lmp, const char *name)
{
  static void *library = nullptr;
  if (!library) {
    const std::string reason = misfit(lmp);
    if (!reason.empty()) refuse(lmp, reason);
    Dl_info here;
    std::string folder;
    if (dladdr(BUILT_FOR, &here) && here.dli_fname) folder = here.dli_fname;
    folder.resize(folder.rfind('/') + 1);    // nothing where there is none
    library = dlopen((folder + STYLES).c_str(), RTLD_NOW | RTLD_GLOBAL);
  }
  void *function = library ? dlsym(library, name) : nullptr;
  if (!function) {
    const char *reason = dlerror();
    refuse(lmp, std::string("The styles of diffsim could not be loaded (") +
                    (reason ? reason : "unknown reason") +
                    "). Install diffsim again beside this LAMMPS. 'diffsim doctor' shows what fits "
                    "together.");
  }
  return reinterpret_cast<Function *>(function);
}

void *create_pair(void *lmp)
{
  return style_function<lammpsplugin_factory1>(lmp, "diffsim_create_pair")(lmp);
}

void *create_fix_counts(void *lmp, int narg, char **arg)
{
  return style_function<lammpsplugin_factory2>(lmp, "diffsim_create_fix_counts")(lmp, narg, arg);
}

void *create_fix_trajectory(void *lmp, int narg, char **arg)
{
  return style_function<lammpsplugin_factory2>(lmp, "diffsim_create_fix_trajectory")(lmp, narg,
                                                                                     arg);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle,
                                                                         void *register_function)
{
  const auto register_plugin = reinterpret_cast<lammpsplugin_regfunc>(register_function);

  lammpsplugin_t plugin = {};
  plugin.version = nullptr;    // the versions are compared when a style is used
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

  plugin.name = "diffsim/trajectory";
  plugin.info = "diffsim/trajectory fix style";
  plugin.creator.v2 = &create_fix_trajectory;
  register_plugin(&plugin, lmp);
}

// The name of the pair style in use, "none" if there is none.
extern "C" __attribute__((visibility("default"))) const char *diffsim_pair_style(void *lmp)
{
  return static_cast<const char *>(lammps_extract_global(lmp, "pair_style"));
}
