#include "cell_grid.h"

#include <limits>

namespace diffsim {

void CellGrid::sort(int n, const double *points, double range)
{
  double hi[3];
  for (int d = 0; d < 3; d++) {
    lo_[d] = std::numeric_limits<double>::infinity();
    hi[d] = -lo_[d];
  }
  for (int i = 0; i < n; i++)
    for (int d = 0; d < 3; d++) {
      lo_[d] = std::min(lo_[d], points[3 * i + d]);
      hi[d] = std::max(hi[d], points[3 * i + d]);
    }
  const int most_per_side = 1 + static_cast<int>(std::cbrt(static_cast<double>(n)));
  const double cell = range / 3.0;
  for (int d = 0; d < 3; d++) {
    const double extent = std::max(hi[d] - lo_[d], 0.0);    // -inf where nothing is a number
    cells_[d] = std::clamp(static_cast<int>(std::min(extent / cell, 1.0e6)), 1, most_per_side);
    inv_cell_[d] = extent > 0.0 ? cells_[d] / extent : 0.0;
  }

  auto cell_index = [&](int i, int d) {
    return cell_at((points[3 * i + d] - lo_[d]) * inv_cell_[d], cells_[d]);
  };
  const int ncells = cells_[0] * cells_[1] * cells_[2];
  first_.assign(ncells + 1, 0);
  cell_of_.resize(n);
  for (int i = 0; i < n; i++) {
    cell_of_[i] = (cell_index(i, 2) * cells_[1] + cell_index(i, 1)) * cells_[0] + cell_index(i, 0);
    first_[cell_of_[i] + 1]++;
  }
  for (int c = 0; c < ncells; c++) first_[c + 1] += first_[c];

  order_.resize(n);
  x_.resize(n);
  y_.resize(n);
  z_.resize(n);
  std::vector<int> next(first_.begin(), first_.end() - 1);
  for (int i = 0; i < n; i++) {
    const int at = next[cell_of_[i]]++;
    order_[at] = i;
    x_[at] = points[3 * i];
    y_[at] = points[3 * i + 1];
    z_[at] = points[3 * i + 2];
  }
}

}    // namespace diffsim
