// The potential as the kernels see it: one spline per species pair, and which pair of LAMMPS types
// uses which spline.  All splines have the same number of knots.

#ifndef DIFFSIM_KERNELS_PAIR_TABLES_H
#define DIFFSIM_KERNELS_PAIR_TABLES_H

#include <vector>

namespace diffsim {

// index of the unordered pair (i, j) of n kinds: (0,0), (0,1), ..., (0,n-1), (1,1), ...
inline int unordered_pair(int i, int j, int n)
{
  const int lo = i < j ? i : j;
  const int hi = i < j ? j : i;
  return lo * n - lo * (lo - 1) / 2 + hi - lo;
}

constexpr int unordered_pairs(int n)
{
  return n * (n + 1) / 2;
}

struct SplineGrid {
  double s_inner;     // squared distance of the innermost knot
  double s_cutoff;    // squared cutoff, the outermost knot
  double inv_h;       // inverse spacing of the knots in r^2
};

// Non-owning view that every kernel takes.  Types are 1-based as in LAMMPS.
struct PairTablesView {
  int ntypes;
  int knots;
  const int *table_of;          // [(ntypes+1)^2], -1 where the pair of types is not ours
  const SplineGrid *grid;       // [tables]
  const double *polynomials;    // [tables][knots-1][4]

  int table(int itype, int jtype) const { return table_of[itype * (ntypes + 1) + jtype]; }
  const double *polynomial(int table, int interval) const
  {
    return polynomials + (static_cast<long>(table) * (knots - 1) + interval) * 4;
  }
};

struct PairTables {
  int ntypes = 0;
  int knots = 0;
  std::vector<int> table_of;
  std::vector<SplineGrid> grid;
  std::vector<double> polynomials;

  PairTablesView view() const
  {
    return {ntypes, knots, table_of.data(), grid.data(), polynomials.data()};
  }
};

}    // namespace diffsim

#endif
