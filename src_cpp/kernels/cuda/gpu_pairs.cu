// Forces, energy, virial and pair counts of a full list on a GPU: a thread for each atom.

#include "gpu_pairs.h"

#include "../spline.h"
#include "device_tables.h"
#include "places.h"
#include "sliced_list.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace diffsim {

namespace {

constexpr int FORCE_PART = 1 << 17;    // atoms that are computed at a time: they fill a GPU
constexpr int TALLIED = 7;             // energy, and the virial xx yy zz xy xz yz
constexpr int PARTIAL_SUMS = 1024;

// ---- what a thread does ----

template <class Real, class Sum>
struct ForceArguments {
  SlicedListView list;
  TablesView<Real> tables;
  const Place<Real> *atoms;
  Real unit;    // of positions
  Real special[4];
  Sum *f;           // [inum][3]
  double *tally;    // [TALLIED][inum]
  int *close;       // set where a pair is closer than the innermost knot
  int first, last;
};

template <class Real, class Sum, bool TALLY>
__global__ void sum_forces(const ForceArguments<Real, Sum> a)
{
  const int ii = a.first + thread_index();
  if (ii >= a.last) return;
  const Place<Real> own = a.atoms[a.list.ilist[ii]];
  const Table<Real> *const tables = a.tables.of_type(own.type);
  const int *const entries = a.list.entries_of(ii);
  const int n = a.list.numneigh[ii];
  Sum f[3] = {};
  double energy = 0.0, virial[6] = {};
  bool close = false;
  for (int k = 0; k < n; k++) {
    const int entry = entries[static_cast<std::int64_t>(k) * SLICE];
    const Place<Real> other = a.atoms[entry & a.list.index_mask];
    const Real dx = difference(own.x, other.x, a.unit);
    const Real dy = difference(own.y, other.y, a.unit);
    const Real dz = difference(own.z, other.z, a.unit);
    const Real s = dx * dx + dy * dy + dz * dz;
    const Table<Real> &table = tables[other.type];
    if (!(s < table.s_cutoff)) continue;    // nor if it is no number
    Real t;
    const int number = spline_row(s, table.s_inner, table.inv_h, a.tables.knots, t);
    const Row<Real> row = a.tables.rows[table.first_row + number];
    const Real *const q = row.q;
    const Real weight = weight_of(a.special, (entry >> a.list.special_shift) & 3) * table.scale;
    const Real fpair = Real(-2) * weight * table.inv_h * (q[1] + t * (q[2] + t * q[3]));
    f[0] += dx * fpair;
    f[1] += dy * fpair;
    f[2] += dz * fpair;
    close |= s < table.s_inner;
    if (TALLY) {
      // the other half is that of the neighbour
      const double half = 0.5 * fpair;
      energy += 0.5 * weight *
                (q[0] + t * (q[1] + t * (Real(0.5) * q[2] + t * q[3] * (Real(1) / Real(3)))));
      virial[0] += half * dx * dx;
      virial[1] += half * dy * dy;
      virial[2] += half * dz * dz;
      virial[3] += half * dx * dy;
      virial[4] += half * dx * dz;
      virial[5] += half * dy * dz;
    }
  }
  for (int d = 0; d < 3; d++) a.f[3 * static_cast<std::int64_t>(ii) + d] = f[d];
  if (close) *a.close = 1;
  if (TALLY) {
    const std::int64_t inum = a.list.inum;
    a.tally[ii] = energy;
    for (int m = 0; m < 6; m++) a.tally[(m + 1) * inum + ii] = virial[m];
  }
}

struct TallyArguments {
  const double *tally;    // [TALLIED][inum]
  int inum;
  double *partial;    // [TALLIED][PARTIAL_SUMS]
};

// Every thread adds up numbers of its own, in the same order each time.
__global__ void sum_tallies(const TallyArguments a)
{
  const int thread = thread_index();
  if (thread >= PARTIAL_SUMS) return;
  for (int m = 0; m < TALLIED; m++) {
    const double *const from = a.tally + static_cast<std::int64_t>(m) * a.inum;
    double sum = 0.0;
    for (std::int64_t ii = thread; ii < a.inum; ii += PARTIAL_SUMS) sum += from[ii];
    a.partial[m * PARTIAL_SUMS + thread] = sum;
  }
}

struct CountArguments {
  SlicedListView list;
  TablesView<double> tables;
  const Place<double> *atoms;
  double special[4];
  double *counts, *virial;    // [pairs of types][knots+2]
};

__global__ void count_pairs(const CountArguments a)
{
  const int ii = thread_index();
  if (ii >= a.list.inum) return;
  const Place<double> own = a.atoms[a.list.ilist[ii]];
  const Table<double> *const tables = a.tables.of_type(own.type);
  const int *const entries = a.list.entries_of(ii);
  const int n = a.list.numneigh[ii];
  for (int k = 0; k < n; k++) {
    const int entry = entries[static_cast<std::int64_t>(k) * SLICE];
    const Place<double> other = a.atoms[entry & a.list.index_mask];
    const double dx = own.x - other.x, dy = own.y - other.y, dz = own.z - other.z;
    const double s = dx * dx + dy * dy + dz * dz;
    const Table<double> &table = tables[other.type];
    if (!(s < table.s_cutoff)) continue;
    const SplinePosition at = spline_position(s, table.s_inner, table.inv_h, a.tables.knots);
    double w[4], dw_dt[4];
    spline_weights(at, w);
    spline_slopes(at, dw_dt);
    // half of the pair; the other half is that of the neighbour
    const double weight = 0.5 * weight_of(a.special, (entry >> a.list.special_shift) & 3);
    const double virial_weight = weight * 2.0 * s * table.inv_h;    // dt/ds = 1/h
    const std::int64_t first =
        static_cast<std::int64_t>(unordered_pair(own.type - 1, other.type - 1, a.tables.ntypes)) *
            basis_size(a.tables.knots) +
        at.first_basis();
    for (int m = 0; m < 4; m++) {
      atomicAdd(a.counts + first + m, weight * w[m]);
      atomicAdd(a.virial + first + m, virial_weight * dw_dt[m]);
    }
  }
}

// ---- on this side ----

template <class Real, class Sum>
class Pairs : public GpuPairs {
 public:
  explicit Pairs(int device) : device_(device) {}

  void set_tables(const PairTablesView &tables) override
  {
    select_gpu(device_);
    tables_.set(tables, compute_);
    exact_tables_.set(tables, compute_);
    double longest = 0.0;
    for (int i = 1; i <= tables.ntypes; i++)
      for (int j = i; j <= tables.ntypes; j++)
        longest = std::max(longest, tables.pair(i, j).s_cutoff);
    margin_ = longest > 0.0 ? 2.0 * std::sqrt(longest) : 1.0;
    const std::size_t numbers =
        static_cast<std::size_t>(unordered_pairs(tables.ntypes)) * basis_size(tables.knots);
    counts_.resize(numbers);
  }

  void set_list(const Atoms &atoms, const NeighborPairs &pairs) override
  {
    select_gpu(device_);
    list_.set(pairs, compute_);
    grid_ = PositionGrid::over(atoms, margin_);
  }

  bool add_forces(const Atoms &atoms, const double *special, ForceSums &sums) override;
  void add_counts(const Atoms &atoms, const double *special, double *counts,
                  double *virial) override;

 private:
  void start(const Atoms &atoms, const double *special, bool tally);
  void add_tallies(ForceSums &sums);

  int device_;
  Stream compute_, copy_;
  std::vector<Event> computed_, copied_;    // of each part
  SlicedList list_;
  Tables<Real> tables_;
  Tables<double> exact_tables_;
  Places<Real> places_;
  Places<double> exact_places_;
  PositionGrid grid_;
  double margin_ = 1.0;    // around the atoms
  OnGpu<Sum> f_;
  Pinned<Sum> f_received_;
  OnGpu<double> tally_, partial_;
  Pinned<double> partial_received_;
  OnGpu<int> close_;
  Pinned<int> close_received_;
  struct {
    OnGpu<double> on_gpu[2];    // counts and their virial
    Pinned<double> received[2];
    std::size_t numbers = 0;

    void resize(std::size_t wanted)
    {
      numbers = wanted;
      for (int k = 0; k < 2; k++) {
        on_gpu[k].reserve(wanted);
        received[k].reserve(wanted);
      }
    }
  } counts_;
};

// Starts everything; forces come back part by part, while those of later parts are computed.
template <class Real, class Sum>
void Pairs<Real, Sum>::start(const Atoms &atoms, const double *special, bool tally)
{
  const int inum = list_.view().inum;
  f_.reserve(3 * static_cast<std::size_t>(inum));
  f_received_.reserve(3 * static_cast<std::size_t>(inum));
  close_.reserve(1);
  close_received_.reserve(1);
  if (tally) {
    tally_.reserve(TALLIED * static_cast<std::size_t>(inum));
    partial_.reserve(static_cast<std::size_t>(TALLIED) * PARTIAL_SUMS);
    partial_received_.reserve(static_cast<std::size_t>(TALLIED) * PARTIAL_SUMS);
  }
  if (!places_.send(atoms, grid_, compute_)) {
    // they have moved far since the grid was laid
    grid_ = PositionGrid::over(atoms, margin_);
    places_.send(atoms, grid_, compute_);
  }
  compute_.clear(close_, 1);
  ForceArguments<Real, Sum> arguments = {};
  arguments.list = list_.view();
  arguments.tables = tables_.view();
  arguments.atoms = places_.data();
  arguments.unit = static_cast<Real>(grid_.unit);
  for (int k = 0; k < 4; k++) arguments.special[k] = static_cast<Real>(special[k]);
  arguments.f = f_.data();
  arguments.tally = tally_.data();
  arguments.close = close_.data();
  for (int part = 0; part * FORCE_PART < inum; part++) {
    arguments.first = part * FORCE_PART;
    arguments.last = std::min(arguments.first + FORCE_PART, inum);
    const int atoms_of_part = arguments.last - arguments.first;
    if (tally)
      launch(sum_forces<Real, Sum, true>, atoms_of_part, compute_, arguments);
    else
      launch(sum_forces<Real, Sum, false>, atoms_of_part, compute_, arguments);
    if (part == static_cast<int>(computed_.size())) {
      computed_.emplace_back();
      copied_.emplace_back();
    }
    computed_[part].record(compute_);
    copy_.wait(computed_[part].get());
    copy_.download(f_received_, f_, 3 * static_cast<std::size_t>(arguments.first),
                   3 * static_cast<std::size_t>(atoms_of_part));
    copied_[part].record(copy_);
  }
  if (tally) {
    launch(sum_tallies, PARTIAL_SUMS, compute_,
           TallyArguments{tally_.data(), inum, partial_.data()});
    compute_.download(partial_received_, partial_, 0,
                      static_cast<std::size_t>(TALLIED) * PARTIAL_SUMS);
  }
  compute_.download(close_received_, close_, 0, 1);
}

template <class Real, class Sum>
bool Pairs<Real, Sum>::add_forces(const Atoms &atoms, const double *special, ForceSums &sums)
{
  const std::vector<int> &ilist = list_.atoms();
  const int inum = static_cast<int>(ilist.size());
  if (inum == 0) return false;
  select_gpu(device_);
  start(atoms, special, sums.tally);
  for (int part = 0; part * FORCE_PART < inum; part++) {
    copied_[part].finish();
    const int end = std::min((part + 1) * FORCE_PART, inum);
    for (int ii = part * FORCE_PART; ii < end; ii++) {
      double *const to = sums.f + 3 * static_cast<std::int64_t>(ilist[ii]);
      const Sum *const from = f_received_.data() + 3 * static_cast<std::int64_t>(ii);
      for (int d = 0; d < 3; d++) to[d] += from[d];
    }
  }
  compute_.finish();
  if (sums.tally) add_tallies(sums);
  return close_received_[0] != 0;
}

template <class Real, class Sum>
void Pairs<Real, Sum>::add_tallies(ForceSums &sums)
{
  for (int m = 0; m < TALLIED; m++) {
    double sum = 0.0;
    for (int k = 0; k < PARTIAL_SUMS; k++) sum += partial_received_[m * PARTIAL_SUMS + k];
    (m == 0 ? sums.energy : sums.virial[m - 1]) += sum;
  }
}

template <class Real, class Sum>
void Pairs<Real, Sum>::add_counts(const Atoms &atoms, const double *special, double *counts,
                                  double *virial)
{
  if (list_.atoms().empty()) return;
  select_gpu(device_);
  exact_places_.send(atoms, grid_, compute_);
  CountArguments arguments = {list_.view(),
                              exact_tables_.view(),
                              exact_places_.data(),
                              {special[0], special[1], special[2], special[3]},
                              counts_.on_gpu[0].data(),
                              counts_.on_gpu[1].data()};
  for (const auto &numbers : counts_.on_gpu) compute_.clear(numbers, counts_.numbers);
  launch(count_pairs, arguments.list.inum, compute_, arguments);
  for (int k = 0; k < 2; k++)
    compute_.download(counts_.received[k], counts_.on_gpu[k], 0, counts_.numbers);
  compute_.finish();
  for (std::size_t k = 0; k < counts_.numbers; k++) {
    counts[k] += counts_.received[0][k];
    virial[k] += counts_.received[1][k];
  }
}

}    // namespace

bool has_code_for_gpu()
{
  cudaFuncAttributes attributes = {};
  const bool found =
      cudaFuncGetAttributes(&attributes, reinterpret_cast<const void *>(sum_tallies)) ==
      cudaSuccess;
  if (!found) cudaGetLastError();    // it is reported here, and by no later call
  return found;
}

GpuPairs *new_gpu_pairs(int device, Precision precision)
{
  select_gpu(device);
  switch (precision) {
    case Precision::SINGLE:
      return new Pairs<float, float>(device);
    case Precision::MIXED:
      return new Pairs<float, double>(device);
    default:
      return new Pairs<double, double>(device);
  }
}

}    // namespace diffsim
