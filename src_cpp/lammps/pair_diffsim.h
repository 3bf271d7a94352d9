// pair_style diffsim [eval table] [tolerance E] [device cpu]
// pair_coeff * * model.pt A B ...
//
// Simulates a pair potential as a C2 cubic spline in r^2.  The potential comes from a TorchScript
// archive or from a knots file.

#ifndef LMP_PAIR_DIFFSIM_H
#define LMP_PAIR_DIFFSIM_H

#include "../potential/knots.h"

#include "pair.h"

#include <cstdint>
#include <string>
#include <vector>

namespace diffsim {
struct NeighborPairs;
}

namespace LAMMPS_NS {

class PairDiffSim : public Pair {
 public:
  explicit PairDiffSim(class LAMMPS *);
  ~PairDiffSim() override;

  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;
  double single(int, int, int, int, double, double, double, double &) override;
  void finish() override;
  double memory_usage() override;

  // for fix diffsim/counts: the potential, and the pairs that the forces were summed over
  const diffsim::PairTables &potential() const { return tables; }
  diffsim::NeighborPairs neighbor_pairs() const;
  int potentials_read() const { return reads; }    // changes when the potential does

 private:
  void allocate();
  std::string read_potential(const std::string &path, std::string &report) const;
  void map_species(int, char **);

  double tolerance;
  int reads = 0;
  diffsim::Knots knots;
  diffsim::PairTables tables;
  std::vector<int> species_of_type;            // [ntypes], -1 for NULL
  double special[4] = {1.0, 1.0, 1.0, 1.0};    // weights of bonded pairs in the last compute()
  std::int64_t close_pairs = 0;    // closer than the innermost knot, this run, this process
};

}    // namespace LAMMPS_NS

#endif
