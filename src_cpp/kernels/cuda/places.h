// Positions on their way to the GPU, in numbers that a kernel computes with.
//
// With floats they are integers on a fine grid over the atoms: differences of integers are exact, where floats
// in a box of 100 diameters would know distances to 1e-5 only.

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

// A grid with 2^30 points along the longest extent of the atoms, local and ghost.  Until there is a new list
// atoms may move by as much as half of that before they stop at the end of the integers, whose difference still
// is one.
struct PositionGrid {
  std::array<double, 3> origin = {};
  double unit = 1.0;

  static constexpr double LIMIT = 1 << 30;

  static PositionGrid over(const Atoms &atoms)
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
    if (longest > 0.0 && std::isfinite(longest)) grid.unit = longest / LIMIT;
    return grid;
  }

  static void set(Place<double> &to, const double *x)
  {
    to.x = x[0];
    to.y = x[1];
    to.z = x[2];
  }
  void set(Place<float> &to, const double *x) const
  {
    to.x = on_grid(x, 0);
    to.y = on_grid(x, 1);
    to.z = on_grid(x, 2);
  }

 private:
  int on_grid(const double *x, int d) const
  {
    const double place = (x[d] - origin[d]) / unit;
    if (!(place > -LIMIT)) return -static_cast<int>(LIMIT);    // also what is no number
    return static_cast<int>(std::lrint(std::min(place, LIMIT - 1.0)));
  }
};

template <class Real>
class Places {
 public:
  // Sends them part by part, while the next part is made ready.
  void send(const Atoms &atoms, const PositionGrid &grid, Stream &stream)
  {
    sent_.reserve(atoms.nall);
    on_gpu_.reserve(atoms.nall);
    for (int begin = 0; begin < atoms.nall; begin += PART) {
      const int size = std::min(PART, atoms.nall - begin);
      for (int i = begin; i < begin + size; i++) {
        grid.set(sent_[i], atoms.x + 3 * static_cast<std::ptrdiff_t>(i));
        sent_[i].type = atoms.type[i];
      }
      stream.upload(on_gpu_, sent_, begin, size);
    }
  }
  const Place<Real> *data() const { return on_gpu_.data(); }
  double bytes() const { return on_gpu_.bytes(); }

 private:
  Pinned<Place<Real>> sent_;
  OnGpu<Place<Real>> on_gpu_;
};

}    // namespace diffsim

#endif
