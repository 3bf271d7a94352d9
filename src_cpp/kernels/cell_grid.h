// Points sorted into cells, to find those near a place.

#ifndef DIFFSIM_KERNELS_CELL_GRID_H
#define DIFFSIM_KERNELS_CELL_GRID_H

#include <algorithm>
#include <cmath>
#include <vector>

namespace diffsim {

// The points are sorted by cell, x running fastest, so that a row of cells is one contiguous
// stretch. Coordinates that are not numbers, as of a simulation that blows up, are in some cell.
class CellGrid {
 public:
  // Cells are a third of the range wide, but never so many that most of them are empty: a gas of
  // few atoms in a large volume must not ask for memory that grows with the volume.
  void sort(int n, const double *points, double range);    // points[n][3]

  // of the points in the order of the cells
  const std::vector<int> &order() const { return order_; }
  const std::vector<double> &x() const { return x_; }
  const std::vector<double> &y() const { return y_; }
  const std::vector<double> &z() const { return z_; }

  // Calls body(first, last) for stretches [first, last) of the order that hold all points less than
  // `range` from a place, and others.
  template <class Body> void near(const double *at, double range, Body &&body) const;

 private:
  // The cell at a position measured in cells.
  static int cell_at(double position, int cells)
  {
    if (!(position > 0.0)) return 0;
    return position < cells ? static_cast<int>(position) : cells - 1;
  }

  // Distance of coordinate c to cell k of a row of cells that begins at lo, zero inside of it.
  static double gap(double c, double lo, double inv_cell, int k)
  {
    const double left = lo + k / inv_cell;
    const double right = left + 1.0 / inv_cell;
    return std::max({left - c, c - right, 0.0});
  }

  int cells_[3] = {0, 0, 0};
  double lo_[3] = {0.0, 0.0, 0.0};
  double inv_cell_[3] = {0.0, 0.0, 0.0};
  std::vector<int> first_;      // [cells+1] first point of each cell
  std::vector<int> cell_of_;    // [n]
  std::vector<int> order_;      // [n]
  std::vector<double> x_, y_, z_;
};

template <class Body> void CellGrid::near(const double *at, double range, Body &&body) const
{
  const double range_sq = range * range;
  // cells from at - reach to at + reach in direction d
  auto cells_within = [&](int d, double reach, int &from, int &to) {
    from = cell_at((at[d] - reach - lo_[d]) * inv_cell_[d], cells_[d]);
    to = cell_at((at[d] + reach - lo_[d]) * inv_cell_[d], cells_[d]);
  };
  int from[3], to[3];
  cells_within(1, range, from[1], to[1]);
  cells_within(2, range, from[2], to[2]);
  for (int cz = from[2]; cz <= to[2]; cz++) {
    const double gap_z = cells_[2] > 1 ? gap(at[2], lo_[2], inv_cell_[2], cz) : 0.0;
    for (int cy = from[1]; cy <= to[1]; cy++) {
      const double gap_y = cells_[1] > 1 ? gap(at[1], lo_[1], inv_cell_[1], cy) : 0.0;
      const double left_sq = range_sq - gap_y * gap_y - gap_z * gap_z;
      if (left_sq <= 0.0) continue;
      cells_within(0, std::sqrt(left_sq), from[0], to[0]);
      const int row = (cz * cells_[1] + cy) * cells_[0];
      body(first_[row + from[0]], first_[row + to[0] + 1]);
    }
  }
}

}    // namespace diffsim

#endif
