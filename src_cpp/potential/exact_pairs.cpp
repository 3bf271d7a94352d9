#include "exact_pairs.h"

#include <cmath>

namespace diffsim {

namespace {

// A network of three layers of 64 units takes about 10 kB a pair with its gradients: 160 MB.
constexpr size_t BLOCK = 16384;

}    // namespace

void for_each_exact_pair(const Atoms &atoms, const NeighborPairs &pairs,
                         const PairTablesView &tables, const PairFunction &model,
                         const std::vector<int> &species,
                         const std::function<void(const ListedPair &, double, double)> &body)
{
  std::vector<ListedPair> block;
  std::vector<double> r, u(BLOCK), du_dr(BLOCK);
  std::vector<std::int64_t> a, b;
  auto evaluate = [&] {
    if (block.empty()) return;
    model.evaluate(static_cast<int>(block.size()), r.data(), a.data(), b.data(), u.data(),
                   du_dr.data());
    for (size_t k = 0; k < block.size(); k++) {
      const ListedPair &pair = block[k];
      const double weight = pair.special * pair.table->scale;
      const double force = -du_dr[k] / r[k];
      if (!std::isfinite(u[k]) || !std::isfinite(force))
        throw PotentialError("The model's energy is " + std::to_string(u[k]) +
                             " and its derivative " + std::to_string(du_dr[k]) + " at distance " +
                             std::to_string(r[k]) +
                             "; they must be finite. Begin with atoms that "
                             "do not overlap, or use 'eval table', which continues the potential "
                             "below its innermost knot.");
      body(pair, weight * u[k], weight * force);
    }
    block.clear();
    r.clear();
    a.clear();
    b.clear();
  };
  for_each_pair(atoms, pairs, tables, [&](const ListedPair &pair) {
    // bonded neighbours may be where the model has no meaning
    if (pair.special == 0.0) return;
    block.push_back(pair);
    r.push_back(std::sqrt(pair.rsq));
    a.push_back(species[atoms.type[pair.i] - 1]);
    b.push_back(species[atoms.type[pair.j] - 1]);
    if (block.size() == BLOCK) evaluate();
  });
  evaluate();
}

}    // namespace diffsim
