// The shared library that reads TorchScript archives.  It is the only part that needs libtorch, and
// is loaded (dlopen) when the first archive is read: a LAMMPS that never reads one does not pay for it.

#ifndef DIFFSIM_POTENTIAL_TORCHSCRIPT_H
#define DIFFSIM_POTENTIAL_TORCHSCRIPT_H

#include "pair_function.h"

#include <memory>

namespace diffsim {

// Name of the library, found beside the plugin, and of its one C function:
// PairFunction *diffsim_open_torchscript(const char *archive, size_t size, const char *path,
// char *message, int length).  On failure it returns null and leaves a sentence in message.
constexpr const char *TORCHSCRIPT_LIBRARY = "libdiffsim_torchscript.so";
constexpr const char *TORCHSCRIPT_OPEN = "diffsim_open_torchscript";
using OpenTorchScript = PairFunction *(const char *, std::size_t, const char *, char *, int);

// Loads the library if that has not been done, and the archive, given as the bytes of its file.  The
// path is for messages.  Throws PotentialError.
std::unique_ptr<PairFunction> open_torchscript(const std::string &archive, const std::string &path);

}    // namespace diffsim

#endif
