#include "../rdf_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace diffsim {

// The cell at a position measured in cells. A simulation that blows up has coordinates that are not
// numbers: they count nowhere, but must not index outside of the arrays.
static inline int cell_at(double position, int cells)
{
  if (!(position > 0.0)) return 0;
  return position < cells ? static_cast<int>(position) : cells - 1;
}

// An atom in no molecule has a label of its own, a molecule's are positive.
static inline std::int64_t label(int i, const std::int64_t *molecule)
{
  return molecule && molecule[i] > 0 ? molecule[i] : -1 - static_cast<std::int64_t>(i);
}

// Cells are a third of the range wide, but never so many that most of them are empty: a gas of few atoms in
// a large volume must not ask for memory that grows with the volume.
void RdfHistogram::sort_into_cells(const Atoms &atoms, const std::int64_t *molecule)
{
  const int nall = atoms.nall;
  const double *const x = atoms.x;
  double hi[3];
  for (int d = 0; d < 3; d++) {
    lo_[d] = std::numeric_limits<double>::infinity();
    hi[d] = -lo_[d];
  }
  for (int i = 0; i < nall; i++)
    for (int d = 0; d < 3; d++) {
      lo_[d] = std::min(lo_[d], x[3 * i + d]);
      hi[d] = std::max(hi[d], x[3 * i + d]);
    }
  const int most_per_side = 1 + static_cast<int>(std::cbrt(static_cast<double>(nall)));
  const double cell = bins_ * width_ / 3.0;
  for (int d = 0; d < 3; d++) {
    const double extent = std::max(hi[d] - lo_[d], 0.0);    // -inf where nothing is a number
    cells_[d] = std::clamp(static_cast<int>(std::min(extent / cell, 1.0e6)), 1, most_per_side);
    inv_cell_[d] = extent > 0.0 ? cells_[d] / extent : 0.0;
  }

  auto cell_index = [&](int i, int d) {
    return cell_at((x[3 * i + d] - lo_[d]) * inv_cell_[d], cells_[d]);
  };
  const int ncells = cells_[0] * cells_[1] * cells_[2];
  first_.assign(ncells + 1, 0);
  cell_of_.resize(nall);
  for (int i = 0; i < nall; i++) {
    cell_of_[i] = (cell_index(i, 2) * cells_[1] + cell_index(i, 1)) * cells_[0] + cell_index(i, 0);
    first_[cell_of_[i] + 1]++;
  }
  for (int c = 0; c < ncells; c++) first_[c + 1] += first_[c];

  sorted_x_.resize(nall);
  sorted_y_.resize(nall);
  sorted_z_.resize(nall);
  sorted_type_.resize(nall);
  sorted_label_.resize(nall);
  std::vector<int> next(first_.begin(), first_.end() - 1);
  for (int i = 0; i < nall; i++) {
    const int at = next[cell_of_[i]]++;
    sorted_x_[at] = x[3 * i];
    sorted_y_[at] = x[3 * i + 1];
    sorted_z_[at] = x[3 * i + 2];
    sorted_type_[at] = atoms.type[i];
    sorted_label_[at] = label(i, molecule);
  }
}

// Distance of coordinate c to cell k of a row of cells that begins at lo, zero inside of it.
static inline double gap(double c, double lo, double inv_cell, int k)
{
  const double left = lo + k / inv_cell;
  const double right = left + 1.0 / inv_cell;
  return std::max({left - c, c - right, 0.0});
}

void RdfHistogram::add(const Atoms &atoms, const std::int64_t *molecule, double *histogram)
{
  if (atoms.nlocal == 0) return;
  sort_into_cells(atoms, molecule);

  const double range = bins_ * width_;
  const double range_sq = range * range;
  const double inv_width = 1.0 / width_;
  std::vector<double> rsq_within(atoms.nall);
  std::vector<int> type_within(atoms.nall);
  for (int i = 0; i < atoms.nlocal; i++) {
    const double at[3] = {atoms.x[3 * i], atoms.x[3 * i + 1], atoms.x[3 * i + 2]};
    const std::int64_t own = label(i, molecule);
    // cells from at - reach to at + reach in direction d
    auto cells_within = [&](int d, double reach, int &from, int &to) {
      from = cell_at((at[d] - reach - lo_[d]) * inv_cell_[d], cells_[d]);
      to = cell_at((at[d] + reach - lo_[d]) * inv_cell_[d], cells_[d]);
    };
    int from[3], to[3];
    cells_within(1, range, from[1], to[1]);
    cells_within(2, range, from[2], to[2]);

    // first the squared distances within the range, without branches; then their bins
    int within = 0;
    for (int cz = from[2]; cz <= to[2]; cz++) {
      const double gap_z = cells_[2] > 1 ? gap(at[2], lo_[2], inv_cell_[2], cz) : 0.0;
      for (int cy = from[1]; cy <= to[1]; cy++) {
        const double gap_y = cells_[1] > 1 ? gap(at[1], lo_[1], inv_cell_[1], cy) : 0.0;
        const double left_sq = range_sq - gap_y * gap_y - gap_z * gap_z;
        if (left_sq <= 0.0) continue;
        cells_within(0, std::sqrt(left_sq), from[0], to[0]);
        const int row = (cz * cells_[1] + cy) * cells_[0];
        const int last = first_[row + to[0] + 1];
        for (int j = first_[row + from[0]]; j < last; j++) {
          const double dx = at[0] - sorted_x_[j];
          const double dy = at[1] - sorted_y_[j];
          const double dz = at[2] - sorted_z_[j];
          const double rsq = dx * dx + dy * dy + dz * dz;
          rsq_within[within] = rsq;
          type_within[within] = sorted_type_[j];
          within += static_cast<int>(rsq < range_sq) & static_cast<int>(sorted_label_[j] != own);
        }
      }
    }
    for (int k = 0; k < within; k++) {
      // rounding can put a distance just below the range into bin `bins_`
      const int bin = std::min(static_cast<int>(std::sqrt(rsq_within[k]) * inv_width), bins_ - 1);
      const int pair = unordered_pair(atoms.type[i] - 1, type_within[k] - 1, ntypes_);
      histogram[static_cast<long>(pair) * bins_ + bin] += 0.5;
    }
  }
}

}    // namespace diffsim
