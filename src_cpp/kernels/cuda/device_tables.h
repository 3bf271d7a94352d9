// The tables of the pairs of types, in the numbers that a kernel computes with.

#ifndef DIFFSIM_KERNELS_CUDA_DEVICE_TABLES_H
#define DIFFSIM_KERNELS_CUDA_DEVICE_TABLES_H

#include "runtime.h"

#include <algorithm>
#include <vector>

namespace diffsim {

template <class Real>
struct alignas(4 * sizeof(Real)) Row {
  Real q[4];    // as SplineRow
};

template <class Real>
struct Table {
  Real s_inner, inv_h, s_cutoff, scale;    // as PairTable
  int first_row;
};

template <class Real>
struct TablesView {
  int ntypes, knots;
  const Table<Real> *tables;    // [(ntypes+1)^2]
  const Row<Real> *rows;

  __device__ const Table<Real> *of_type(int type) const { return tables + type * (ntypes + 1); }
};

template <class Real>
class Tables {
 public:
  void set(const PairTablesView &from, Stream &stream)
  {
    ntypes_ = from.ntypes;
    knots_ = from.knots;
    const int n = (ntypes_ + 1) * (ntypes_ + 1);
    std::vector<const SplineRow *> splines;    // pairs of types share those of their species
    std::vector<int> spline_of(n, 0);
    for (int k = 0; k < n; k++) {
      const SplineRow *const rows = from.pairs[k].rows;
      if (!rows) continue;
      const auto found = std::find(splines.begin(), splines.end(), rows);
      spline_of[k] = static_cast<int>(found - splines.begin());
      if (found == splines.end()) splines.push_back(rows);
    }
    const std::size_t rows = splines.size() * knots_;
    tables_.reserve(n);
    rows_.reserve(rows);
    Pinned<Table<Real>> tables_sent;
    Pinned<Row<Real>> rows_sent;
    tables_sent.reserve(n);
    rows_sent.reserve(rows);
    for (int k = 0; k < n; k++) {
      PairTable table = from.pairs[k];
      // type 0 is that of atoms without a position
      if (k <= ntypes_ || k % (ntypes_ + 1) == 0) table.s_cutoff = -1.0;
      tables_sent[k] = {static_cast<Real>(table.s_inner), static_cast<Real>(table.inv_h),
                        static_cast<Real>(table.s_cutoff), static_cast<Real>(table.scale),
                        spline_of[k] * knots_};
    }
    for (std::size_t k = 0; k < rows; k++)
      for (int m = 0; m < 4; m++)
        rows_sent[k].q[m] = static_cast<Real>(splines[k / knots_][k % knots_].q[m]);
    stream.upload(tables_, 0, tables_sent.data(), n);
    stream.upload(rows_, 0, rows_sent.data(), rows);
    stream.finish();
  }

  TablesView<Real> view() const { return {ntypes_, knots_, tables_.data(), rows_.data()}; }

 private:
  int ntypes_ = 0, knots_ = 0;
  OnGpu<Table<Real>> tables_;
  OnGpu<Row<Real>> rows_;
};

}    // namespace diffsim

#endif
