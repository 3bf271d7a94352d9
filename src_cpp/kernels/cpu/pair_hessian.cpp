// The threads around the kernel of the Hessian, as those of pair_forces.cpp.

#include "../pair_hessian.h"

#include "hessian_kernel.h"
#include "threads.h"

#include <algorithm>
#include <vector>

namespace diffsim {

namespace {

HessianKernel *kernel_of(Instructions instructions)
{
#ifdef DIFFSIM_X86_KERNELS
  if (instructions == Instructions::AVX512) return hessian_kernel_avx512;
  if (instructions == Instructions::AVX2) return hessian_kernel_avx2;
#endif
  (void)instructions;
  return hessian_kernel_portable;
}

class CpuPairHessian : public PairHessian {
 public:
  CpuPairHessian(Instructions instructions, const PairTablesView &tables, int threads);

  void add(const Atoms &atoms, const NeighborPairs &pairs, const double *lambda,
           double *gradient) override;
  void add_coefficients(double *dc) override;

 private:
  void resize(int rows);

  PairTablesView tables_;
  HessianKernel *kernel_;
  std::vector<PackedVector> atoms_, lambda_;
  std::vector<int> types_;
  // of each thread; the gradients are zero between calls, since the pass that adds them up clears
  // them
  std::vector<std::vector<PackedVector>> gradients_, moments_;
};

CpuPairHessian::CpuPairHessian(Instructions instructions, const PairTablesView &tables,
                               int threads) :
    tables_(tables), kernel_(kernel_of(instructions)), gradients_(threads),
    moments_(threads, std::vector<PackedVector>(
                          static_cast<size_t>(unordered_pairs(tables.ntypes)) * tables.knots))
{
}

void CpuPairHessian::resize(int rows)
{
  if (static_cast<int>(atoms_.size()) >= rows) return;
  const size_t size = rows + rows / 8;
  atoms_.resize(size);
  lambda_.resize(size);
  types_.resize(size);
  for (auto &own : gradients_) own.resize(size, PackedVector{});
}

void CpuPairHessian::add(const Atoms &atoms, const NeighborPairs &pairs, const double *lambda,
                         double *gradient)
{
  const int threads = static_cast<int>(gradients_.size());
  const int rows = atoms.nall + tables_.ntypes;
  resize(rows);
  for (int type = 1; type <= tables_.ntypes; type++) {
    atoms_[atoms.nall + type - 1] = {FAR_AWAY, FAR_AWAY, FAR_AWAY, 0.0};
    lambda_[atoms.nall + type - 1] = {0.0, 0.0, 0.0, 0.0};
    types_[atoms.nall + type - 1] = type;
  }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    const Part part = part_of(atoms.nall, thread, threads);
    for (int i = part.begin; i < part.end; i++) {
      atoms_[i] = {atoms.x[3 * i], atoms.x[3 * i + 1], atoms.x[3 * i + 2], 0.0};
      lambda_[i] = {lambda[3 * i], lambda[3 * i + 1], lambda[3 * i + 2], 0.0};
      types_[i] = atoms.type[i];
    }
  }

  const HessianTask task = {atoms_.data(), lambda_.data(), types_.data(),      atoms.nall,
                            pairs,         tables_,        tables_.ntypes == 1};
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    HessianThread mine = {gradients_[thread].data(), moments_[thread].data()};
    for (int begin = thread * CHUNK; begin < pairs.inum; begin += threads * CHUNK)
      kernel_(task, begin, std::min(begin + CHUNK, pairs.inum), mine);
  }

#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    const Part part = part_of(rows, thread, threads);
    for (auto &own : gradients_) {
      for (int i = part.begin; i < std::min(part.end, atoms.nall); i++) {
        gradient[3 * i] += own[i].x;
        gradient[3 * i + 1] += own[i].y;
        gradient[3 * i + 2] += own[i].z;
      }
      std::fill(own.begin() + part.begin, own.begin() + part.end, PackedVector{});
    }
  }
}

void CpuPairHessian::add_coefficients(double *dc)
{
  static_assert(sizeof(PackedVector) == MOMENTS * sizeof(double));
  for (const auto &own : moments_)
    add_moments(tables_.ntypes, tables_.knots, reinterpret_cast<const double *>(own.data()), dc);
}

}    // namespace

std::unique_ptr<PairHessian> make_pair_hessian(Instructions instructions,
                                               const PairTablesView &tables, int threads)
{
  return std::make_unique<CpuPairHessian>(instructions, tables, threads);
}

}    // namespace diffsim
