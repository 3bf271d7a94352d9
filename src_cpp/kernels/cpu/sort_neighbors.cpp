#include "../pair_kernels.h"

#include <algorithm>

namespace diffsim {

void sort_neighbors_by_type(const NeighborPairs &pairs, const Atoms &atoms,
                            const PairTablesView &tables)
{
  if (tables.one_table()) return;
  const int ntypes = tables.ntypes;
  std::vector<int> sorted, next(ntypes + 2);
  for (int ii = 0; ii < pairs.inum; ii++) {
    const int i = pairs.ilist[ii];
    int *const neighbors = pairs.firstneigh[i];
    const int n = pairs.numneigh[i];
    auto type = [&](int jj) { return atoms.type[neighbors[jj] & pairs.index_mask]; };
    std::fill(next.begin(), next.end(), 0);
    for (int jj = 0; jj < n; jj++) next[type(jj) + 1]++;
    for (int t = 1; t <= ntypes; t++) next[t + 1] += next[t];
    sorted.resize(n);
    for (int jj = 0; jj < n; jj++) sorted[next[type(jj)]++] = neighbors[jj];
    std::copy(sorted.begin(), sorted.end(), neighbors);
  }
}

}    // namespace diffsim
