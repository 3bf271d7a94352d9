#include "periodic_pairs.h"

#include <cmath>
#include <numeric>

namespace diffsim {

namespace {

constexpr double NO_SPECIAL[4] = {1.0, 1.0, 1.0, 1.0};

// Distances of opposite faces.
std::array<double, 3> widths(const Box &b)
{
  // rows of the inverse of the matrix of the edges
  const double inv_x[3] = {1.0 / b.xx, -b.xy / (b.xx * b.yy),
                           (b.xy * b.yz - b.yy * b.xz) / (b.xx * b.yy * b.zz)};
  const double inv_y[2] = {1.0 / b.yy, -b.yz / (b.yy * b.zz)};
  return {1.0 / std::sqrt(inv_x[0] * inv_x[0] + inv_x[1] * inv_x[1] + inv_x[2] * inv_x[2]),
          1.0 / std::hypot(inv_y[0], inv_y[1]), b.zz};
}

// Position in units of the edges.
std::array<double, 3> fractional(const Box &b, const double *x)
{
  const double fz = x[2] / b.zz;
  const double fy = (x[1] - b.yz * fz) / b.yy;
  return {(x[0] - b.xy * fy - b.xz * fz) / b.xx, fy, fz};
}

// Sum of whole numbers of edges.
std::array<double, 3> lattice_vector(const Box &b, double i, double j, double k)
{
  return {i * b.xx + j * b.xy + k * b.xz, j * b.yy + k * b.yz, k * b.zz};
}

}    // namespace

PeriodicPairs::PeriodicPairs(const Box &box, int n, const int *types, double cutoff, double skin) :
    box_(box), n_(n), reach_(cutoff + skin), skin_(skin), type_(types, types + n), ilist_(n),
    numneigh_(n), firstneigh_(n)
{
  std::iota(ilist_.begin(), ilist_.end(), 0);
}

bool PeriodicPairs::move_to(const double *x)
{
  const bool new_list = listed_at_.empty() || moved_far(x);
  if (new_list) rebuild(x);
  for (int i = 0; i < 3 * n_; i++) x_[i] = x[i] + wrap_[i];
  for (size_t k = 0; k < owner_.size(); k++)
    for (int d = 0; d < 3; d++) x_[3 * (n_ + k) + d] = x_[3 * owner_[k] + d] + shift_[3 * k + d];
  return new_list;
}

bool PeriodicPairs::moved_far(const double *x) const
{
  const double limit = 0.25 * skin_ * skin_;
  for (int i = 0; i < n_; i++) {
    const double dx = x[3 * i] - listed_at_[3 * i];
    const double dy = x[3 * i + 1] - listed_at_[3 * i + 1];
    const double dz = x[3 * i + 2] - listed_at_[3 * i + 2];
    if (!(dx * dx + dy * dy + dz * dz <= limit)) return true;
  }
  return false;
}

void PeriodicPairs::rebuild(const double *x)
{
  listed_at_.assign(x, x + 3 * static_cast<size_t>(n_));
  wrap_.resize(listed_at_.size());
  x_.resize(listed_at_.size());
  for (int i = 0; i < n_; i++) {
    std::array<double, 3> f = fractional(box_, x + 3 * i);
    for (int d = 0; d < 3; d++) f[d] = box_.periodic[d] ? -std::floor(f[d]) : 0.0;
    const std::array<double, 3> into = lattice_vector(box_, f[0], f[1], f[2]);
    for (int d = 0; d < 3; d++) {
      wrap_[3 * i + d] = into[d];
      x_[3 * i + d] = x[3 * i + d] + into[d];
    }
  }
  make_images();
  make_list();
}

void PeriodicPairs::make_images()
{
  owner_.clear();
  shift_.clear();
  type_.resize(n_);
  const std::array<double, 3> width = widths(box_);
  std::array<double, 3> margin;    // how far beyond the box images are needed, in edges
  int most[3];
  for (int d = 0; d < 3; d++) {
    margin[d] = reach_ / width[d];
    most[d] = box_.periodic[d] ? static_cast<int>(std::ceil(margin[d])) : 0;
  }
  std::vector<std::array<double, 3>> place(n_);
  for (int i = 0; i < n_; i++) place[i] = fractional(box_, x_.data() + 3 * i);

  // the lexicographically positive shifts
  for (int sx = 0; sx <= most[0]; sx++)
    for (int sy = sx > 0 ? -most[1] : 0; sy <= most[1]; sy++)
      for (int sz = sx > 0 || sy > 0 ? -most[2] : 1; sz <= most[2]; sz++)
        add_images({sx, sy, sz}, place, margin);
  x_.resize(3 * type_.size());
  for (size_t k = 0; k < owner_.size(); k++)
    for (int d = 0; d < 3; d++) x_[3 * (n_ + k) + d] = x_[3 * owner_[k] + d] + shift_[3 * k + d];
}

// The images, shifted by whole edges, of the atoms at `place` (in units of the edges) that can have
// neighbours in the box.
void PeriodicPairs::add_images(const std::array<int, 3> &edges,
                               const std::vector<std::array<double, 3>> &place,
                               const std::array<double, 3> &margin)
{
  const std::array<double, 3> by = lattice_vector(box_, edges[0], edges[1], edges[2]);
  for (int i = 0; i < n_; i++) {
    bool near = true;
    for (int d = 0; d < 3; d++) {
      const double at = place[i][d] + edges[d];
      near &= !box_.periodic[d] || (at > -margin[d] && at < 1.0 + margin[d]);
    }
    if (!near) continue;
    owner_.push_back(i);
    shift_.insert(shift_.end(), by.begin(), by.end());
    type_.push_back(type_[i]);
  }
}

void PeriodicPairs::make_list()
{
  cells_.sort(static_cast<int>(type_.size()), x_.data(), reach_);
  const int *const order = cells_.order().data();
  const double *const x = cells_.x().data(), *const y = cells_.y().data(),
                      *const z = cells_.z().data();
  const double reach_sq = reach_ * reach_;
  neighbors_.clear();
  std::vector<size_t> first(n_);
  for (int i = 0; i < n_; i++) {
    first[i] = neighbors_.size();
    const double at[3] = {x_[3 * i], x_[3 * i + 1], x_[3 * i + 2]};
    cells_.near(at, reach_, [&](int from, int to) {
      // written first and kept if it is one: a branch could not be predicted
      size_t end = neighbors_.size();
      neighbors_.resize(end + (to - from));
      for (int j = from; j < to; j++) {
        const double dx = at[0] - x[j], dy = at[1] - y[j], dz = at[2] - z[j];
        neighbors_[end] = order[j];
        end += static_cast<size_t>(static_cast<int>(dx * dx + dy * dy + dz * dz < reach_sq) &
                                   static_cast<int>(order[j] > i));
      }
      neighbors_.resize(end);
    });
    numneigh_[i] = static_cast<int>(neighbors_.size() - first[i]);
  }
  for (int i = 0; i < n_; i++) firstneigh_[i] = neighbors_.data() + first[i];
}

Atoms PeriodicPairs::atoms() const
{
  return {x_.data(), type_.data(), n_, static_cast<int>(type_.size())};
}

NeighborPairs PeriodicPairs::pairs() const
{
  return {n_,    ilist_.data(), numneigh_.data(), firstneigh_.data(), 0x3FFFFFFF, 30, NO_SPECIAL,
          false, true};
}

void PeriodicPairs::spread(const double *v, std::vector<double> &all) const
{
  all.resize(x_.size());
  std::copy_n(v, 3 * static_cast<size_t>(n_), all.begin());
  for (size_t k = 0; k < owner_.size(); k++)
    for (int d = 0; d < 3; d++) all[3 * (n_ + k) + d] = all[3 * owner_[k] + d];
}

void PeriodicPairs::gather(std::vector<double> &all) const
{
  for (size_t k = 0; k < owner_.size(); k++)
    for (int d = 0; d < 3; d++) all[3 * owner_[k] + d] += all[3 * (n_ + k) + d];
}

}    // namespace diffsim
