// The kernels on arrays that end where their data ends, for `make sanitize`: LAMMPS's own arrays have
// room behind the atoms, and the lists of neighbours lie in one block, so that a read beyond them
// would go unseen.  Every kernel must give what the plain loop over the pairs gives.

#include "../../src_cpp/kernels/pair_loop.h"
#include "../../src_cpp/kernels/rdf_kernel.h"
#include "../../src_cpp/potential/knots.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <vector>

using namespace diffsim;

namespace {

constexpr int MASK = 0x1FFFFFFF;    // as in LAMMPS
constexpr int SHIFT = 30;
constexpr double SPECIAL[4] = {1.0, 0.0, 0.5, 0.25};
constexpr double SIZE = 6.0;    // of the box

std::mt19937 generator(1);

int random_int(int from, int to)
{
  return std::uniform_int_distribution<int>(from, to)(generator);
}

double random_double(double to)
{
  return std::uniform_real_distribution<double>(0.0, to)(generator);
}

Knots some_knots(int nspecies)
{
  Knots knots;
  knots.units = "lj";
  knots.cutoff = 2.5;
  knots.knots = random_int(MIN_KNOTS, 40);
  for (int a = 0; a < nspecies; a++) knots.species.emplace_back(1, static_cast<char>('A' + a));
  for (int pair = 0; pair < knots.pairs(); pair++) {
    knots.inner.push_back(0.5 + random_double(0.5));
    knots.outer.push_back(random_int(0, 1) ? 2.5 : 1.5 + random_double(1.0));
    for (int k = 0; k < knots.knots; k++) knots.values.push_back(random_double(2.0) - 1.0);
  }
  return knots;
}

void expect(double ours, double reference, double scale, const char *what)
{
  if (std::fabs(ours - reference) <= 1e-11 * scale) return;
  std::fprintf(stderr, "%s: %.17g instead of %.17g\n", what, ours, reference);
  std::exit(1);
}

// A configuration with its list of neighbours, each array as long as what is in it.
struct Configuration {
  Configuration(int nlocal, int nghost, int ntypes, bool bonded, bool newton_pair) :
      newton(newton_pair), with_bonds(bonded), local(nlocal), x(3 * (nlocal + nghost))
  {
    const int nall = nlocal + nghost;
    for (double &coordinate : x) coordinate = random_double(SIZE);
    if (random_int(0, 4) == 0) x[random_int(0, 3 * nall - 1)] = NAN;    // a run that blows up
    for (int i = 0; i < nall; i++) type.push_back(random_int(1, ntypes));
    for (int i = 0; i < nlocal; i++) {
      std::vector<int> own;
      for (int j = i + 1; j < nall; j++)
        if (random_int(0, 3) > 0) own.push_back(bonded ? j | random_int(0, 3) << SHIFT : j);
      own.shrink_to_fit();
      lists.push_back(std::move(own));
    }
    for (auto &own : lists) {
      numneigh.push_back(static_cast<int>(own.size()));
      firstneigh.push_back(own.data());
    }
    for (int i = 0; i < nlocal; i++)
      if (random_int(0, 9) > 0) ilist.push_back(i);
    for (auto *integers : {&type, &numneigh, &ilist}) integers->shrink_to_fit();
    firstneigh.shrink_to_fit();
  }

  Atoms atoms() const { return {x.data(), type.data(), local, static_cast<int>(type.size())}; }
  NeighborPairs pairs() const
  {
    return {static_cast<int>(ilist.size()),
            ilist.data(),
            numneigh.data(),
            firstneigh.data(),
            MASK,
            SHIFT,
            SPECIAL,
            with_bonds,
            newton};
  }

  bool newton, with_bonds;
  int local;
  std::vector<double> x;
  std::vector<int> type, numneigh, ilist;
  std::vector<std::vector<int>> lists;
  std::vector<int *> firstneigh;
};

void check(const Configuration &configuration, const PairTables &tables, Instructions instructions,
           PairForces &forces)
{
  const Atoms atoms = configuration.atoms();
  const NeighborPairs pairs = configuration.pairs();
  const int natoms = pairs.newton_pair ? atoms.nall : atoms.nlocal;
  std::vector<double> f(3 * natoms), reference(3 * natoms);
  double energy = 0.0, scale = 1.0;
  bool finite = true;
  for (const double coordinate : configuration.x) finite = finite && std::isfinite(coordinate);
  for_each_pair(atoms, pairs, tables.view(), [&](const ListedPair &pair) {
    double fpair;
    const double phi = pair_energy(*pair.table, tables.knots, pair.rsq, fpair);
    const double share = pairs.newton_pair || pair.j < atoms.nlocal ? 1.0 : 0.5;
    energy += share * pair.special * phi;
    for (int k = 0; k < 3; k++) {
      const double pull = pair.special * fpair * pair.d[k];
      reference[3 * pair.i + k] += pull;
      if (pair.j < natoms) reference[3 * pair.j + k] -= pull;
      scale += std::fabs(pull);
    }
    scale += std::fabs(phi);
  });
  ForceSums sums = {f.data(), random_int(0, 1) == 1, 0.0, {0.0}};
  forces.add(atoms, pairs, tables.view(), random_int(1, 3), sums);
  if (!finite) return;
  for (int k = 0; k < 3 * natoms; k++) expect(f[k], reference[k], scale, name(instructions));
  if (sums.tally) expect(sums.energy, energy, scale, name(instructions));
}

void check_counts(const Configuration &configuration, const PairTables &tables, int ntypes)
{
  const Atoms atoms = configuration.atoms();
  std::vector<double> counts(static_cast<size_t>(unordered_pairs(ntypes)) *
                             basis_size(tables.knots));
  std::vector<double> virial(counts.size());
  pair_counts(atoms, configuration.pairs(), tables.view(), counts.data(), virial.data());
  const int bins = random_int(1, 50);
  const double width = random_double(0.2) + 0.01;
  std::vector<std::int64_t> molecule(random_int(0, 1) ? atoms.nall : 0);
  for (std::int64_t &each : molecule) each = random_int(0, 9);
  std::vector<double> histogram(static_cast<size_t>(unordered_pairs(ntypes)) * bins);
  RdfHistogram rdf(ntypes, bins, width);
  for (int repeat = 0; repeat < 2; repeat++)
    rdf.add(atoms, molecule.empty() ? nullptr : molecule.data(), histogram.data());
  double found = 0.0, reference = 0.0;
  for (const double pairs : histogram) found += pairs;
  for (int i = 0; i < atoms.nlocal; i++)
    for (int j = 0; j < atoms.nall; j++) {
      const bool together = !molecule.empty() && molecule[i] > 0 && molecule[i] == molecule[j];
      double rsq = 0.0;
      for (int d = 0; d < 3; d++) rsq += std::pow(atoms.x[3 * i + d] - atoms.x[3 * j + d], 2);
      if (i != j && !together && rsq < bins * width * (bins * width)) reference += 1.0;
    }
  expect(found, reference, 1.0, "histogram");
}

void check_all(Instructions instructions)
{
  PairForces forces(instructions);    // one for all, as in a run whose atoms move
  for (int trial = 0; trial < 400; trial++) {
    const int ntypes = random_int(1, 3), nspecies = random_int(1, ntypes);
    std::vector<int> species(ntypes, 0);
    for (int &number : species) number = random_int(trial % 3 ? 0 : -1, nspecies - 1);
    PairTables tables = make_tables(some_knots(nspecies), species);
    Configuration configuration(random_int(1, trial % 10 ? 30 : 200), random_int(0, 40), ntypes,
                                random_int(0, 1) == 1, random_int(0, 1) == 1);
    sort_neighbors_by_type(configuration.pairs(), configuration.atoms(), tables.view());
    check(configuration, tables, instructions, forces);
    check_counts(configuration, tables, ntypes);
  }
  std::printf("%s kernels: 400 configurations\n", name(instructions));
}

}    // namespace

int main()
{
  for (const char *const each : {"portable", "avx2", "avx512"}) {
    try {
      check_all(instructions_named(each));
    } catch (const std::invalid_argument &) {
      std::printf("This processor has no %s kernels\n", each);
    }
  }
  return 0;
}
