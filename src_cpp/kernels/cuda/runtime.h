// The CUDA runtime with owners for what it hands out, and errors as sentences.

#ifndef DIFFSIM_KERNELS_CUDA_RUNTIME_H
#define DIFFSIM_KERNELS_CUDA_RUNTIME_H

#include "gpu.h"

#ifdef DIFFSIM_EMULATE_CUDA
#include "emulated_runtime.h"
#else
#include <cuda_runtime.h>
#endif

#include <cstddef>
#include <string>
#include <utility>

namespace diffsim {

// Throws GpuError; `doing` completes "The GPU failed while ...".
void check_cuda(cudaError_t status, const char *doing);
[[noreturn]] void throw_out_of_memory(std::size_t bytes, bool pinned);

// Memory of the GPU, or memory of the processor that the GPU copies from and to by itself
// (pinned).  What was in it is lost when it grows.
template <class Item, bool PINNED>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  // Makes room for that many items.
  void reserve(std::size_t items)
  {
    if (items <= capacity_) return;
    release();
    const std::size_t wanted =
        items + items / 8;    // the numbers of atoms and neighbours fluctuate
    void *memory = nullptr;
    const std::size_t bytes = wanted * sizeof(Item);
    const cudaError_t status = PINNED ? cudaMallocHost(&memory, bytes) : cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();    // it is reported here, and by no later call
      throw_out_of_memory(bytes, PINNED);
    }
    check_cuda(status, "memory was allocated");
    items_ = static_cast<Item *>(memory);
    capacity_ = wanted;
  }

  Item *data() const { return items_; }
  Item &operator[](std::size_t k) const { return items_[k]; }

 private:
  void release()
  {
    if (items_) PINNED ? cudaFreeHost(items_) : cudaFree(items_);
    items_ = nullptr;
    capacity_ = 0;
  }

  Item *items_ = nullptr;
  std::size_t capacity_ = 0;
};

template <class Item>
using OnGpu = Buffer<Item, false>;
template <class Item>
using Pinned = Buffer<Item, true>;

// Things that the GPU does one after the other.
class Stream {
 public:
  Stream()
  {
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "it was set up");
  }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;

  // Items of pinned memory, to those from `first` on.
  template <class Item>
  void upload(const OnGpu<Item> &to, std::size_t first, const Item *from, std::size_t items)
  {
    if (items == 0) return;
    check_cuda(cudaMemcpyAsync(to.data() + first, from, items * sizeof(Item),
                               cudaMemcpyHostToDevice, stream_),
               "data went to it");
  }
  template <class Item>
  void download(const Pinned<Item> &to, const OnGpu<Item> &from, std::size_t first,
                std::size_t items)
  {
    if (items == 0) return;
    check_cuda(cudaMemcpyAsync(to.data() + first, from.data() + first, items * sizeof(Item),
                               cudaMemcpyDeviceToHost, stream_),
               "data came from it");
  }
  template <class Item>
  void clear(const OnGpu<Item> &what, std::size_t items)
  {
    if (items == 0) return;
    check_cuda(cudaMemsetAsync(what.data(), 0, items * sizeof(Item), stream_),
               "memory was cleared");
  }
  void wait(cudaEvent_t event)
  {
    check_cuda(cudaStreamWaitEvent(stream_, event, 0), "a stream waited");
  }
  void finish() { check_cuda(cudaStreamSynchronize(stream_), "it computed"); }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// A place in a stream that others wait for.
class Event {
 public:
  Event()
  {
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "it was set up");
  }
  ~Event()
  {
    if (event_) cudaEventDestroy(event_);
  }
  Event(Event &&other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;
  Event &operator=(Event &&) = delete;

  void record(const Stream &stream)
  {
    check_cuda(cudaEventRecord(event_, stream.get()), "an event was recorded");
  }
  void finish() { check_cuda(cudaEventSynchronize(event_), "it computed"); }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// ---- kernels: functions of a structure, called once for each number 0 .. threads - 1 ----

constexpr int BLOCK = 128;    // threads that share a multiprocessor

#ifdef DIFFSIM_EMULATE_CUDA
inline int thread_index()
{
  return emulated::thread_index;
}
template <class Arguments>
void launch(void (*kernel)(Arguments), int threads, const Stream &, const Arguments &arguments)
{
  // from the last to the first, as good an order as any, and with threads beyond the number
  if (threads == 0) return;
  emulated::thread_index = (threads + BLOCK - 1) / BLOCK * BLOCK - 1;
  for (; emulated::thread_index >= 0; emulated::thread_index--) kernel(arguments);
}
#else
__device__ inline int thread_index()
{
  return static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
}
// The last block has threads beyond the number: a kernel must look.
template <class Arguments>
void launch(void (*kernel)(Arguments), int threads, const Stream &stream,
            const Arguments &arguments)
{
  if (threads == 0) return;
  // what is passed is copied before the call returns
  void *passed[] = {const_cast<Arguments *>(&arguments)};
  check_cuda(cudaLaunchKernel(reinterpret_cast<const void *>(kernel),
                              dim3((threads + BLOCK - 1) / BLOCK), dim3(BLOCK), passed, 0,
                              stream.get()),
             "a kernel was started");
}
#endif

}    // namespace diffsim

#endif
