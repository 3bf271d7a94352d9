#include "torchscript.h"

#include <dlfcn.h>

namespace diffsim {

namespace {

// the folder of the library that holds this function
std::string own_directory()
{
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&own_directory), &info) || !info.dli_fname) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

OpenTorchScript *load_library()
{
  const std::string path = own_directory() + "/" + TORCHSCRIPT_LIBRARY;
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    throw PotentialError(std::string("The library that reads TorchScript models could not be "
                                     "loaded: ") +
                         (reason ? reason : "unknown reason") +
                         ". It was built for PyTorch " DIFFSIM_BUILT_FOR_TORCH
                         "; install that version, or install diffsim again with the PyTorch "
                         "that is here. 'diffsim doctor' shows what fits together.");
  }
  auto *open = reinterpret_cast<OpenTorchScript *>(dlsym(library, TORCHSCRIPT_OPEN));
  if (!open)
    throw PotentialError("The library " + path + " has no function " + TORCHSCRIPT_OPEN +
                         ". Install diffsim again.");
  return open;
}

}    // namespace

std::unique_ptr<PairFunction> open_torchscript(const std::string &archive, const std::string &path)
{
  static OpenTorchScript *const open = load_library();
  char message[2048] = "";
  std::unique_ptr<PairFunction> function(
      open(archive.data(), archive.size(), path.c_str(), message, sizeof message));
  if (!function) throw PotentialError(message);
  return function;
}

}    // namespace diffsim
