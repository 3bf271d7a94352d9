#include "rank_on_machine.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace diffsim {

int rank_on_machine(MPI_Comm processes)
{
  int me, size, length;
  MPI_Comm_rank(processes, &me);
  MPI_Comm_size(processes, &size);
  std::vector<char> names(static_cast<size_t>(size) * MPI_MAX_PROCESSOR_NAME);
  std::array<char, MPI_MAX_PROCESSOR_NAME> name = {};
  MPI_Get_processor_name(name.data(), &length);
  MPI_Allgather(name.data(), MPI_MAX_PROCESSOR_NAME, MPI_CHAR, names.data(), MPI_MAX_PROCESSOR_NAME,
                MPI_CHAR, processes);
  int rank = 0;
  for (int other = 0; other < me; other++)
    if (std::equal(name.begin(), name.end(),
                   names.begin() + static_cast<std::ptrdiff_t>(other) * MPI_MAX_PROCESSOR_NAME))
      rank++;
  return rank;
}

}    // namespace diffsim
