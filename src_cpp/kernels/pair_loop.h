// The plain loop over the pairs of a neighbour list, for everything but the force kernel.

#ifndef DIFFSIM_KERNELS_PAIR_LOOP_H
#define DIFFSIM_KERNELS_PAIR_LOOP_H

#include "pair_kernels.h"

namespace diffsim {

struct ListedPair {
  int i, j;
  const PairTable *table;
  double special;    // weight of bonded neighbours
  double rsq;
  double d[3];    // x_i - x_j
};

// Visit every pair within its cutoff, once in a full list as well: body(const ListedPair &).
template <class Body>
inline void for_each_pair(const Atoms &atoms, const NeighborPairs &pairs,
                          const PairTablesView &tables, Body &&body)
{
  const double *const x = atoms.x;
  for (int ii = 0; ii < pairs.inum; ii++) {
    const int i = pairs.ilist[ii];
    const int *const neighbors = pairs.firstneigh[i];
    const int n = pairs.numneigh[i];
    for (int jj = 0; jj < n; jj++) {
      const int entry = neighbors[jj];
      const int j = entry & pairs.index_mask;
      if (pairs.full && j < i) continue;    // the visit from j's side is enough; ghosts come last
      const PairTable *const table = &tables.pair(atoms.type[i], atoms.type[j]);
      const double dx = x[3 * i] - x[3 * j];
      const double dy = x[3 * i + 1] - x[3 * j + 1];
      const double dz = x[3 * i + 2] - x[3 * j + 2];
      const double rsq = dx * dx + dy * dy + dz * dz;
      if (rsq < table->s_cutoff)
        body(ListedPair{
            i, j, table, pairs.special[(entry >> pairs.special_shift) & 3], rsq, {dx, dy, dz}});
    }
  }
}

}    // namespace diffsim

#endif
