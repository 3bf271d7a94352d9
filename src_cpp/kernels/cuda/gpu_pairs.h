// What the files of the library offer one another.

#ifndef DIFFSIM_KERNELS_CUDA_GPU_PAIRS_H
#define DIFFSIM_KERNELS_CUDA_GPU_PAIRS_H

#include "gpu.h"

namespace diffsim {

// Makes it the GPU of what this thread does next.
void select_gpu(int index);

// Whether the kernels were compiled for the GPU that was selected.
bool has_code_for_gpu();

GpuPairs *new_gpu_pairs(int device, Precision precision);
PairHessian *new_gpu_hessian(int device, const PairTablesView &tables);

}    // namespace diffsim

#endif
