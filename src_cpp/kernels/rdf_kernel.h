// Histogram of all pair distances, for radial distribution functions.

#ifndef DIFFSIM_KERNELS_RDF_KERNEL_H
#define DIFFSIM_KERNELS_RDF_KERNEL_H

#include "cell_grid.h"
#include "pair_kernels.h"

#include <cstdint>
#include <vector>

namespace diffsim {

// Counts pairs (i, j), i local and j any other local or ghost atom, in bins [k w, (k+1) w), k =
// 0..bins-1, per pair of types, and adds one half to histogram[unordered_pairs(ntypes)][bins].
// Summed over all processes each pair of atoms is counted once; rounding of periodic images may put
// the halves of a pair at the edge of a bin on either side of it.  The ghosts must reach at least
// bins * w beyond the local atoms.  Bonded and excluded pairs are counted like all others: a
// distribution function knows positions only; but pairs within a molecule are left out if molecules
// are given.  O(N) by cells.
class RdfHistogram {
 public:
  RdfHistogram(int ntypes, int bins, double width) : ntypes_(ntypes), bins_(bins), width_(width) {}

  // `molecule` is null, or [nall] the molecules of the atoms; an atom with a number below one is in
  // no molecule.
  void add(const Atoms &atoms, const std::int64_t *molecule, double *histogram);

 private:
  void sort_into_cells(const Atoms &atoms, const std::int64_t *molecule);

  int ntypes_;
  int bins_;
  double width_;

  // atoms in the order of the cells
  CellGrid cells_;
  std::vector<int> sorted_type_;
  std::vector<std::int64_t> sorted_label_;    // atoms with the same label are not counted as a pair
};

}    // namespace diffsim

#endif
