// pair_style diffsim on a GPU: which one, and what goes there.

#include "pair_diffsim.h"

#include "rank_on_machine.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "universe.h"
#include "utils.h"

#include <algorithm>
#include <string>
#include <vector>

using namespace LAMMPS_NS;
using namespace diffsim;

/* ---------------------------------------------------------------------- */

void PairDiffSim::set_device(const std::string &word)
{
  const bool numbered = word.compare(0, 5, "cuda:") == 0 && utils::is_integer(word.substr(5));
  if (word != "cpu" && word != "cuda" && !numbered)
    error->all(FLERR,
               "Pair style diffsim: device must be 'cpu', 'cuda', or 'cuda:N' with the number N of "
               "a GPU, but is '{}'.",
               word);
  device.cuda = word != "cpu";
  device.index = numbered ? utils::inumeric(FLERR, word.substr(5), false, lmp) : -1;
  if (numbered && device.index < 0)
    error->all(FLERR, "Pair style diffsim: GPUs are numbered from 0, but device is '{}'.", word);
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::set_precision(const std::string &word)
{
  const auto *const found = std::find(std::begin(PRECISIONS), std::end(PRECISIONS), word);
  if (found == std::end(PRECISIONS))
    error->all(FLERR,
               "Pair style diffsim: precision must be 'single', 'mixed' or 'double', but is '{}'.",
               word);
  device.precision = static_cast<Precision>(found - std::begin(PRECISIONS));
}

/* ----------------------------------------------------------------------
   the GPU of this process: the one that is named, or they take those of their machine in turn
------------------------------------------------------------------------- */

void PairDiffSim::open_gpu()
{
  gpu.reset();
  gpu_pairs.reset();
  gpu_has_tables = false;
  gpu_list_built = NEVER;
  // forces on a GPU are those on local atoms; their virial is computed with them
  const bool all_on_gpu = device.cuda && style.exact == 0;
  if (all_on_gpu || without_fdotr) no_virial_fdotr_compute = all_on_gpu ? 1 : 0;
  without_fdotr = all_on_gpu;
  if (!device.cuda) return;
  // partitions go their own ways: none waits for the others here
  device.local_rank = rank_on_machine(world) + universe->root_proc[universe->iworld];
  if (style.exact) return;
  std::string failure;
  try {
    gpu = std::make_unique<Gpu>(device.index, device.local_rank);
    gpu_pairs = gpu->pairs(device.precision);
  } catch (const GpuError &e) {
    failure = e.what();
  }
  stop_if_failed(failure);
}

/* ----------------------------------------------------------------------
   the numbers of the GPUs, which those of another machine may have as well, by process
------------------------------------------------------------------------- */

std::string PairDiffSim::gpus_of_all() const
{
  constexpr int MOST = 16;    // in a message
  std::vector<int> all(comm->nprocs);
  const int mine = gpu->index();
  MPI_Allgather(&mine, 1, MPI_INT, all.data(), 1, MPI_INT, world);
  std::string text = comm->nprocs > 1 ? "GPUs " : "GPU ";
  for (int rank = 0; rank < std::min(comm->nprocs, MOST); rank++)
    text += (rank ? ", " : "") + std::to_string(all[rank]);
  return text + (comm->nprocs > MOST ? ", ..." : "");
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::bring_to_gpu(const Atoms &atoms, bool new_list)
{
  if (!gpu_has_tables) gpu_pairs->set_tables(tables.view());
  gpu_has_tables = true;
  if (new_list || gpu_list_built != neighbor->lastcall)
    gpu_pairs->set_list(atoms, neighbor_pairs());
  gpu_list_built = neighbor->lastcall;
}

/* ---------------------------------------------------------------------- */

bool PairDiffSim::add_on_gpu(const Atoms &atoms, ForceSums &sums)
{
  try {
    bring_to_gpu(atoms, neighbor->ago == 0);
    return gpu_pairs->add_forces(atoms, special, sums);
  } catch (const GpuError &e) {
    error->one(FLERR, "Pair style diffsim: {}", e.what());
  }
  return false;
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::add_counts(double *counts, double *counts_virial)
{
  const Atoms atoms = {atom->nlocal ? atom->x[0] : nullptr, atom->type, atom->nlocal,
                       atom->nlocal + atom->nghost};
  if (list->inum == 0) return;
  if (!gpu_pairs) {
    pair_counts(atoms, neighbor_pairs(), tables.view(), counts, counts_virial);
    return;
  }
  try {
    bring_to_gpu(atoms, false);
    gpu_pairs->add_counts(atoms, special, counts, counts_virial);
  } catch (const GpuError &e) {
    error->one(FLERR, "Pair style diffsim: {}", e.what());
  }
}
