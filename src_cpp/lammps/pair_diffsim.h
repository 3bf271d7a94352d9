// pair_style diffsim [eval table|exact] [tolerance E] [device cpu] [close wall|stop]
// pair_coeff * * FILE A B ...
//
// Simulates a pair potential as a C2 cubic spline in r^2, or evaluates the model itself.  The potential
// comes from a TorchScript archive or from a knots file.

#ifndef LMP_PAIR_DIFFSIM_H
#define LMP_PAIR_DIFFSIM_H

#include "../kernels/pair_kernels.h"
#include "../potential/model_file.h"

#include "pair.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
  void *extract(const char *, int &) override;
  void write_restart(FILE *) override;
  void read_restart(FILE *) override;
  void write_restart_settings(FILE *) override;
  void read_restart_settings(FILE *) override;
  double memory_usage() override;

  // for fix diffsim/counts: the potential, and the pairs that the forces were summed over
  const diffsim::PairTables &potential() const { return tables; }
  diffsim::NeighborPairs neighbor_pairs() const;
  int potentials_read() const { return reads; }    // changes when the potential does
  // why the energy is not that of the tables: a reason for a message, null if it is
  const char *other_than_table() const;

 private:
  void allocate();
  void broadcast(std::string &text, int root = 0) const;
  void stop_if_failed(std::string failure) const;
  void use(const std::string &knots_text, const std::string &bytes, const std::string &path);
  void make_tables();
  void report(const std::string &path, const std::string &tabulation);
  double energy_shift(int itype, int jtype) const;
  void compute_exact();
  void tally_pairs();
  void count_close_pairs();
  void stop_if_close() const;

  struct ClosePair {
    tagint tag_i, tag_j;
    int type_i, type_j;
    double distance, innermost;
  };
  struct Settings {
    double tolerance;
    int exact;         // the model itself instead of the table
    int close_stop;    // stop at a pair closer than the innermost knot
  } style;

  int reads = 0;
  diffsim::Knots knots;
  diffsim::PairTables tables;
  bool tables_shifted = false;
  diffsim::PairForces forces;
  std::string archive;                             // with `eval exact`
  std::unique_ptr<diffsim::PairFunction> model;    // with `eval exact`
  std::vector<int> species_of_type;                // [ntypes], -1 for NULL
  double **scale = nullptr;                        // [ntypes+1][ntypes+1], i <= j
  double special[4] = {1.0, 1.0, 1.0, 1.0};        // weights of bonded pairs in the last compute()
  std::int64_t close_pairs = 0;    // closer than the innermost knot, this run, this process, twice
  ClosePair closest = {};          // one of them
  std::string announced;           // the last line about kernels and threads
};

}    // namespace LAMMPS_NS

#endif
