// The interface of LAMMPS's plugin loader, declared here because the headers installed with LAMMPS
// do not include it.  Three function types and one plain struct; see "Writing plugins" in the
// LAMMPS programmer's guide.

#ifndef DIFFSIM_LAMMPS_PLUGIN_ABI_H
#define DIFFSIM_LAMMPS_PLUGIN_ABI_H

extern "C" {

using lammpsplugin_factory1 = void *(void *lammps);
using lammpsplugin_factory2 = void *(void *lammps, int narg, char **arg);

struct lammpsplugin_t {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;    // pair styles
    lammpsplugin_factory2 *v2;    // fixes, computes
  } creator;
  void *handle;
};

using lammpsplugin_regfunc = void (*)(lammpsplugin_t *, void *);
}

#endif
