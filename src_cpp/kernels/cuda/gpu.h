// Sums over pairs on a GPU: the siblings of PairForces, pair_counts() and PairHessian, with the
// same plain arrays, which are those of the processor.
//
// The code is a library of its own, which is loaded when a GPU is asked for: a LAMMPS that never
// asks does not load the CUDA runtime, and a build without CUDA lacks that one file.

#ifndef DIFFSIM_KERNELS_CUDA_GPU_H
#define DIFFSIM_KERNELS_CUDA_GPU_H

#include "../pair_hessian.h"
#include "../pair_kernels.h"

#include <memory>
#include <stdexcept>
#include <string>

namespace diffsim {

// A GPU cannot be used, or stopped; the text is one or more sentences.
class GpuError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the forces are computed in.
enum class Precision : std::uint8_t {
  SINGLE,    // floats
  MIXED,     // pairs in floats, their sums in doubles
  DOUBLE
};

// Forces and counts of a full list: each atom has all of its neighbours, so that no thread adds to
// what another one adds to.  The lists are those of this process's atoms, and `newton_pair` is off.
class GpuPairs {
 public:
  virtual ~GpuPairs() = default;

  // To be called before the first sums, and when the potential has changed.
  virtual void set_tables(const PairTablesView &tables) = 0;
  // To be called when there is a new list; it goes to the GPU.
  virtual void set_list(const Atoms &atoms, const NeighborPairs &pairs) = 0;

  // As PairForces::add; f of local atoms only.  The same from call to call.  special[4] are the
  // weights of bonded neighbours, which may change while the list stays.
  virtual bool add_forces(const Atoms &atoms, const double *special, ForceSums &sums) = 0;
  // As pair_counts().  Always in doubles; threads add to the same numbers, so that rounding differs
  // from call to call.
  virtual void add_counts(const Atoms &atoms, const double *special, double *counts,
                          double *virial) = 0;
};

// What the library offers, as its one function returns it.
struct GpuFunctions {
  int (*count)();    // of GPUs; throws GpuError, with the reason, where there are none
  // Begins to use a GPU, and writes its name.
  void (*use)(int index, char *name, int length);
  GpuPairs *(*pairs)(int index, Precision precision);
  PairHessian *(*hessian)(int index, const PairTablesView &tables);
};
constexpr const char *GPU_LIBRARY = "libdiffsim_cuda.so";
constexpr const char *GPU_FUNCTIONS = "diffsim_gpu_functions";

// A GPU, of this process.
class Gpu {
 public:
  // The GPU of a number, or if that is negative the one for the process that has this number among
  // those of the machine: they take the GPUs in turn.  Throws GpuError.
  Gpu(int index, int local_rank);

  // Their number.  Throws GpuError, with the reason, where there are none.
  static int count();

  std::unique_ptr<GpuPairs> pairs(Precision precision) const;
  std::unique_ptr<PairHessian> hessian(const PairTablesView &tables) const;
  const std::string &name() const { return name_; }
  int index() const { return index_; }

 private:
  const GpuFunctions &functions_;
  int index_;
  std::string name_;
};

}    // namespace diffsim

#endif
