// The derivatives of all forces, contracted with a vector: what one step of an adjoint needs.

#ifndef DIFFSIM_KERNELS_PAIR_HESSIAN_H
#define DIFFSIM_KERNELS_PAIR_HESSIAN_H

#include "pair_kernels.h"

#include <cstddef>
#include <memory>

namespace diffsim {

// For the scalar  L = sum_i lambda_i . F_i(x; c)  of a half list with newton_pair and without
// bonded neighbours, adds
//
//     dL/dx_i = -sum_j (2 phi' l + 4 phi'' (l . d) d),    l = lambda_i - lambda_j,  d = x_i - x_j,
//     dL/dc_b = -sum_{i<j} 2 (l . d) B_b'(s),             s = d . d,  phi' = dphi/ds.
//
// An object keeps its working memory from call to call, and the sum over calls of dL/dc.
class PairHessian {
 public:
  PairHessian() = default;
  virtual ~PairHessian() = default;
  PairHessian(const PairHessian &) = delete;
  PairHessian &operator=(const PairHessian &) = delete;

  // To be called when there is a new list, before the first call of add() with it.
  virtual void new_list(const Atoms &, const NeighborPairs &) {}

  // lambda[nall][3], of the images as well; gradient[nall][3] is added to.
  virtual void add(const Atoms &atoms, const NeighborPairs &pairs, const double *lambda,
                   double *gradient) = 0;

  // Adds the sum of dL/dc of all calls to dc[unordered_pairs(ntypes)][knots+2].
  virtual void add_coefficients(double *dc) = 0;
};

// The one of the processor.  The tables must live as long as it does.
std::unique_ptr<PairHessian> make_pair_hessian(Instructions instructions,
                                               const PairTablesView &tables, int threads);

// What the kernels add up for each row of the splines, with the weight w = -2 scale (l . d) / h of
// a pair and its place t in the row: the sums of w, w t, w t^2, and a number that is not used.
constexpr int MOMENTS = 4;

// Adds to dc[unordered_pairs(ntypes)][knots+2] what
// moments[unordered_pairs(ntypes)][knots][MOMENTS] say.
inline void add_moments(int ntypes, int knots, const double *moments, double *dc)
{
  const int basis = basis_size(knots);
  for (int pair = 0; pair < unordered_pairs(ntypes); pair++)
    for (int row = 0; row < knots; row++) {
      const double *const m = moments + (static_cast<size_t>(pair) * knots + row) * MOMENTS;
      // sum over the pairs of spline_slopes()
      const SplinePosition at = {row, 0.0};
      double *const to = dc + static_cast<size_t>(pair) * basis + at.first_basis();
      if (row == 0) {
        to[0] -= 0.5 * m[0];
        to[2] += 0.5 * m[0];
        continue;
      }
      to[0] -= 0.5 * (m[0] - 2.0 * m[1] + m[2]);
      to[1] += 1.5 * m[2] - 2.0 * m[1];
      to[2] += 0.5 * m[0] + m[1] - 1.5 * m[2];
      to[3] += 0.5 * m[2];
    }
}

}    // namespace diffsim

#endif
