// The pairs of a neighbour list with the model's own energies and forces, without a table.

#ifndef DIFFSIM_POTENTIAL_EXACT_PAIRS_H
#define DIFFSIM_POTENTIAL_EXACT_PAIRS_H

#include "../kernels/pair_loop.h"
#include "pair_function.h"

#include <functional>

namespace diffsim {

// Visits every pair within its cutoff: body(pair, energy, force over distance), both multiplied by
// the pair's weight and scale.  The model is evaluated in blocks of pairs, so that the memory that
// it takes does not grow with the system.  species[type-1] is the model's number of a type's
// species. Throws PotentialError where an energy or a force is not finite.
void for_each_exact_pair(const Atoms &atoms, const NeighborPairs &pairs,
                         const PairTablesView &tables, const PairFunction &model,
                         const std::vector<int> &species,
                         const std::function<void(const ListedPair &, double, double)> &body);

}    // namespace diffsim

#endif
