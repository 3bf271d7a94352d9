#define DIFFSIM_WIDTH 2
#include "force_kernel_impl.h"

void diffsim::force_kernel_portable(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  kernel(task, begin, end, thread);
}
