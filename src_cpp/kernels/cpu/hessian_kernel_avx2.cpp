#define DIFFSIM_WIDTH 4
#include "hessian_kernel_impl.h"

void diffsim::hessian_kernel_avx2(const HessianTask &task, int begin, int end,
                                  HessianThread &thread)
{
  kernel(task, begin, end, thread);
}
