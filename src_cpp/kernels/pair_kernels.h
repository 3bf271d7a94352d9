// Sums over a neighbour list: forces, energy and virial; and the pair counts in the spline's basis.
// Plain arrays in, plain arrays out; neither LAMMPS nor torch.

#ifndef DIFFSIM_KERNELS_PAIR_KERNELS_H
#define DIFFSIM_KERNELS_PAIR_KERNELS_H

#include "pair_tables.h"

#include <cstdint>

namespace diffsim {

struct Atoms {
  const double *x;    // [local + ghost][3]
  const int *type;    // [local + ghost], 1-based
  int nlocal;         // atoms from nlocal on are ghosts
};

// A half list: each pair of local atoms is in it once.  With newton_pair a pair across a boundary is
// in the list of one of its two owners, else in the lists of both.
struct NeighborPairs {
  int inum;
  const int *ilist;
  const int *numneigh;
  int *const *firstneigh;
  int index_mask;           // neighbour entry & index_mask = index of the atom
  int special_shift;        // (entry >> special_shift) & 3 = kind of bonded neighbour, 0..3
  const double *special;    // [4] weights of these kinds
  bool newton_pair;
};

// What a force call adds up.  Energy and virial follow LAMMPS's rule: half of a pair's share goes to
// each of its atoms, and only local atoms' shares are summed when newton_pair is off.
struct ForceSums {
  double *f;                  // [local + ghost][3], added to
  double energy;              // added to if tally_energy
  double virial[6];           // xx yy zz xy xz yz, added to if tally_virial
  double *energy_per_atom;    // [local + ghost] or null
  double *virial_per_atom;    // [local + ghost][6] or null
  bool tally_energy;
  bool tally_virial;
};

// Adds forces (and what `sums` asks for).  Returns twice the number of pairs closer than the innermost
// knot, which feel the linear continuation of the spline: twice, since without newton_pair half
// of a pair across a boundary belongs to either process.
std::int64_t pair_forces(const Atoms &atoms, const NeighborPairs &pairs,
                         const PairTablesView &tables, ForceSums &sums);

// Adds this process's share of the pair counts n_b = sum_{i<j} special B_b(r_ij^2) of a
// configuration, per pair of types: counts[unordered_pairs(ntypes)][knots+2].  The energy of the pairs
// of types (i, j) is the dot product with the spline coefficients of their table, exactly.
void pair_counts(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                 double *counts);

}    // namespace diffsim

#endif
