#include "../pair_kernels.h"

#include "../spline.h"

namespace diffsim {

namespace {

// Visit every pair within its cutoff: body(i, j, special weight, table, rsq, dx, dy, dz).
template <class Body>
inline void for_each_pair(const Atoms &atoms, const NeighborPairs &pairs,
                          const PairTablesView &tables, Body &&body)
{
  const double *const x = atoms.x;
  const int *const type = atoms.type;
  for (int ii = 0; ii < pairs.inum; ii++) {
    const int i = pairs.ilist[ii];
    const double xi = x[3 * i], yi = x[3 * i + 1], zi = x[3 * i + 2];
    const int *const table_row = tables.table_of + type[i] * (tables.ntypes + 1);
    const int *const neighbors = pairs.firstneigh[i];
    const int n = pairs.numneigh[i];
    for (int jj = 0; jj < n; jj++) {
      const int entry = neighbors[jj];
      const int j = entry & pairs.index_mask;
      const int table = table_row[type[j]];
      if (table < 0) continue;
      const double dx = xi - x[3 * j];
      const double dy = yi - x[3 * j + 1];
      const double dz = zi - x[3 * j + 2];
      const double rsq = dx * dx + dy * dy + dz * dz;
      if (rsq >= tables.grid[table].s_cutoff) continue;
      body(i, j, pairs.special[(entry >> pairs.special_shift) & 3], table, rsq, dx, dy, dz);
    }
  }
}

// Add the energy and virial of a pair; the shares of its atoms are halves, or none for a ghost that
// another process accounts for.
inline void tally(ForceSums &sums, int i, int j, double share_j, double phi, double fpair,
                  double dx, double dy, double dz)
{
  const double share_i = 0.5;    // i is local in every list
  if (sums.tally_energy) sums.energy += (share_i + share_j) * phi;
  if (sums.energy_per_atom != nullptr) {
    sums.energy_per_atom[i] += share_i * phi;
    sums.energy_per_atom[j] += share_j * phi;
  }
  const double v[6] = {dx * dx * fpair, dy * dy * fpair, dz * dz * fpair,
                       dx * dy * fpair, dx * dz * fpair, dy * dz * fpair};
  if (sums.tally_virial)
    for (int k = 0; k < 6; k++) sums.virial[k] += (share_i + share_j) * v[k];
  if (sums.virial_per_atom != nullptr)
    for (int k = 0; k < 6; k++) {
      sums.virial_per_atom[6 * i + k] += share_i * v[k];
      sums.virial_per_atom[6 * j + k] += share_j * v[k];
    }
}

// TALLY: energies or virials are wanted; NEWTON: forces on ghosts are kept
template <bool TALLY, bool NEWTON>
std::int64_t forces(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                    ForceSums &sums)
{
  std::int64_t too_close = 0;
  double *const f = sums.f;
  const int nlocal = atoms.nlocal;

  for_each_pair(atoms, pairs, tables,
                [&](int i, int j, double special, int table, double rsq, double dx, double dy,
                    double dz) {
                  const SplineGrid &grid = tables.grid[table];
                  const SplinePosition at =
                      spline_position(rsq, grid.s_inner, grid.inv_h, tables.knots);
                  const bool ours =
                      NEWTON || j < nlocal;    // the whole pair, not only its half with i
                  if (at.t < 0.0) too_close += ours ? 2 : 1;
                  double dphi_dt;
                  const double phi =
                      special * spline_value(tables.polynomial(table, at.interval), at.t, dphi_dt);
                  // F_i = -dphi/ds * ds/dx_i with s = r^2, ds/dx_i = 2 dx
                  const double fpair = -2.0 * special * grid.inv_h * dphi_dt;
                  f[3 * i] += dx * fpair;
                  f[3 * i + 1] += dy * fpair;
                  f[3 * i + 2] += dz * fpair;
                  if (ours) {
                    f[3 * j] -= dx * fpair;
                    f[3 * j + 1] -= dy * fpair;
                    f[3 * j + 2] -= dz * fpair;
                  }
                  if (TALLY) tally(sums, i, j, ours ? 0.5 : 0.0, phi, fpair, dx, dy, dz);
                });
  return too_close;
}

}    // namespace

std::int64_t pair_forces(const Atoms &atoms, const NeighborPairs &pairs,
                         const PairTablesView &tables, ForceSums &sums)
{
  const bool tallied = sums.tally_energy || sums.tally_virial || sums.energy_per_atom != nullptr ||
                       sums.virial_per_atom != nullptr;
  if (pairs.newton_pair)
    return tallied ? forces<true, true>(atoms, pairs, tables, sums)
                   : forces<false, true>(atoms, pairs, tables, sums);
  return tallied ? forces<true, false>(atoms, pairs, tables, sums)
                 : forces<false, false>(atoms, pairs, tables, sums);
}

void pair_counts(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                 double *counts)
{
  for_each_pair(atoms, pairs, tables,
                [&](int i, int j, double special, int table, double rsq, double, double, double) {
                  const SplineGrid &grid = tables.grid[table];
                  const SplinePosition at =
                      spline_position(rsq, grid.s_inner, grid.inv_h, tables.knots);
                  // without newton_pair the owner of j counts the other half
                  const double share = (pairs.newton_pair || j < atoms.nlocal) ? 1.0 : 0.5;
                  double w[4];
                  spline_weights(at.t, w);
                  const int pair =
                      unordered_pair(atoms.type[i] - 1, atoms.type[j] - 1, tables.ntypes);
                  double *const n =
                      counts + static_cast<long>(pair) * basis_size(tables.knots) + at.interval;
                  for (int m = 0; m < 4; m++) n[m] += special * share * w[m];
                });
}

}    // namespace diffsim
