// The library's one function, the choice of a GPU, and what its errors mean.

#include "gpu_pairs.h"
#include "runtime.h"

#include <array>
#include <cstdio>

namespace diffsim {

namespace {

std::string mebibytes(std::size_t bytes)
{
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text.data();
}

int count_gpus()
{
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver)
    throw GpuError(
        "No GPU can be used: the driver of NVIDIA is missing, or older than the CUDA that "
        "DiffSim was built with. Install a newer driver, or use 'device cpu'.");
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0))
    throw GpuError("There is no GPU: this machine has none, or CUDA_VISIBLE_DEVICES hides it. Run "
                   "where there is one, or use 'device cpu'.");
  check_cuda(status, "the GPUs were counted");
  return count;
}

void use_gpu(int index, char *name, int length)
{
  // either call may be the first that needs the GPU itself
  cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) status = cudaFree(nullptr);
  if (status == cudaErrorDevicesUnavailable)
    throw GpuError("GPU " + std::to_string(index) +
                   " is in use by another process and set to serve one only (compute mode). Use "
                   "another GPU, have the mode changed, or use as many processes as there are "
                   "GPUs.");
  if (status == cudaErrorMemoryAllocation)
    throw GpuError("The memory of GPU " + std::to_string(index) +
                   " is not enough to begin with: too many processes share it. Use more GPUs, or "
                   "fewer processes for each.");
  check_cuda(status, "it was made ready");
  cudaDeviceProp properties = {};
  check_cuda(cudaGetDeviceProperties(&properties, index), "its name was asked for");
  if (!has_code_for_gpu())
    throw GpuError("DiffSim was not compiled for GPU " + std::to_string(index) + ", " +
                   std::string(properties.name) + " (compute capability " +
                   std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                   "). Install DiffSim again with that in DIFFSIM_CUDA_ARCHITECTURES, as "
                   "docs/cuda.md says, or use 'device cpu'.");
  std::snprintf(name, length, "%s", static_cast<const char *>(properties.name));
}

const GpuFunctions FUNCTIONS = {count_gpus, use_gpu, new_gpu_pairs, new_gpu_hessian};

}    // namespace

void select_gpu(int index)
{
  check_cuda(cudaSetDevice(index), "it was chosen");
}

void check_cuda(cudaError_t status, const char *doing)
{
  if (status == cudaSuccess) return;
  throw GpuError("The GPU failed while " + std::string(doing) + ": " + cudaGetErrorString(status) +
                 ".");
}

void throw_out_of_memory(std::size_t bytes, bool pinned)
{
  if (pinned)
    throw GpuError("The processor's memory is not enough: " + mebibytes(bytes) +
                   " that stay in place, for copies to and from the GPU, cannot be had. Ask for "
                   "more memory, or raise the limit of locked memory (ulimit -l).");
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw GpuError("The memory of the GPU is not enough: " + mebibytes(bytes) +
                 " more are needed, but " + mebibytes(free) + " of " + mebibytes(total) +
                 " are free. Use more GPUs, fewer processes for each, a smaller neighbor skin, or "
                 "'device cpu'.");
}

}    // namespace diffsim

extern "C" __attribute__((visibility("default"))) const diffsim::GpuFunctions *
diffsim_gpu_functions()
{
  return &diffsim::FUNCTIONS;
}
