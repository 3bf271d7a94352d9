// Sums over a neighbour list: forces, energy and virial; and the pair counts in the spline's basis.
// Plain arrays in, plain arrays out; neither LAMMPS nor torch.

#ifndef DIFFSIM_KERNELS_PAIR_KERNELS_H
#define DIFFSIM_KERNELS_PAIR_KERNELS_H

#include "pair_tables.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace diffsim {

struct Atoms {
  const double *x;    // [local + ghost][3]
  const int *type;    // [local + ghost], 1-based
  int nlocal;         // atoms from nlocal on are ghosts
  int nall;           // local + ghost
};

// A half list: each pair of local atoms is in it once.  With newton_pair a pair across a boundary
// is in the list of one of its two owners, else in the lists of both.  In a full list, which has no
// newton_pair, pairs of local atoms are in it twice, once for each of them.
struct NeighborPairs {
  int inum;
  const int *ilist;
  const int *numneigh;
  int *const *firstneigh;
  int index_mask;           // neighbour entry & index_mask = index of the atom
  int special_shift;        // (entry >> special_shift) & 3 = kind of bonded neighbour, 0..3
  const double *special;    // [4] weights of these kinds
  bool bonded;              // whether entries can have bits of such a kind at all
  bool newton_pair;
  bool full = false;
};

// What a force call adds up.  Energy and virial follow LAMMPS's rule: half of a pair's share goes
// to each of its atoms, and only local atoms' shares are summed when newton_pair is off.
struct ForceSums {
  double *f;           // [local + ghost][3], added to; ghosts only with newton_pair
  bool tally;          // whether energy and virial are wanted
  double energy;       // added to
  double virial[6];    // xx yy zz xy xz yz, added to
};

// The instructions that the force kernel uses.
enum class Instructions : std::uint8_t { PORTABLE, AVX2, AVX512 };

// The names in the order of the enumeration: "portable", "avx2", "avx512".
const char *name(Instructions instructions);

// The fastest that this processor has and this program was compiled for.
Instructions fastest_instructions();

// The instructions of this name.  Throws std::invalid_argument, with a sentence, where there are
// none or the processor lacks them.
Instructions instructions_named(const std::string &name);

// Forces on the threads of one process.  An object keeps its working memory from call to call.
class PairForces {
 public:
  explicit PairForces(Instructions instructions);
  ~PairForces();
  PairForces(const PairForces &) = delete;
  PairForces &operator=(const PairForces &) = delete;

  // Adds forces (and what `sums` asks for).  Returns whether a pair was closer than the innermost
  // knot, where the spline is continued linearly.  The result depends on the number of threads
  // only by rounding, and is the same from call to call.
  bool add(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
           int threads, ForceSums &sums);

  Instructions instructions() const { return instructions_; }
  double memory_usage() const;    // bytes

 private:
  struct Workspace;
  Instructions instructions_;
  std::unique_ptr<Workspace> workspace_;
};

// Brings the neighbours of each atom into the order of their types, which makes forces of mixtures
// faster, and changes nothing else.  For a list that has just been built.
void sort_neighbors_by_type(const NeighborPairs &pairs, const Atoms &atoms,
                            const PairTablesView &tables);

// Adds this process's share of the pair counts and the virial counts of a configuration,
//
//     n_b = sum_{i<j} special B_b(s),   v_b = sum_{i<j} special 2 s B_b'(s),   s = r_ij^2,
//
// per pair of types: counts and virial[unordered_pairs(ntypes)][knots+2].  The dot products with
// the spline coefficients of the table of the types (i, j) are the energy of their pairs and the
// sum of r phi'(r) over them, exactly.
void pair_counts(const Atoms &atoms, const NeighborPairs &pairs, const PairTablesView &tables,
                 double *counts, double *virial);

}    // namespace diffsim

#endif
