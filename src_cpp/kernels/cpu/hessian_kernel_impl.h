// The kernel of the Hessian, written once for all instruction sets; see force_kernel_impl.h, whose
// choices it shares.

#ifndef DIFFSIM_KERNELS_CPU_HESSIAN_KERNEL_IMPL_H
#define DIFFSIM_KERNELS_CPU_HESSIAN_KERNEL_IMPL_H

#include "hessian_kernel.h"
#include "simd.h"

#include <cstddef>

namespace diffsim {

namespace {

// The parameters of WIDTH pairs; scale and inverse spacing as factors of phi' and phi''.
struct HessianParameters {
  Doubles s_inner, inv_h, s_cutoff;
  Doubles to_slope, to_curvature;
};

inline HessianParameters hessian_parameters(Doubles s_inner, Doubles inv_h, Doubles s_cutoff,
                                            Doubles scale)
{
  return {s_inner, inv_h, s_cutoff, -2.0 * scale * inv_h, -4.0 * scale * inv_h * inv_h};
}

// The number of the pair of types, as unordered_pair() has it, which may not be called here.
inline int pair_of_types(int itype, int jtype, int ntypes)
{
  const int lo = (itype < jtype ? itype : jtype) - 1;
  const int hi = (itype < jtype ? jtype : itype) - 1;
  return lo * ntypes - lo * (lo - 1) / 2 + hi - lo;
}

template <bool ONE_TABLE>
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
void kernel(const HessianTask &task, int begin, int end, HessianThread &thread)
{
  // local copies: the compiler must assume that storing a result changes what a reference refers to
  const NeighborPairs pairs = task.pairs;
  const PackedVector *const atoms = task.atoms;
  const PackedVector *const lambda = task.lambda;
  const int *const types = task.types;
  PackedVector *const gradient = thread.gradient;
  PackedVector *const moments = thread.moments;
  const int ntypes = task.tables.ntypes;
  const int knots = task.tables.knots;
  const Doubles last_row = broadcast(knots - 1);
  const PairTable &first = task.tables.pairs[ntypes + 2];
  const HessianParameters first_parameters =
      hessian_parameters(broadcast(first.s_inner), broadcast(first.inv_h),
                         broadcast(first.s_cutoff), broadcast(first.scale));
  Doubles reach = first_parameters.s_cutoff;

  for (int ii = begin; ii < end; ii++) {
    const int i = pairs.ilist[ii];
    const Row xi = load_row(&atoms[i].x);
    const Row li = load_row(&lambda[i].x);
    const PairTable *const tables = task.tables.pairs + (ONE_TABLE ? 0 : types[i] * (ntypes + 1));
    if (!ONE_TABLE) reach = broadcast(tables[0].s_cutoff);
    const int *const neighbors = pairs.firstneigh[i];
    const int n = pairs.numneigh[i];
    constexpr int SUMS = WIDTH == 8 ? 4 : 1;
    Row gi[SUMS] = {};

    for (int jj = 0; jj < n; jj += WIDTH) {
      int filled[WIDTH];
      const int *entries = neighbors + jj;
      if (jj + WIDTH > n) {
        // fill the last vector with an atom beyond every cutoff, of the type of the last neighbour
        const int nowhere = task.nall + (ONE_TABLE ? 0 : types[neighbors[n - 1]] - 1);
        for (int m = 0; m < WIDTH; m++) filled[m] = jj + m < n ? entries[m] : nowhere;
        entries = filled;
      }
      long j[WIDTH];
      Row d[WIDTH], l[WIDTH];
      for (int m = 0; m < WIDTH; m++) {
        j[m] = entries[m];
        d[m] = xi - load_row(&atoms[j[m]].x);
      }
      const Doubles s = squared_lengths(d);
      if (!any_less(s, reach)) continue;
      for (int m = 0; m < WIDTH; m++) l[m] = li - load_row(&lambda[j[m]].x);
      const Doubles along = dot_products(l, d);

      // rows_of(m) and moments_of(m) are those of pair m
      auto interact = [&](const HessianParameters &p, auto rows_of,
                          auto moments_of) __attribute__((always_inline)) {
        const Doubles u = (s - p.s_inner) * p.inv_h + 1.0;
        const Integers row =
            __builtin_convertvector(smaller(larger(u, Doubles{}), last_row), Integers);
        const Mask within = s < p.s_cutoff;
        const Doubles t = where(within, u - __builtin_convertvector(row, Doubles));
        int row_number[WIDTH];
        store(row_number, row);
        const double *polynomials[WIDTH];
        for (int m = 0; m < WIDTH; m++) polynomials[m] = rows_of(m)[row_number[m]].q;
        Doubles q0, q1, q2, q3;
        load_rows(polynomials, q0, q1, q2, q3);

        double of_l[WIDTH], of_d[WIDTH], weight[WIDTH], place[WIDTH];
        spill(of_l, where(within, p.to_slope * (q1 + t * (q2 + t * q3))));
        spill(of_d, where(within, p.to_curvature * along * (q2 + 2.0 * t * q3)));
        spill(weight, where(within, p.to_slope * along));
        spill(place, t);
        for (int m = 0; m < WIDTH; m++) {
          double *const gj = &gradient[j[m]].x;
          const Row g = l[m] * of_l[m] + d[m] * of_d[m];
          gi[m % SUMS] = gi[m % SUMS] + g;
          store_row(gj, load_row(gj) - g);
          PackedVector &sum = moments_of(m)[row_number[m]];
          const double wt = weight[m] * place[m];
          sum.x += weight[m];
          sum.y += wt;
          sum.z += wt * place[m];
        }
      };

      if (ONE_TABLE) {
        interact(first_parameters, [&](int) { return first.rows; }, [&](int) { return moments; });
        continue;
      }
      int differ = 0;
      for (int m = 1; m < WIDTH; m++) differ |= types[j[m]] ^ types[j[0]];
      auto moments_of = [&](int m) {
        return moments + static_cast<long>(pair_of_types(types[i], types[j[m]], ntypes)) * knots;
      };
      if (differ == 0) {
        const PairTable &table = tables[types[j[0]]];
        PackedVector *const common = moments_of(0);
        interact(
            hessian_parameters(broadcast(table.s_inner), broadcast(table.inv_h),
                               broadcast(table.s_cutoff), broadcast(table.scale)),
            [&](int) { return table.rows; }, [&](int) { return common; });
      } else {
        static_assert(offsetof(PairTable, scale) == 3 * sizeof(double), "read as one row");
        const double *parameters[WIDTH];
        for (int m = 0; m < WIDTH; m++) parameters[m] = &tables[types[j[m]]].s_inner;
        Doubles s_inner, inv_h, s_cutoff, scale;
        load_rows(parameters, s_inner, inv_h, s_cutoff, scale);
        interact(
            hessian_parameters(s_inner, inv_h, s_cutoff, scale),
            [&](int m) { return tables[types[j[m]]].rows; }, moments_of);
      }
    }
    double *const g = &gradient[i].x;
    for (int k = 1; k < SUMS; k++) gi[0] = gi[0] + gi[k];
    store_row(g, load_row(g) + gi[0]);
  }
}

inline void kernel(const HessianTask &task, int begin, int end, HessianThread &thread)
{
  task.one_table ? kernel<true>(task, begin, end, thread) : kernel<false>(task, begin, end, thread);
}

}    // namespace

}    // namespace diffsim

#endif
