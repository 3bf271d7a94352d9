// The threads around the force kernel: positions are packed, every thread sums into forces of its
// own, and these are added up.

#include "../pair_kernels.h"
#include "force_kernel.h"
#include "threads.h"

#include <algorithm>

namespace diffsim {

namespace {

ForceKernel *kernel_of(Instructions instructions)
{
#ifdef DIFFSIM_X86_KERNELS
  if (instructions == Instructions::AVX512) return force_kernel_avx512;
  if (instructions == Instructions::AVX2) return force_kernel_avx2;
#endif
  (void)instructions;
  return force_kernel_portable;
}

}    // namespace

struct PairForces::Workspace {
  ForceKernel *kernel;
  std::vector<PackedVector> atoms;
  std::vector<int> types;
  // of each thread; zero between calls, since the pass that adds them up clears them
  std::vector<std::vector<PackedVector>> forces;

  void resize(int rows, int threads);
  void pack(const Atoms &from, Part part);
  void unpack(int natoms, Part part, double *f);
};

void PairForces::Workspace::resize(int rows, int threads)
{
  if (static_cast<int>(atoms.size()) < rows) {
    atoms.resize(rows + rows / 8);
    types.resize(atoms.size());
  }
  forces.resize(threads);
  for (auto &own : forces)
    if (static_cast<int>(own.size()) < rows) own.resize(atoms.size(), PackedVector{});
}

void PairForces::Workspace::pack(const Atoms &from, Part part)
{
  for (int i = part.begin; i < part.end; i++)
    atoms[i] = {from.x[3 * i], from.x[3 * i + 1], from.x[3 * i + 2], 0.0};
  std::copy(from.type + part.begin, from.type + part.end, types.data() + part.begin);
}

// Add up the threads' forces; those of atoms from natoms on are dropped.
void PairForces::Workspace::unpack(int natoms, Part part, double *f)
{
  const int end = std::min(part.end, natoms);
  for (auto &own : forces) {
    for (int i = part.begin; i < end; i++) {
      f[3 * i] += own[i].x;
      f[3 * i + 1] += own[i].y;
      f[3 * i + 2] += own[i].z;
    }
    std::fill(own.begin() + part.begin, own.begin() + part.end, PackedVector{});
  }
}

PairForces::PairForces(Instructions instructions) :
    instructions_(instructions), workspace_(std::make_unique<Workspace>())
{
  workspace_->kernel = kernel_of(instructions);
}

PairForces::~PairForces() = default;

bool PairForces::add(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                     int threads, ForceSums &sums)
{
  if (pairs.inum == 0) return false;
  Workspace &work = *workspace_;
  const int rows = atoms.nall + tables.ntypes;
  work.resize(rows, threads);
  for (int type = 1; type <= tables.ntypes; type++) {
    work.atoms[atoms.nall + type - 1] = {FAR_AWAY, FAR_AWAY, FAR_AWAY, 0.0};
    work.types[atoms.nall + type - 1] = type;
  }

  const ForceTask task = {
      work.atoms.data(),  work.types.data(), atoms.nlocal, atoms.nall, pairs, tables,
      tables.one_table(), sums.tally};
  std::vector<ForceThread> results(threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++)
    work.pack(atoms, part_of(atoms.nall, thread, threads));

#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    ForceThread mine = {work.forces[thread].data(), false, 0.0, {0.0}};
    for (int begin = thread * CHUNK; begin < pairs.inum; begin += threads * CHUNK)
      work.kernel(task, begin, std::min(begin + CHUNK, pairs.inum), mine);
    results[thread] = mine;
  }

  const int natoms = pairs.newton_pair ? atoms.nall : atoms.nlocal;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++)
    work.unpack(natoms, part_of(rows, thread, threads), sums.f);

  bool too_close = false;
  for (const ForceThread &result : results) {
    too_close |= result.too_close;
    sums.energy += result.energy;
    for (int k = 0; k < 6; k++) sums.virial[k] += result.virial[k];
  }
  return too_close;
}

double PairForces::memory_usage() const
{
  auto bytes = static_cast<double>(workspace_->atoms.capacity() * sizeof(PackedVector) +
                                   workspace_->types.capacity() * sizeof(int));
  for (const auto &own : workspace_->forces)
    bytes += static_cast<double>(own.capacity() * sizeof(PackedVector));
  return bytes;
}

}    // namespace diffsim
