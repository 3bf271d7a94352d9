// The shared library that reads TorchScript archives.  It is the only part that needs libtorch, and
// is loaded (dlopen) when the first archive is read: a LAMMPS that never reads one does not pay for
// it.

#ifndef DIFFSIM_POTENTIAL_TORCHSCRIPT_H
#define DIFFSIM_POTENTIAL_TORCHSCRIPT_H

#include "pair_function.h"

#include <memory>

namespace diffsim {

// What the library returns: C only, because it has the std::string of PyTorch, and the plugin that
// of LAMMPS, and these may differ.
struct TorchScriptModel {
  void *object;
  const char *units;
  double cutoff;
  int nspecies;
  const char *const *species;
  // As PairFunction::evaluate; false on failure, with a sentence in message.
  bool (*evaluate)(const void *object, int n, const double *r, const std::int64_t *a,
                   const std::int64_t *b, double *u, double *du_dr, char *message, int length);
  void (*close)(void *object);    // what the pointers above point to goes with it
};

// Name of the library, found beside the plugin, and of its one function.  It opens an archive,
// given as the bytes of its file, to be evaluated somewhere; false on failure, with a sentence in
// message.
constexpr const char *TORCHSCRIPT_LIBRARY = "libdiffsim_torchscript.so";
constexpr const char *TORCHSCRIPT_OPEN = "diffsim_open_torchscript";
using OpenTorchScript = bool(const char *archive, std::size_t size, const char *path,
                             const Evaluation *where, TorchScriptModel *model, char *message,
                             int length);

// Loads the library if that has not been done, and the archive, given as the bytes of its file.
// The path is for messages.  Throws PotentialError.
std::unique_ptr<PairFunction> open_torchscript(const std::string &archive, const std::string &path,
                                               const Evaluation &where = {});

}    // namespace diffsim

#endif
