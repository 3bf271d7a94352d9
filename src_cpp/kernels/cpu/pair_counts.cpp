#include "../pair_loop.h"

namespace diffsim {

void pair_counts(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                 double *counts, double *virial)
{
  for_each_pair(atoms, pairs, tables, [&](const ListedPair &pair) {
    const SplinePosition at =
        spline_position(pair.rsq, pair.table->s_inner, pair.table->inv_h, tables.knots);
    // without newton_pair the owner of j counts the other half
    const double share = (pairs.newton_pair || pair.j < atoms.nlocal) ? 1.0 : 0.5;
    double w[4], dw_dt[4];
    spline_weights(at, w);
    spline_slopes(at, dw_dt);
    const int types = unordered_pair(atoms.type[pair.i] - 1, atoms.type[pair.j] - 1, tables.ntypes);
    const long first = static_cast<long>(types) * basis_size(tables.knots) + at.first_basis();
    const double weight = pair.special * share;
    // dt/ds = 1/h
    const double virial_weight = weight * 2.0 * pair.rsq * pair.table->inv_h;
    for (int m = 0; m < 4; m++) {
      counts[first + m] += weight * w[m];
      virial[first + m] += virial_weight * dw_dt[m];
    }
  });
}

}    // namespace diffsim
