// The few functions of the CUDA runtime that we call, on the processor, and a GPU whose threads run
// one after the other: so that what the kernels compute is tested where there is no GPU.  It knows
// nothing of what a GPU does at the same time.
//
// DIFFSIM_EMULATED_GPUS is their number (1), DIFFSIM_EMULATED_MEMORY the bytes that each has,
// DIFFSIM_EMULATED_PINNED the most bytes of the processor's at a time; DIFFSIM_EMULATED_BUSY and
// _OTHER make them GPUs that others use, and GPUs that nothing was compiled for.

#ifndef DIFFSIM_KERNELS_CUDA_EMULATED_RUNTIME_H
#define DIFFSIM_KERNELS_CUDA_EMULATED_RUNTIME_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA's own names
#define __global__
#define __device__
// NOLINTEND(bugprone-reserved-identifier)

enum cudaError_t : std::uint8_t {
  cudaSuccess,
  cudaErrorMemoryAllocation,
  cudaErrorNoDevice,
  cudaErrorInsufficientDriver,
  cudaErrorDevicesUnavailable,
  cudaErrorNoKernelImageForDevice
};
enum cudaMemcpyKind : std::uint8_t { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
struct cudaDeviceProp {
  char name[256];
  int major, minor;
};
struct cudaFuncAttributes {};
using cudaStream_t = void *;
using cudaEvent_t = void *;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDisableTiming = 2;

namespace emulated {

inline long variable(const char *name, long otherwise)
{
  const char *const text = std::getenv(name);
  return text ? std::strtol(text, nullptr, 10) : otherwise;
}

inline std::size_t memory()
{
  return static_cast<std::size_t>(variable("DIFFSIM_EMULATED_MEMORY", 1L << 34));
}

inline std::size_t in_use = 0;
inline int thread_index = 0;

// what was allocated is preceded by its size; that of the GPU begins as NaN
constexpr std::size_t HEAD = 64;
inline void *allocate(std::size_t bytes)
{
  auto *const block =
      static_cast<char *>(std::aligned_alloc(HEAD, HEAD + (bytes + HEAD - 1) / HEAD * HEAD));
  if (!block) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  std::memset(block + HEAD, 0xFF, bytes);
  return block + HEAD;
}
inline std::size_t release(void *pointer)
{
  if (!pointer) return 0;
  char *const block = static_cast<char *>(pointer) - HEAD;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  std::free(block);
  return bytes;
}

}    // namespace emulated

inline const char *cudaGetErrorString(cudaError_t)
{
  return "an error of the emulated GPU";
}
inline cudaError_t cudaGetLastError()
{
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int *count)
{
  *count = static_cast<int>(emulated::variable("DIFFSIM_EMULATED_GPUS", 1));
  if (*count < 0) return cudaErrorInsufficientDriver;
  return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
}
// as that of CUDA 12 and newer, it begins to use the device
inline cudaError_t cudaSetDevice(int)
{
  return emulated::variable("DIFFSIM_EMULATED_BUSY", 0) ? cudaErrorDevicesUnavailable : cudaSuccess;
}
inline cudaError_t cudaFree(void *pointer)
{
  emulated::in_use -= emulated::release(pointer);
  return cudaSuccess;
}
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *, const void *)
{
  return emulated::variable("DIFFSIM_EMULATED_OTHER", 0) ? cudaErrorNoKernelImageForDevice
                                                         : cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
  std::strcpy(properties->name, "emulated GPU");
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t *free, std::size_t *total)
{
  *total = emulated::memory();
  *free = *total - emulated::in_use;
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void **pointer, std::size_t bytes)
{
  if (emulated::in_use + bytes > emulated::memory()) return cudaErrorMemoryAllocation;
  emulated::in_use += bytes;
  *pointer = emulated::allocate(bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void **pointer, std::size_t bytes)
{
  if (bytes > static_cast<std::size_t>(emulated::variable("DIFFSIM_EMULATED_PINNED", 1L << 34)))
    return cudaErrorMemoryAllocation;
  *pointer = emulated::allocate(bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void *pointer)
{
  emulated::release(pointer);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t)
{
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void *to, int value, std::size_t bytes, cudaStream_t)
{
  std::memset(to, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
  *stream = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t)
{
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t)
{
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned)
{
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
  *event = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t)
{
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t)
{
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t)
{
  return cudaSuccess;
}

template <class Number>
Number atomicAdd(Number *to, Number value)
{
  const Number before = *to;
  *to += value;
  return before;
}

#endif
