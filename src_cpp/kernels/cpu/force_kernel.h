// What the force kernels of all instruction sets have in common: their arguments.

#ifndef DIFFSIM_KERNELS_CPU_FORCE_KERNEL_H
#define DIFFSIM_KERNELS_CPU_FORCE_KERNEL_H

#include "../pair_kernels.h"

namespace diffsim {

// A vector as a row that is read with one instruction; the fourth number is zero.
struct alignas(32) PackedVector {
  double x, y, z, zero;
};

// The input, which all threads share.
struct ForceTask {
  // followed by an atom of each type that is beyond every cutoff
  const PackedVector *atoms;    // [nall + ntypes]
  const int *types;             // [nall + ntypes]
  int nlocal, nall;
  NeighborPairs pairs;
  PairTablesView tables;
  bool one_table;    // all pairs of types have the same table
  bool tally;        // energy and virial are wanted
};

// Working memory and results of one thread.
struct ForceThread {
  PackedVector *forces;    // [nall + ntypes], added to
  bool too_close;
  double energy;       // added to
  double virial[6];    // added to
};

// Sums over the pairs of ilist[begin..end).
using ForceKernel = void(const ForceTask &task, int begin, int end, ForceThread &thread);

ForceKernel force_kernel_portable;
ForceKernel force_kernel_avx2;
ForceKernel force_kernel_avx512;

}    // namespace diffsim

#endif
