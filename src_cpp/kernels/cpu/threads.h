// How the threads of a kernel share the atoms.

#ifndef DIFFSIM_KERNELS_CPU_THREADS_H
#define DIFFSIM_KERNELS_CPU_THREADS_H

#include <cstdint>

namespace diffsim {

// Atoms that a thread takes at a time, in turn.  Neighbouring atoms have about the same number of
// neighbours, so that this balances systems that do not fill their box; the share of a thread does
// not depend on the course of time, so that sums are the same in every run.
constexpr int CHUNK = 64;

// beyond every cutoff, with a finite square
constexpr double FAR_AWAY = 1.0e30;

// The numbers [0, n) in `threads` parts.
struct Part {
  int begin, end;
};

inline Part part_of(int n, int thread, int threads)
{
  auto border = [&](int k) { return static_cast<int>(static_cast<std::int64_t>(n) * k / threads); };
  return {border(thread), border(thread + 1)};
}

}    // namespace diffsim

#endif
