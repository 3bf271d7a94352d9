#include "intramolecular_pairs.h"

#include "../kernels/pair_tables.h"

#include <cstddef>
#include <map>
#include <utility>

namespace diffsim {

namespace {

// the numbers of all processes, one process's behind the other's
std::vector<std::int64_t> of_all_processes(const std::vector<std::int64_t> &here, MPI_Comm world)
{
  int processes;
  MPI_Comm_size(world, &processes);
  const int length = static_cast<int>(here.size());
  std::vector<int> lengths(processes), begins(processes, 0);
  MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, world);
  for (int p = 1; p < processes; p++) begins[p] = begins[p - 1] + lengths[p - 1];
  std::vector<std::int64_t> all(begins.back() + lengths.back());
  MPI_Allgatherv(here.data(), length, MPI_INT64_T, all.data(), lengths.data(), begins.data(),
                 MPI_INT64_T, world);
  return all;
}

}    // namespace

std::vector<std::int64_t> intramolecular_pairs(int nlocal, const int *type,
                                               const std::int64_t *molecule, int ntypes,
                                               MPI_Comm world)
{
  std::map<std::pair<std::int64_t, int>, std::int64_t> atoms;    // of a molecule and a type
  for (int i = 0; i < nlocal; i++)
    if (molecule[i] > 0) atoms[{molecule[i], type[i] - 1}]++;
  std::vector<std::int64_t> here;
  for (const auto &[which, number] : atoms)
    here.insert(here.end(), {which.first, which.second, number});
  const std::vector<std::int64_t> all = of_all_processes(here, world);

  std::map<std::int64_t, std::vector<std::int64_t>> molecules;    // atoms of each type
  for (size_t k = 0; k < all.size(); k += 3) {
    std::vector<std::int64_t> &of_types = molecules[all[k]];
    of_types.resize(ntypes, 0);
    of_types[all[k + 1]] += all[k + 2];
  }
  std::vector<std::int64_t> pairs(unordered_pairs(ntypes), 0);
  for (const auto &[number, n] : molecules)
    for (int a = 0; a < ntypes; a++)
      for (int b = a; b < ntypes; b++)
        pairs[unordered_pair(a, b, ntypes)] += a == b ? n[a] * (n[a] - 1) / 2 : n[a] * n[b];
  return pairs;
}

}    // namespace diffsim
