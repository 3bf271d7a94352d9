#include "gpu.h"

#include "../library_folder.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace diffsim {

namespace {

// for tests of the code where there is no GPU
constexpr const char *LIBRARY_VARIABLE = "DIFFSIM_CUDA_LIBRARY";

const GpuFunctions &load()
{
  std::vector<std::string> paths;
  const char *const given = std::getenv(LIBRARY_VARIABLE);
  if (given && *given)
    paths = {given};
  else    // the Python module is beside the folder of the libraries
    paths = {library_folder() + "/" + GPU_LIBRARY, library_folder() + "/lib/" + GPU_LIBRARY};
  std::string reason;
  for (const std::string &path : paths) {
    void *const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      const char *const text = dlerror();
      if (reason.empty()) reason = text ? text : path;
      continue;
    }
    auto *const functions =
        reinterpret_cast<const GpuFunctions *(*)()>(dlsym(library, GPU_FUNCTIONS));
    if (functions) return *functions();
    throw GpuError("The library " + path + " has no function " + GPU_FUNCTIONS +
                   ". Install DiffSim again.");
  }
  throw GpuError("This DiffSim was built without CUDA (" + reason +
                 "). Put the folder of nvcc into PATH and install DiffSim again, or use 'device "
                 "cpu'; docs/cuda.md tells more.");
}

const GpuFunctions &functions_of_library()
{
  static const GpuFunctions &functions = load();
  return functions;
}

}    // namespace

Gpu::Gpu(int index, int local_rank) : functions_(functions_of_library()), index_(index)
{
  const int number = count();
  if (index_ < 0) index_ = local_rank % number;
  if (index_ >= number)
    throw GpuError("There is no GPU " + std::to_string(index_) + ": this machine has " +
                   std::to_string(number) +
                   ", numbered from 0. Name one of them, or leave the number out: processes then "
                   "take the GPUs in turn.");
  std::array<char, 256> text = {};
  functions_.use(index_, text.data(), static_cast<int>(text.size()));
  name_ = text.data();
}

int Gpu::count()
{
  return functions_of_library().count();
}

std::unique_ptr<GpuPairs> Gpu::pairs(Precision precision) const
{
  return std::unique_ptr<GpuPairs>(functions_.pairs(index_, precision));
}

std::unique_ptr<PairHessian> Gpu::hessian(const PairTablesView &tables) const
{
  return std::unique_ptr<PairHessian>(functions_.hessian(index_, tables));
}

}    // namespace diffsim
