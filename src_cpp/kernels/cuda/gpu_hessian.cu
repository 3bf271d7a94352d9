// The derivatives of all forces, contracted with a vector, on a GPU: a thread for each atom of a
// half list.

#include "gpu_pairs.h"

#include "device_tables.h"
#include "places.h"
#include "sliced_list.h"

namespace diffsim {

namespace {

struct HessianArguments {
  SlicedListView list;
  TablesView<double> tables;
  const Place<double> *atoms, *lambda;
  double *gradient;    // [nall][3]
  double *moments;     // [pairs of types][knots][MOMENTS]
};

__global__ void contract(const HessianArguments a)
{
  const int ii = thread_index();
  if (ii >= a.list.inum) return;
  const int i = a.list.ilist[ii];
  const Place<double> own = a.atoms[i], own_lambda = a.lambda[i];
  const Table<double> *const tables = a.tables.of_type(own.type);
  const int *const entries = a.list.entries_of(ii);
  const int n = a.list.numneigh[ii];
  double sum[3] = {};
  for (int k = 0; k < n; k++) {
    const std::int64_t j = entries[static_cast<std::int64_t>(k) * SLICE] & a.list.index_mask;
    const Place<double> other = a.atoms[j];
    const double d[3] = {own.x - other.x, own.y - other.y, own.z - other.z};
    const double s = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    const Table<double> &table = tables[other.type];
    if (!(s < table.s_cutoff)) continue;
    const Place<double> other_lambda = a.lambda[j];
    const double l[3] = {own_lambda.x - other_lambda.x, own_lambda.y - other_lambda.y,
                         own_lambda.z - other_lambda.z};
    const double along = l[0] * d[0] + l[1] * d[1] + l[2] * d[2];
    const SplinePosition at = spline_position(s, table.s_inner, table.inv_h, a.tables.knots);
    const double t = at.t;
    const Row<double> polynomial = a.tables.rows[table.first_row + at.row];
    const double *const q = polynomial.q;
    const double to_slope = -2.0 * table.scale * table.inv_h;
    const double of_l = to_slope * (q[1] + t * (q[2] + t * q[3]));
    const double of_d = 2.0 * to_slope * table.inv_h * along * (q[2] + 2.0 * t * q[3]);
    for (int m = 0; m < 3; m++) {
      const double g = l[m] * of_l + d[m] * of_d;
      sum[m] += g;
      atomicAdd(a.gradient + 3 * j + m, -g);
    }
    const std::int64_t pair = unordered_pair(own.type - 1, other.type - 1, a.tables.ntypes);
    double *const moments = a.moments + (pair * a.tables.knots + at.row) * MOMENTS;
    const double weight = to_slope * along;
    atomicAdd(moments, weight);
    atomicAdd(moments + 1, weight * t);
    atomicAdd(moments + 2, weight * t * t);
  }
  for (int m = 0; m < 3; m++) atomicAdd(a.gradient + 3 * static_cast<std::int64_t>(i) + m, sum[m]);
}

class Hessian : public PairHessian {
 public:
  Hessian(int device, const PairTablesView &tables) :
      device_(device), ntypes_(tables.ntypes), knots_(tables.knots),
      numbers_(static_cast<std::size_t>(unordered_pairs(tables.ntypes)) * tables.knots * MOMENTS)
  {
    tables_.set(tables, stream_);
    moments_.reserve(numbers_);
    stream_.clear(moments_, numbers_);
    stream_.finish();
  }

  void new_list(const Atoms &, const NeighborPairs &pairs) override
  {
    select_gpu(device_);
    list_.set(pairs, stream_);
  }

  void add(const Atoms &atoms, const NeighborPairs &, const double *lambda,
           double *gradient) override
  {
    select_gpu(device_);
    const int nall = atoms.nall;
    const std::size_t numbers = 3 * static_cast<std::size_t>(nall);
    places_.send(atoms, {}, stream_);
    lambda_.send({lambda, atoms.type, atoms.nlocal, nall}, {}, stream_);
    gradient_.reserve(numbers);
    received_.reserve(numbers);
    stream_.clear(gradient_, numbers);
    const HessianArguments arguments = {list_.view(),   tables_.view(),   places_.data(),
                                        lambda_.data(), gradient_.data(), moments_.data()};
    launch(contract, arguments.list.inum, stream_, arguments);
    stream_.download(received_, gradient_, 0, numbers);
    stream_.finish();
    for (std::size_t k = 0; k < numbers; k++) gradient[k] += received_[k];
  }

  void add_coefficients(double *dc) override
  {
    select_gpu(device_);
    Pinned<double> moments;
    moments.reserve(numbers_);
    stream_.download(moments, moments_, 0, numbers_);
    stream_.finish();
    add_moments(ntypes_, knots_, moments.data(), dc);
  }

 private:
  int device_, ntypes_, knots_;
  std::size_t numbers_;    // of the moments
  Stream stream_;
  SlicedList list_;
  Tables<double> tables_;
  Places<double> places_, lambda_;
  OnGpu<double> gradient_, moments_;
  Pinned<double> received_;
};

}    // namespace

PairHessian *new_gpu_hessian(int device, const PairTablesView &tables)
{
  select_gpu(device);
  return new Hessian(device, tables);
}

}    // namespace diffsim
