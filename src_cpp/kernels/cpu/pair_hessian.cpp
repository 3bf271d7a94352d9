// The threads around the kernel of the Hessian, as those of pair_forces.cpp.

#include "../pair_hessian.h"

#include "hessian_kernel.h"
#include "threads.h"

#include <algorithm>

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

}    // namespace

struct PairHessian::Workspace {
  HessianKernel *kernel;
  std::vector<PackedVector> atoms, lambda;
  std::vector<int> types;
  // of each thread; the gradients are zero between calls, since the pass that adds them up clears them
  std::vector<std::vector<PackedVector>> gradients, moments;

  void resize(int rows);
};

void PairHessian::Workspace::resize(int rows)
{
  if (static_cast<int>(atoms.size()) >= rows) return;
  const size_t size = rows + rows / 8;
  atoms.resize(size);
  lambda.resize(size);
  types.resize(size);
  for (auto &own : gradients) own.resize(size, PackedVector{});
}

PairHessian::PairHessian(Instructions instructions, const PairTablesView &tables, int threads) :
    tables_(tables), workspace_(std::make_unique<Workspace>())
{
  workspace_->kernel = kernel_of(instructions);
  workspace_->gradients.resize(threads);
  workspace_->moments.assign(threads, std::vector<PackedVector>(
                                          static_cast<size_t>(unordered_pairs(tables.ntypes)) *
                                          tables.knots));
}

PairHessian::~PairHessian() = default;

void PairHessian::add(const Atoms &atoms, const NeighborPairs &pairs, const double *lambda,
                      double *gradient)
{
  Workspace &work = *workspace_;
  const int threads = static_cast<int>(work.gradients.size());
  const int rows = atoms.nall + tables_.ntypes;
  work.resize(rows);
  for (int type = 1; type <= tables_.ntypes; type++) {
    work.atoms[atoms.nall + type - 1] = {FAR_AWAY, FAR_AWAY, FAR_AWAY, 0.0};
    work.lambda[atoms.nall + type - 1] = {0.0, 0.0, 0.0, 0.0};
    work.types[atoms.nall + type - 1] = type;
  }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    const Part part = part_of(atoms.nall, thread, threads);
    for (int i = part.begin; i < part.end; i++) {
      work.atoms[i] = {atoms.x[3 * i], atoms.x[3 * i + 1], atoms.x[3 * i + 2], 0.0};
      work.lambda[i] = {lambda[3 * i], lambda[3 * i + 1], lambda[3 * i + 2], 0.0};
      work.types[i] = atoms.type[i];
    }
  }

  const HessianTask task = {
      work.atoms.data(), work.lambda.data(), work.types.data(), atoms.nall, pairs,
      tables_,           tables_.ntypes == 1};
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    HessianThread mine = {work.gradients[thread].data(), work.moments[thread].data()};
    for (int begin = thread * CHUNK; begin < pairs.inum; begin += threads * CHUNK)
      work.kernel(task, begin, std::min(begin + CHUNK, pairs.inum), mine);
  }

#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    const Part part = part_of(rows, thread, threads);
    for (auto &own : work.gradients) {
      for (int i = part.begin; i < std::min(part.end, atoms.nall); i++) {
        gradient[3 * i] += own[i].x;
        gradient[3 * i + 1] += own[i].y;
        gradient[3 * i + 2] += own[i].z;
      }
      std::fill(own.begin() + part.begin, own.begin() + part.end, PackedVector{});
    }
  }
}

void PairHessian::add_coefficients(double *dc) const
{
  const int knots = tables_.knots, basis = basis_size(knots);
  const int pairs = unordered_pairs(tables_.ntypes);
  for (const auto &own : workspace_->moments)
    for (int pair = 0; pair < pairs; pair++)
      for (int row = 0; row < knots; row++) {
        const PackedVector &m = own[static_cast<size_t>(pair) * knots + row];
        // sum over the pairs of spline_slopes()
        const SplinePosition at = {row, 0.0};
        double *const to = dc + static_cast<size_t>(pair) * basis + at.first_basis();
        if (row == 0) {
          to[0] -= 0.5 * m.x;
          to[2] += 0.5 * m.x;
          continue;
        }
        to[0] -= 0.5 * (m.x - 2.0 * m.y + m.z);
        to[1] += 1.5 * m.z - 2.0 * m.y;
        to[2] += 0.5 * m.x + m.y - 1.5 * m.z;
        to[3] += 0.5 * m.z;
      }
}

}    // namespace diffsim
