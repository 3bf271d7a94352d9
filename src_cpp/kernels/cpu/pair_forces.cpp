// The threads around the force kernel: positions are packed, every thread sums into forces of its
// own, and these are added up.

#include "../pair_kernels.h"
#include "force_kernel.h"

#include <algorithm>

namespace diffsim {

namespace {

// Atoms that a thread takes at a time, in turn.  Neighbouring atoms have about the same number of
// neighbours, so that this balances systems that do not fill their box; the share of a thread does
// not depend on the course of time, so that sums are the same in every run.
constexpr int CHUNK = 64;

// beyond every cutoff, with a finite square
constexpr double FAR_AWAY = 1.0e30;

// vectors of the widest kernel; one to fill the last one up, one for what compression writes behind
constexpr size_t PADDING = 16;

ForceKernel *kernel_of(Instructions instructions)
{
#ifdef DIFFSIM_X86_KERNELS
  if (instructions == Instructions::AVX512) return force_kernel_avx512;
  if (instructions == Instructions::AVX2) return force_kernel_avx2;
#endif
  (void)instructions;
  return force_kernel_portable;
}

bool have_one_table(const PairTablesView &tables)
{
  const PairTable &first = tables.pair(1, 1);
  for (int i = 1; i <= tables.ntypes; i++)
    for (int j = 1; j <= tables.ntypes; j++) {
      const PairTable &other = tables.pair(i, j);
      if (other.rows != first.rows || other.s_cutoff != first.s_cutoff ||
          other.scale != first.scale)
        return false;
    }
  return true;
}

// The numbers [0, n) in `threads` parts.
struct Part {
  int begin, end;
};

Part part_of(int n, int thread, int threads)
{
  auto border = [&](int k) { return static_cast<int>(static_cast<std::int64_t>(n) * k / threads); };
  return {border(thread), border(thread + 1)};
}

}    // namespace

struct PairForces::Workspace {
  struct Thread {
    // zero between calls: the pass that adds them up clears them
    std::vector<PackedVector> forces;
    std::vector<double> doubles;
    std::vector<std::int64_t> offsets;
  };

  ForceKernel *kernel;
  std::vector<PackedVector> atoms;
  std::vector<int> types;
  std::vector<Thread> threads;

  void resize(int nall, int most_neighbors, int nthreads);
  ForceThread begin(int thread);
  void pack(const Atoms &from, Part part);
  void unpack(int natoms, Part part, double *f);
};

void PairForces::Workspace::resize(int nall, int most_neighbors, int nthreads)
{
  const size_t rows = static_cast<size_t>(nall) + 1;
  if (atoms.size() < rows) atoms.resize(rows + rows / 8);
  types.resize(atoms.size());
  threads.resize(nthreads);
  const size_t room = most_neighbors + PADDING;
  for (auto &thread : threads) {
    if (thread.forces.size() < rows) thread.forces.resize(atoms.size(), PackedVector{});
    if (thread.offsets.size() < room) {
      thread.offsets.resize(room);
      thread.doubles.resize(5 * room);
    }
  }
}

ForceThread PairForces::Workspace::begin(int thread)
{
  Thread &own = threads[thread];
  const size_t room = own.offsets.size();
  double *const d = own.doubles.data();
  return {own.forces.data(), false, 0.0, {0.0}};
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
  for (auto &thread : threads) {
    PackedVector *const forces = thread.forces.data();
    for (int i = part.begin; i < part.end; i++) {
      if (i < natoms) {
        f[3 * i] += forces[i].x;
        f[3 * i + 1] += forces[i].y;
        f[3 * i + 2] += forces[i].z;
      }
      forces[i] = PackedVector{};
    }
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
  int most_neighbors = 0;
  for (int ii = 0; ii < pairs.inum; ii++)
    most_neighbors = std::max(most_neighbors, pairs.numneigh[pairs.ilist[ii]]);
  Workspace &work = *workspace_;
  work.resize(atoms.nall, most_neighbors, threads);
  work.atoms[atoms.nall] = {FAR_AWAY, FAR_AWAY, FAR_AWAY, 0.0};
  work.types[atoms.nall] = 0;

  const ForceTask task = {
      work.atoms.data(),      work.types.data(), atoms.nlocal, atoms.nall, pairs, tables,
      have_one_table(tables), sums.tally};
  std::vector<ForceThread> results(threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++)
    work.pack(atoms, part_of(atoms.nall, thread, threads));

#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) {
    ForceThread mine = work.begin(thread);
    for (int begin = thread * CHUNK; begin < pairs.inum; begin += threads * CHUNK)
      work.kernel(task, begin, std::min(begin + CHUNK, pairs.inum), mine);
    results[thread] = mine;
  }

  const int natoms = pairs.newton_pair ? atoms.nall : atoms.nlocal;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++)
    work.unpack(natoms, part_of(atoms.nall + 1, thread, threads), sums.f);

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
  double bytes = static_cast<double>(workspace_->atoms.capacity() * sizeof(PackedVector));
  for (const auto &thread : workspace_->threads)
    bytes += static_cast<double>(thread.forces.capacity() * sizeof(PackedVector) +
                                 thread.doubles.capacity() * sizeof(double) +
                                 thread.offsets.capacity() * sizeof(std::int64_t));
  return bytes;
}

}    // namespace diffsim
