// What the kernels of the Hessian of all instruction sets have in common: their arguments.

#ifndef DIFFSIM_KERNELS_CPU_HESSIAN_KERNEL_H
#define DIFFSIM_KERNELS_CPU_HESSIAN_KERNEL_H

#include "force_kernel.h"

namespace diffsim {

// The input, which all threads share.
struct HessianTask {
  // each followed by a row for each type: positions beyond every cutoff, and zero
  const PackedVector *atoms;     // [nall + ntypes]
  const PackedVector *lambda;    // [nall + ntypes]
  const int *types;              // [nall + ntypes]
  int nall;
  NeighborPairs pairs;
  PairTablesView tables;
  // One type of atoms.  Types of the same species share a table, but not their sums.
  bool one_table;
};

// Working memory and results of one thread.
struct HessianThread {
  PackedVector *gradient;    // [nall + ntypes], added to
  // Sums over the pairs in each row of the splines of the weight of dphi/dt there, times 1, t, t^2
  // and nothing: the slopes of the B-splines are polynomials in t.  Added to.
  PackedVector *moments;    // [pairs of types][knots]
};

// Sums over the pairs of ilist[begin..end).
using HessianKernel = void(const HessianTask &task, int begin, int end, HessianThread &thread);

HessianKernel hessian_kernel_portable;
HessianKernel hessian_kernel_avx2;
HessianKernel hessian_kernel_avx512;

}    // namespace diffsim

#endif
