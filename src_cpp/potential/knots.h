// model -> knots: a pair potential as values at knots uniform in r^2, per species pair.

#ifndef DIFFSIM_POTENTIAL_KNOTS_H
#define DIFFSIM_POTENTIAL_KNOTS_H

#include "../kernels/pair_tables.h"
#include "pair_function.h"

#include <string>
#include <vector>

namespace diffsim {

// Cutoffs between these have squares, and their inverse, that are numbers.
constexpr double SHORTEST_CUTOFF = 1.0e-20;
constexpr double LONGEST_CUTOFF = 1.0e20;
constexpr const char *CUTOFF_IS = "a distance from 1e-20 to 1e20";

// Energies at knots are below this, so that the coefficients of the spline are numbers.
constexpr double LARGEST_ENERGY = 1.0e300;

constexpr size_t LONGEST_NAME = 100;    // of a species, in bytes

struct Knots {
  std::string units;
  std::vector<std::string> species;
  double cutoff = 0.0;
  int knots = 0;
  std::vector<double> inner;     // [species pairs] distance of the innermost knot
  std::vector<double> outer;     // [species pairs] of the outermost knot, at most the cutoff
  std::vector<double> values;    // [species pairs][knots] energies

  int pairs() const { return unordered_pairs(static_cast<int>(species.size())); }
  const double *pair_values(int pair) const
  {
    return values.data() + static_cast<long>(pair) * knots;
  }
};

// The largest deviations of the spline from the model, relative to the larger of the quantity
// itself and its scale: kT for energies, kT/cutoff for forces, at the reference temperature of
// the units style.
struct SplineError {
  double energy = 0.0;
  double force = 0.0;
  double energy_at = 0.0;    // distances of the largest deviations
  double force_at = 0.0;

  double largest() const { return energy > force ? energy : force; }
};

// kT at 300 K, or 1 in reduced (lj) units, in the energy unit of a LAMMPS units style.
// Throws PotentialError for an unknown style.
double reference_energy(const std::string &units);

// The distances between which a pair of species has its knots.
struct Range {
  double inner, outer;
};

// The innermost distance worth a knot: where, coming from the cutoff, the energy first exceeds 1000
// reference energies; for a potential that never does so, 100; for one that does not reach these
// either, a hundredth of the cutoff.  One that turns over and falls below minus 1000 reference
// energies (Buckingham's) from its summit on.  The outermost one: where the energy becomes exactly
// zero, if that is before the cutoff, so that an energy or a force that ends with a step does so at
// a knot. Throws PotentialError where the energy is NaN before that.
Range pair_range(const PairFunction &model, int a, int b);

// The ranges of all species pairs, in the order of the arrays.
std::vector<Range> pair_ranges(const PairFunction &model);

// Throws PotentialError where the model's energy of two species depends on their order.
void check_symmetry(const PairFunction &model);

// Values of the model at knots within the given ranges of the species pairs.  Throws PotentialError
// where one is not finite.
Knots sample(const PairFunction &model, int knots, const std::vector<Range> &ranges);

// The error of the spline through `knots` at the places between the knots where the error of a
// cubic spline's value and slope is largest, t = 1/2 and t = (3 +- sqrt 3)/6.
SplineError spline_error(const PairFunction &model, const Knots &knots);

// Adds a quarter more intervals until the spline holds the tolerance.  Throws PotentialError
// when MAX_KNOTS do not.
constexpr int MAX_KNOTS = 65537;
Knots tabulate(const PairFunction &model, const std::vector<Range> &ranges, double tolerance,
               SplineError &error);

// The same potential with zero energy at the outermost knots, as 'pair_modify shift yes' makes it.
Knots shifted(Knots knots);

// The splines for LAMMPS types: species_of_type[itype-1] is the species of type itype, or -1.
// Scales are 1.
PairTables make_tables(const Knots &knots, const std::vector<int> &species_of_type);

// "AB" pair (0,0), (0,1), ... of the knots' arrays as names for messages: "A-B"
std::string pair_name(const std::vector<std::string> &species, int a, int b);

}    // namespace diffsim

#endif
