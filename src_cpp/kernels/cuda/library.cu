// The library's one function, the choice of a GPU, and what its errors mean.

#include "gpu_pairs.h"
#include "runtime.h"

#include <array>
#include <cstdio>
#include <vector>

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

const char *use_gpu(int index)
{
  select_gpu(index);
  // the first call that needs the GPU itself
  const cudaError_t status = cudaFree(nullptr);
  if (status == cudaErrorDevicesUnavailable)
    throw GpuError(
        "GPU " + std::to_string(index) +
        " is in use by another process and set to serve one only (compute mode). Use "
        "another GPU, have the mode changed, or use as many processes as there are GPUs.");
  check_cuda(status, "it was made ready");
  static std::vector<std::string> names;
  if (static_cast<int>(names.size()) <= index) names.resize(index + 1);
  cudaDeviceProp properties = {};
  check_cuda(cudaGetDeviceProperties(&properties, index), "its name was asked for");
  names[index] = properties.name;
  return names[index].c_str();
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

void throw_out_of_memory(std::size_t bytes)
{
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
