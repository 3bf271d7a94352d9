// The potential as the kernels see it: one spline per species pair, and which pair of LAMMPS types
// uses which spline.  All splines have the same number of knots.

#ifndef DIFFSIM_KERNELS_PAIR_TABLES_H
#define DIFFSIM_KERNELS_PAIR_TABLES_H

#include "spline.h"

#include <vector>

namespace diffsim {

// index of the unordered pair (i, j) of n kinds: (0,0), (0,1), ..., (0,n-1), (1,1), ...
DIFFSIM_ANYWHERE inline int unordered_pair(int i, int j, int n)
{
  const int lo = i < j ? i : j;
  const int hi = i < j ? j : i;
  return lo * n - lo * (lo - 1) / 2 + hi - lo;
}

constexpr int unordered_pairs(int n)
{
  return n * (n + 1) / 2;
}

// What the kernels need of one pair of types.  Where the pair is not ours, s_cutoff is negative.
// The entry of type 0 of a row has the longest s_cutoff of the row; it is the pair of nothing.
struct PairTable {
  // the force kernel reads the four numbers as one row
  double s_inner;           // squared distance of the innermost knot
  double inv_h;             // inverse spacing of the knots in r^2
  double s_cutoff;          // pairs from here on do not interact
  double scale;             // factor of energy and force
  const SplineRow *rows;    // [knots]
};

// Energy of a pair at s = r^2 below the cutoff, and the force over the distance, -dU/dr / r.
inline double pair_energy(const PairTable &table, int knots, double s, double &fpair)
{
  const SplinePosition at = spline_position(s, table.s_inner, table.inv_h, knots);
  double dphi_dt;
  const double phi = spline_value(table.rows[at.row], at.t, dphi_dt);
  // F_i = -dphi/ds * ds/dx_i with ds/dx_i = 2 dx
  fpair = -2.0 * table.scale * table.inv_h * dphi_dt;
  return table.scale * phi;
}

// Non-owning view that every kernel takes.  Types are 1-based as in LAMMPS.
struct PairTablesView {
  int ntypes;
  int knots;
  const PairTable *pairs;    // [(ntypes+1)^2]

  const PairTable &pair(int itype, int jtype) const { return pairs[itype * (ntypes + 1) + jtype]; }
  // whether all pairs of types have the same table
  bool one_table() const
  {
    const PairTable &first = pair(1, 1);
    for (int i = 1; i <= ntypes; i++)
      for (int j = i; j <= ntypes; j++) {
        const PairTable &other = pair(i, j);
        if (other.rows != first.rows || other.s_cutoff != first.s_cutoff ||
            other.scale != first.scale)
          return false;
      }
    return true;
  }
};

// Owns the rows that its pairs point to; a plain copy would point to the old rows.
struct PairTables {
  PairTables() = default;
  PairTables(const PairTables &) = delete;
  PairTables(PairTables &&) = default;
  PairTables &operator=(const PairTables &) = delete;
  PairTables &operator=(PairTables &&) = default;
  ~PairTables() = default;

  int ntypes = 0;
  int knots = 0;
  std::vector<PairTable> pairs;    // [(ntypes+1)^2]
  std::vector<SplineRow> rows;     // [species pairs][knots]

  PairTables clone() const
  {
    PairTables copy;
    copy.ntypes = ntypes;
    copy.knots = knots;
    copy.pairs = pairs;
    copy.rows = rows;
    for (PairTable &pair : copy.pairs)
      if (pair.rows) pair.rows = copy.rows.data() + (pair.rows - rows.data());
    return copy;
  }

  PairTablesView view() const { return {ntypes, knots, pairs.data()}; }
};

}    // namespace diffsim

#endif
