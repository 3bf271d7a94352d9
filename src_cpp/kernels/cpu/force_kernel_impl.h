// The force kernel, written once for all instruction sets.  The files force_kernel_*.cpp include
// it, each compiled with its own instructions, and give it its name.
//
// The neighbours of an atom are taken by full vectors, and what is beyond the cutoff is set to
// zero: a branch for each neighbour could not be predicted, a vector with none within it is rare.
// Positions, rows of the spline and forces are rows of four doubles, read and written whole and
// transposed in registers: gathers and scatters are slower on most processors.
//
// As in simd.h, nothing here calls an inline function with external linkage.

#ifndef DIFFSIM_KERNELS_CPU_FORCE_KERNEL_IMPL_H
#define DIFFSIM_KERNELS_CPU_FORCE_KERNEL_IMPL_H

#include "force_kernel.h"
#include "simd.h"

#include <cstddef>

namespace diffsim {

namespace {

// The weights of bonded neighbours; the bits of a neighbour's kind are seldom set.
inline Doubles special_weights(const NeighborPairs &pairs, const int *entries)
{
  int bits = 0;
  for (int m = 0; m < WIDTH; m++) bits |= entries[m];
  Doubles weights = broadcast(pairs.special[0]);
  if (bits & ~pairs.index_mask)
    for (int m = 0; m < WIDTH; m++)
      weights[m] = pairs.special[(entries[m] >> pairs.special_shift) & 3];
  return weights;
}

// The parameters of WIDTH pairs.
struct TableParameters {
  Doubles s_inner, inv_h, s_cutoff, scale;
  Doubles to_force;    // F_i = -dphi/ds * ds/dx_i with s = r^2, ds/dx_i = 2 dx
};

inline TableParameters parameters_of(const PairTable &table)
{
  return {broadcast(table.s_inner), broadcast(table.inv_h), broadcast(table.s_cutoff),
          broadcast(table.scale), broadcast(-2.0 * table.scale * table.inv_h)};
}

// One loop, whose branches are chosen when it is compiled.
template <bool ONE_TABLE, bool BONDED, bool TALLY>
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
void kernel(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  // local copies: the compiler must assume that storing a force changes what a reference refers to
  const NeighborPairs pairs = task.pairs;
  const PackedVector *const atoms = task.atoms;
  const int *const types = task.types;
  PackedVector *const forces = thread.forces;
  const int ntypes = task.tables.ntypes;
  const int nlocal = pairs.newton_pair ? INT32_MAX : task.nlocal;
  const Doubles last_row = broadcast(task.tables.knots - 1);
  const PairTable &first = task.tables.pairs[ntypes + 2];
  const TableParameters first_parameters = parameters_of(first);
  Doubles reach = first_parameters.s_cutoff;

  Doubles nearest = last_row;
  Doubles energy = {};
  Row diagonal = {}, off_diagonal = {};

  for (int ii = begin; ii < end; ii++) {
    const int i = pairs.ilist[ii];
    const Row xi = load_row(&atoms[i].x);
    const PairTable *const tables = task.tables.pairs + (ONE_TABLE ? 0 : types[i] * (ntypes + 1));
    if (!ONE_TABLE) reach = broadcast(tables[0].s_cutoff);
    const int *const neighbors = pairs.firstneigh[i];
    const int n = pairs.numneigh[i];

    // several sums, where registers allow, so that an addition need not wait for the one before
    constexpr int SUMS = WIDTH == 8 ? 4 : 1;
    Row fi[SUMS] = {};
    for (int jj = 0; jj < n; jj += WIDTH) {
      int filled[WIDTH];
      const int *entries = neighbors + jj;
      if (jj + WIDTH > n) {
        // fill the last vector with an atom beyond every cutoff, of the type of the last neighbour
        const int last = neighbors[n - 1] & pairs.index_mask;
        const int nowhere = task.nall + (ONE_TABLE ? 0 : types[last] - 1);
        for (int m = 0; m < WIDTH; m++) filled[m] = jj + m < n ? entries[m] : nowhere;
        entries = filled;
      }
      long j[WIDTH];
      Row d[WIDTH];
      for (int m = 0; m < WIDTH; m++) {
        j[m] = BONDED ? entries[m] & pairs.index_mask : entries[m];
        d[m] = xi - load_row(&atoms[j[m]].x);
      }
      const Doubles s = squared_lengths(d);
      if (!any_less(s, reach)) continue;

      // what follows, for pairs of one table or of several: rows_of(m) are those of pair m
      auto interact = [&](const TableParameters &p, auto rows_of) __attribute__((always_inline)) {
        // the place on the grid, as spline_position() has it
        const Doubles u = (s - p.s_inner) * p.inv_h + 1.0;
        Doubles special;
        if (BONDED) {
          // those without weight may be as close as their bonds want
          special = special_weights(pairs, entries);
          nearest = smaller(nearest, special == 0.0 ? last_row : u);
        } else {
          nearest = smaller(nearest, u);
        }
        const Integers row =
            __builtin_convertvector(smaller(larger(u, Doubles{}), last_row), Integers);
        const Doubles t = u - __builtin_convertvector(row, Doubles);
        int row_number[WIDTH];
        store(row_number, row);
        const double *polynomials[WIDTH];
        for (int m = 0; m < WIDTH; m++) polynomials[m] = rows_of(m)[row_number[m]].q;
        Doubles q0, q1, q2, q3;
        load_rows(polynomials, q0, q1, q2, q3);

        const Mask within = s < p.s_cutoff;
        Doubles fpair = p.to_force * (q1 + t * (q2 + t * q3));
        if (BONDED) fpair *= special;
        double f[WIDTH];
        spill(f, where(within, fpair));
        for (int m = 0; m < WIDTH; m++) {
          double *const fj = &forces[j[m]].x;
          fi[m % SUMS] = add_product(fi[m % SUMS], d[m], f[m]);
          store_row(fj, subtract_product(load_row(fj), d[m], f[m]));
        }

        if (TALLY) {
          // without newton_pair the owner of a ghost has the other half of the pair
          Doubles weight = p.scale;
          if (BONDED) weight *= special;
          for (int m = 0; m < WIDTH; m++) {
            const double share = j[m] < nlocal ? 1.0 : 0.5;
            weight[m] *= share;
            const Row pull = d[m] * (share * f[m]);
            diagonal += d[m] * pull;
            off_diagonal += products_xy_xz_yz(d[m], pull);
          }
          energy += where(within, weight * (q0 + t * (q1 + t * (0.5 * q2 + t * q3 * (1.0 / 3.0)))));
        }
      };

      if (ONE_TABLE) {
        interact(first_parameters, [&](int) { return first.rows; });
        continue;
      }
      int differ = 0;
      for (int m = 1; m < WIDTH; m++) differ |= types[j[m]] ^ types[j[0]];
      if (differ == 0) {
        const PairTable &table = tables[types[j[0]]];
        interact(parameters_of(table), [&](int) { return table.rows; });
      } else {
        static_assert(offsetof(PairTable, scale) == 3 * sizeof(double), "read as one row");
        const double *parameters[WIDTH];
        for (int m = 0; m < WIDTH; m++) parameters[m] = &tables[types[j[m]]].s_inner;
        TableParameters p;
        load_rows(parameters, p.s_inner, p.inv_h, p.s_cutoff, p.scale);
        p.to_force = -2.0 * p.scale * p.inv_h;
        interact(p, [&](int m) { return tables[types[j[m]]].rows; });
      }
    }
    double *const f = &forces[i].x;
    for (int k = 1; k < SUMS; k++) fi[0] += fi[k];
    store_row(f, load_row(f) + fi[0]);
  }

  for (int m = 0; m < WIDTH; m++) thread.too_close |= nearest[m] < 1.0;
  if (TALLY) {
    thread.energy += sum(energy);
    double virial[8];
    store_row(virial, diagonal);
    store_row(virial + 3, off_diagonal);
    for (int k = 0; k < 6; k++) thread.virial[k] += virial[k];
  }
}

template <bool ONE_TABLE, bool BONDED>
void kernel(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  task.tally ? kernel<ONE_TABLE, BONDED, true>(task, begin, end, thread)
             : kernel<ONE_TABLE, BONDED, false>(task, begin, end, thread);
}

template <bool ONE_TABLE>
void kernel(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  task.pairs.bonded ? kernel<ONE_TABLE, true>(task, begin, end, thread)
                    : kernel<ONE_TABLE, false>(task, begin, end, thread);
}

inline void kernel(const ForceTask &task, int begin, int end, ForceThread &thread)
{
  task.one_table ? kernel<true>(task, begin, end, thread) : kernel<false>(task, begin, end, thread);
}

}    // namespace

}    // namespace diffsim

#endif
