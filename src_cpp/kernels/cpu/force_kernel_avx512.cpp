#define DIFFSIM_WIDTH 8
#include "force_kernel_impl.h"

void diffsim::force_kernel_avx512(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  kernel(task, begin, end, thread);
}
