// pair_style diffsim [eval table|exact] [tolerance E] [close wall|stop] [device cpu|cuda|cuda:N]
//                    [precision single|mixed|double]
// pair_coeff * * FILE A B ...
//
// Simulates a pair potential as a C2 cubic spline in r^2, or evaluates the model itself.  The
// potential comes from a TorchScript archive or from a knots file.

#ifndef LMP_PAIR_DIFFSIM_H
#define LMP_PAIR_DIFFSIM_H

#include "../kernels/cuda/gpu.h"
#include "../kernels/pair_kernels.h"
#include "../potential/model_file.h"
#include "counted_style.h"

#include "pair.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairDiffSim : public Pair, public CountedStyle {
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

  // for fix diffsim/counts
  int basis() const override;
  int revision() const override { return reads; }
  const char *other_than_basis() const override;
  void add_counts(double *counts, double *virial) override;

  // for fix diffsim/trajectory: the potential, and whether forces are sums of doubles, as those
  // that an adjoint computes again
  const diffsim::PairTables &potential() const { return tables; }
  bool in_doubles() const { return !gpu_pairs || device.precision == diffsim::Precision::DOUBLE; }

 private:
  void allocate();
  void forget_potential();
  diffsim::NeighborPairs neighbor_pairs() const;
  void stop_if_failed(const std::string &failure) const;
  void use(const std::string &knots_text, const std::string &bytes, const std::string &path);
  void make_tables();
  void set_device(const std::string &);
  void set_precision(const std::string &);
  void open_gpu();
  std::string announcement() const;
  std::string gpus_of_all() const;
  void bring_to_gpu(const diffsim::Atoms &, bool new_list);
  bool add_on_gpu(const diffsim::Atoms &, diffsim::ForceSums &);
  void report(const std::string &path, const std::string &tabulation);
  double energy_shift(int itype, int jtype) const;
  void compute_table();
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
  static constexpr const char *PRECISIONS[] = {"single", "mixed", "double"};
  // of this run, and not of a restart file
  struct Device {
    bool cuda = false;
    int index = -1;        // of the GPU; -1 for one that is chosen
    int local_rank = 0;    // number of this process on its machine
    diffsim::Precision precision = diffsim::Precision::DOUBLE;
  } device;

  int reads = 0;
  diffsim::Knots knots;
  diffsim::PairTables tables;
  bool tables_shifted = false;
  diffsim::PairForces forces;
  std::unique_ptr<diffsim::Gpu> gpu;               // with `device cuda`
  std::unique_ptr<diffsim::GpuPairs> gpu_pairs;    // with `device cuda` and `eval table`
  bool gpu_has_tables = false;
  bool without_fdotr = false;    // whether it was the GPU that asked for it
  static constexpr bigint NEVER = -2;
  bigint gpu_list_built = NEVER;                   // the step whose list the GPU has
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
