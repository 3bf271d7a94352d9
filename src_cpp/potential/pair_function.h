// A pair potential as a function of the distance: what the tabulation needs of a model, whatever
// its file format.  A new format is a new class behind this interface.

#ifndef DIFFSIM_POTENTIAL_PAIR_FUNCTION_H
#define DIFFSIM_POTENTIAL_PAIR_FUNCTION_H

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace diffsim {

// The text is one or more full sentences for the user.
class PotentialError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Text from a file as a part of a message: not more than `longest` characters, all of them
// printable.
inline std::string quotable(const std::string &text, std::size_t longest = 60)
{
  std::string quoted = text.substr(0, longest);
  for (char &c : quoted)
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') c = '?';
  return text.size() > longest ? quoted + "..." : quoted;
}

// Where a model is evaluated.
struct Evaluation {
  bool on_gpu = false;
  int index = -1;        // of the GPU; if negative, processes take those of their machine in turn
  int local_rank = 0;    // number of this process on its machine
};

class PairFunction {
 public:
  virtual ~PairFunction() = default;

  // Energies u[i] and derivatives du_dr[i] of pairs of the species a[i] and b[i], 0-based, at
  // distances r[i], i = 0..n-1.  May return values that are not finite; throws PotentialError if
  // the model cannot be evaluated.
  virtual void evaluate(int n, const double *r, const std::int64_t *a, const std::int64_t *b,
                        double *u, double *du_dr) const = 0;

  const std::vector<std::string> &species() const { return species_; }
  const std::string &units() const { return units_; }
  double cutoff() const { return cutoff_; }

 protected:
  std::vector<std::string> species_;
  std::string units_;    // a LAMMPS units style
  double cutoff_ = 0.0;
};

}    // namespace diffsim

#endif
