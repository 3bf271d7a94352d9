#include "../rdf_kernel.h"

#include <algorithm>
#include <cmath>

namespace diffsim {

// An atom in no molecule has a label of its own, a molecule's are positive.
static inline std::int64_t label(int i, const std::int64_t *molecule)
{
  return molecule && molecule[i] > 0 ? molecule[i] : -1 - static_cast<std::int64_t>(i);
}

void RdfHistogram::sort_into_cells(const Atoms &atoms, const std::int64_t *molecule)
{
  cells_.sort(atoms.nall, atoms.x, bins_ * width_);
  sorted_type_.resize(atoms.nall);
  sorted_label_.resize(atoms.nall);
  const int *const order = cells_.order().data();
  for (int at = 0; at < atoms.nall; at++) {
    sorted_type_[at] = atoms.type[order[at]];
    sorted_label_[at] = label(order[at], molecule);
  }
}

void RdfHistogram::add(const Atoms &atoms, const std::int64_t *molecule, double *histogram)
{
  if (atoms.nlocal == 0) return;
  sort_into_cells(atoms, molecule);

  const double range = bins_ * width_;
  const double range_sq = range * range;
  const double inv_width = 1.0 / width_;
  const double *const x = cells_.x().data(), *const y = cells_.y().data(),
                      *const z = cells_.z().data();
  std::vector<double> rsq_within(atoms.nall);
  std::vector<int> type_within(atoms.nall);
  for (int i = 0; i < atoms.nlocal; i++) {
    const double at[3] = {atoms.x[3 * i], atoms.x[3 * i + 1], atoms.x[3 * i + 2]};
    const std::int64_t own = label(i, molecule);

    // first the squared distances within the range, without branches; then their bins
    int within = 0;
    cells_.near(at, range, [&](int first, int last) {
      for (int j = first; j < last; j++) {
        const double dx = at[0] - x[j];
        const double dy = at[1] - y[j];
        const double dz = at[2] - z[j];
        const double rsq = dx * dx + dy * dy + dz * dz;
        rsq_within[within] = rsq;
        type_within[within] = sorted_type_[j];
        within += static_cast<int>(rsq < range_sq) & static_cast<int>(sorted_label_[j] != own);
      }
    });
    for (int k = 0; k < within; k++) {
      // rounding can put a distance just below the range into bin `bins_`
      const int bin = std::min(static_cast<int>(std::sqrt(rsq_within[k]) * inv_width), bins_ - 1);
      const int pair = unordered_pair(atoms.type[i] - 1, type_within[k] - 1, ntypes_);
      histogram[static_cast<long>(pair) * bins_ + bin] += 0.5;
    }
  }
}

}    // namespace diffsim
