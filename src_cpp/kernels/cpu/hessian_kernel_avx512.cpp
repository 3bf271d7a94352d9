#define DIFFSIM_WIDTH 8
#include "hessian_kernel_impl.h"

void diffsim::hessian_kernel_avx512(const HessianTask &task, int begin, int end,
                                    HessianThread &thread)
{
  kernel(task, begin, end, thread);
}
