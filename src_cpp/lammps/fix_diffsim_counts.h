// fix ID all diffsim/counts N [rdf BINS RANGE] [molecule off|inter]
//
// Every N steps records a frame: the pair and virial counts in the basis of the spline of
// pair_style diffsim, the histogram of pair distances, and the scalars of the state.  Each process
// counts its own pairs; one reduction at the end of the run completes the frames.

#ifndef LMP_FIX_DIFFSIM_COUNTS_H
#define LMP_FIX_DIFFSIM_COUNTS_H

#include "../kernels/frames.h"
#include "../kernels/rdf_kernel.h"

#include "fix.h"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace LAMMPS_NS {

class FixDiffSimCounts : public Fix {
 public:
  FixDiffSimCounts(class LAMMPS *, int, char **);

  int setmask() override;
  void init() override;
  void setup(int) override;
  void end_of_step() override;
  void post_run() override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  double compute_scalar() override;
  double memory_usage() override;

  // Hands the completed frames over and starts anew.  Nothing is copied.
  std::unique_ptr<diffsim::Frames> take_frames();

 private:
  void read_keywords(int, char **);
  void check_potential() const;
  std::array<double, 3> box_widths() const;
  void check_range() const;
  void check_box() const;
  std::vector<std::int64_t> atoms_of_types() const;
  std::vector<std::int64_t> pairs_of_types() const;
  void find_molecules();
  void new_frames();

  int rdf_bins = 0;
  double rdf_range = 0.0;
  bool intermolecular = false;    // the histogram leaves out pairs within a molecule
  class Pair *pair = nullptr;     // null if the simulation does not use pair_style diffsim
  class CountedStyle *counted = nullptr;         // the same
  std::unique_ptr<diffsim::Frames> completed;    // of earlier runs, summed over processes
  std::unique_ptr<diffsim::Frames> current;      // of this run, this process's share
  int potential = 0, completed_potential = 0;    // which reading of pair_coeff they belong to
  std::unique_ptr<diffsim::RdfHistogram> histogram;
  std::vector<std::int64_t> molecules;    // [local + ghost], if intermolecular
  class Compute *energy = nullptr;
  class Compute *pressure = nullptr;
  class Compute *temperature = nullptr;
};

}    // namespace LAMMPS_NS

#endif
