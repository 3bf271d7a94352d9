#define DIFFSIM_WIDTH 2
#include "hessian_kernel_impl.h"

void diffsim::hessian_kernel_portable(const HessianTask &task, int begin, int end,
                                      HessianThread &thread)
{
  kernel(task, begin, end, thread);
}
