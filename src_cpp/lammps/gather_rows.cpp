#include "gather_rows.h"

#include "lmptype.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace LAMMPS_NS {

std::vector<double> gather_rows(const std::vector<double> &rows, int width, MPI_Comm world)
{
  int me, processes;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &processes);
  // MPI counts are ints: counted in rows, which are at most as many as atoms
  MPI_Datatype row_type;
  MPI_Type_contiguous(width, MPI_DOUBLE, &row_type);
  MPI_Type_commit(&row_type);
  const int own = static_cast<int>(rows.size() / width);
  std::vector<int> counts(processes), offsets(processes, 0);
  MPI_Gather(&own, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, world);
  if (me == 0) std::partial_sum(counts.begin(), counts.end() - 1, offsets.begin() + 1);
  const int total = me == 0 ? offsets.back() + counts.back() : 0;
  std::vector<double> all(static_cast<size_t>(total) * width);
  MPI_Gatherv(rows.data(), own, row_type, all.data(), counts.data(), offsets.data(), row_type, 0,
              world);
  MPI_Type_free(&row_type);

  std::vector<int> order(total);
  std::iota(order.begin(), order.end(), 0);
  auto key = [&](int i) { return ubuf(all[static_cast<size_t>(i) * width]).i; };
  std::sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
  std::vector<double> sorted;
  sorted.reserve(all.size());
  for (const int i : order)
    sorted.insert(sorted.end(), all.begin() + static_cast<std::int64_t>(i) * width,
                  all.begin() + static_cast<std::int64_t>(i + 1) * width);
  return sorted;
}

}    // namespace LAMMPS_NS
