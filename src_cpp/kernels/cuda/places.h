// Positions on their way to the GPU, in numbers that a kernel computes with.
//
// With floats they are integers on a fine grid over the atoms: differences of integers are exact,
// where floats in a box of 100 diameters would know distances to 1e-5 only.

#ifndef DIFFSIM_KERNELS_CUDA_PLACES_H
#define DIFFSIM_KERNELS_CUDA_PLACES_H

#include "runtime.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace diffsim {

constexpr int PART = 1 << 16;    // atoms that are on their way at a time

// An atom: read as one or two vectors of 16 bytes.
template <class Real> struct Place;
template <> struct alignas(32) Place<double> {
  double x, y, z;
  int type;
};
template <> struct alignas(16) Place<float> {
  int x, y, z;    // in units of the grid
  int type;
};

// The difference of two coordinates.
__device__ inline double difference(double a, double b, double /*unit*/)
{
  return a - b;
}
__device__ inline float difference(int a, int b, float unit)
{
  return static_cast<float>(a - b) * unit;
}

// A grid of 2^30 points over the atoms, local and ghost, and a margin around them; positions beyond
// it are integers too, as far as to the same width on either side.
struct PositionGrid {
  std::array<double, 3> origin = {};
  double unit = 1.0;

  static constexpr double LIMIT = 1 << 30;

  static PositionGrid over(const Atoms &atoms, double margin)
  {
    PositionGrid grid;
    double longest = 0.0;
    for (int d = 0; d < 3; d++) {
      double low = std::numeric_limits<double>::infinity(), high = -low;
      for (int i = 0; i < atoms.nall; i++) {
        const double x = atoms.x[3 * i + d];
        if (!std::isfinite(x)) continue;
        low = std::min(low, x);
        high = std::max(high, x);
      }
      if (low > high) continue;
      grid.origin[d] = 0.5 * (low + high);
      longest = std::max(longest, high - low);
    }
    grid.unit = (longest + 2.0 * margin) / LIMIT;
    return grid;
  }

  // Puts an atom into numbers of the GPU; false where it is beyond the integers.  One without a
  // position is of type 0, which has no pairs.
  static bool set(Place<double> &to, const double *x, int type)
  {
    to = {x[0], x[1], x[2], type};
    return true;
  }
  bool set(Place<float> &to, const double *x, int type) const
  {
    std::array<int, 3> at = {};
    to = {0, 0, 0, 0};
    for (int d = 0; d < 3; d++) {
      if (!std::isfinite(x[d])) return true;
      const double place = (x[d] - origin[d]) / unit;
      if (std::fabs(place) >= LIMIT - 1.0) return false;    // differences are below 2^31
      at[d] = static_cast<int>(std::lrint(place));
    }
    to = {at[0], at[1], at[2], type};
    return true;
  }
};

template <class Real>
class Places {
 public:
  // Sends them part by part, while the next part is made ready.  False if one is beyond the grid,
  // and then not all were sent.
  bool send(const Atoms &atoms, const PositionGrid &grid, Stream &stream)
  {
    sent_.reserve(atoms.nall);
    on_gpu_.reserve(atoms.nall);
    for (int begin = 0; begin < atoms.nall; begin += PART) {
      const int size = std::min(PART, atoms.nall - begin);
      bool within = true;
      for (int i = begin; i < begin + size; i++)
        within &= grid.set(sent_[i], atoms.x + 3 * static_cast<std::ptrdiff_t>(i), atoms.type[i]);
      if (!within) {
        stream.finish();    // the parts before are still on their way
        return false;
      }
      stream.upload(on_gpu_, begin, sent_.data() + begin, size);
    }
    return true;
  }
  const Place<Real> *data() const { return on_gpu_.data(); }

 private:
  Pinned<Place<Real>> sent_;
  OnGpu<Place<Real>> on_gpu_;
};

}    // namespace diffsim

#endif
