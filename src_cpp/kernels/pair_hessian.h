// The derivatives of all forces, contracted with a vector: what one step of an adjoint needs.

#ifndef DIFFSIM_KERNELS_PAIR_HESSIAN_H
#define DIFFSIM_KERNELS_PAIR_HESSIAN_H

#include "pair_kernels.h"

#include <memory>
#include <vector>

namespace diffsim {

// For the scalar  L = sum_i lambda_i . F_i(x; c)  of a half list with newton_pair and without bonded
// neighbours, adds
//
//     dL/dx_i = -sum_j (2 phi' l + 4 phi'' (l . d) d),    l = lambda_i - lambda_j,  d = x_i - x_j,
//     dL/dc_b = -sum_{i<j} 2 (l . d) B_b'(s),             s = d . d,  phi' = dphi/ds.
//
// An object keeps its working memory from call to call, and the sum over calls of dL/dc.
class PairHessian {
 public:
  PairHessian(Instructions instructions, const PairTablesView &tables, int threads);
  ~PairHessian();
  PairHessian(const PairHessian &) = delete;
  PairHessian &operator=(const PairHessian &) = delete;

  // lambda[nall][3], of the images as well; gradient[nall][3] is added to.
  void add(const Atoms &atoms, const NeighborPairs &pairs, const double *lambda, double *gradient);

  // Adds the sum of dL/dc of all calls to dc[unordered_pairs(ntypes)][knots+2].
  void add_coefficients(double *dc) const;

 private:
  struct Workspace;
  PairTablesView tables_;
  std::unique_ptr<Workspace> workspace_;
};

}    // namespace diffsim

#endif
