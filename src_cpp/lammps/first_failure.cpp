#include "first_failure.h"

#include "comm.h"
#include "error.h"
#include "lammps.h"

#include <algorithm>

namespace LAMMPS_NS {

void broadcast(std::string &text, int root, MPI_Comm world)
{
  auto length = static_cast<bigint>(text.size());
  MPI_Bcast(&length, 1, MPI_LMP_BIGINT, root, world);
  text.resize(length);
  // MPI counts are ints
  constexpr bigint PIECE = 1 << 30;
  for (bigint first = 0; first < length; first += PIECE)
    MPI_Bcast(text.data() + first, static_cast<int>(std::min(PIECE, length - first)), MPI_CHAR,
              root, world);
}

void stop_with_first(LAMMPS *lmp, std::string failure)
{
  const int mine = failure.empty() ? lmp->comm->nprocs : lmp->comm->me;
  int first = 0;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, lmp->world);
  if (first == lmp->comm->nprocs) return;
  broadcast(failure, first, lmp->world);
  lmp->error->all(FLERR, failure);
}

}    // namespace LAMMPS_NS
