// The pairs of a periodic box without LAMMPS: atoms, the images that their neighbours are, and a
// half neighbour list that follows the atoms.

#ifndef DIFFSIM_KERNELS_PERIODIC_PAIRS_H
#define DIFFSIM_KERNELS_PERIODIC_PAIRS_H

#include "cell_grid.h"
#include "pair_kernels.h"

#include <array>
#include <vector>

namespace diffsim {

// Edges a = (xx, 0, 0), b = (xy, yy, 0) and c = (xz, yz, zz), as LAMMPS has them.
struct Box {
  double xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0, xy = 0.0;
  std::array<bool, 3> periodic = {true, true, true};
};

// Each pair of an atom with an atom or one of its images is in the list once: of the images at +S
// and -S one is enough, and only those with a shift S that is lexicographically positive exist.
class PeriodicPairs {
 public:
  // `types` (1-based) of the n atoms; pairs closer than `cutoff` are in the list until an atom has
  // moved by half of `skin`.
  PeriodicPairs(const Box &box, int n, const int *types, double cutoff, double skin);

  // Takes over positions x[n][3], which need not be in the box.  Makes a new list where it must,
  // and says so.
  bool move_to(const double *x);

  // Atoms and list for the kernels, valid until the next move; images are ghosts with newton_pair.
  Atoms atoms() const;
  NeighborPairs pairs() const;

  // v[n][3] of the atoms -> all[nall][3], for the images as well
  void spread(const double *v, std::vector<double> &all) const;
  // adds what belongs to the images, all[nall][3], to that of their atoms, all[n][3]
  void gather(std::vector<double> &all) const;

 private:
  bool moved_far(const double *x) const;
  void rebuild(const double *x);
  void make_images();
  void add_images(const std::array<int, 3> &edges, const std::vector<std::array<double, 3>> &place,
                  const std::array<double, 3> &margin);
  void make_list();

  Box box_;
  int n_;
  double reach_, skin_;
  std::vector<double> listed_at_;        // [n][3] positions when the list was made
  std::vector<double> wrap_;             // [n][3] what takes them into the box
  std::vector<int> owner_;               // [images] the atom
  std::vector<double> shift_;            // [images][3]
  std::vector<double> x_;                // [nall][3]
  std::vector<int> type_;                // [nall]
  std::vector<int> ilist_, numneigh_;    // [n]
  std::vector<int> neighbors_;
  std::vector<int *> firstneigh_;
  CellGrid cells_;
};

}    // namespace diffsim

#endif
