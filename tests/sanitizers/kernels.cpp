// The kernels on arrays that end where their data ends, for `make sanitize`: LAMMPS's own arrays have
// room behind the atoms, and the lists of neighbours lie in one block, so that a read beyond them
// would go unseen.  Every kernel must give what the plain loop over the pairs gives.

#include "../../src_cpp/kernels/cuda/gpu.h"
#include "../../src_cpp/kernels/pair_hessian.h"
#include "../../src_cpp/kernels/pair_loop.h"
#include "../../src_cpp/kernels/periodic_pairs.h"
#include "../../src_cpp/kernels/rdf_kernel.h"
#include "../../src_cpp/potential/knots.h"

#include <array>
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

constexpr double ROUNDING = 1e-11;
constexpr double DIFFERENCES = 1e-6;    // central ones

void expect(double ours, double reference, double scale, const char *what,
            double tolerance = ROUNDING)
{
  if (std::fabs(ours - reference) <= tolerance * scale) return;
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

// The full list of a configuration without newton_pair.
struct FullList {
  explicit FullList(const Configuration &half) : lists(half.local), all(half.local)
  {
    for (int i = 0; i < half.local; i++)
      for (const int entry : half.lists[i]) {
        const int j = entry & MASK;
        lists[i].push_back(entry);
        if (j < half.local) lists[j].push_back((entry & ~MASK) | i);
      }
    for (int i = 0; i < half.local; i++) {
      all[i] = i;
      lists[i].shrink_to_fit();
      numneigh.push_back(static_cast<int>(lists[i].size()));
      firstneigh.push_back(lists[i].data());
    }
  }

  NeighborPairs pairs() const
  {
    return {static_cast<int>(all.size()),
            all.data(),
            numneigh.data(),
            firstneigh.data(),
            MASK,
            SHIFT,
            SPECIAL,
            true,
            false,
            true};
  }

  std::vector<std::vector<int>> lists;
  std::vector<int> all, numneigh;
  std::vector<int *> firstneigh;
};

// Forces, energy, virial and counts of a full list on the GPU against the plain loop over it.
void check_gpu(const Configuration &configuration, const PairTables &tables, GpuPairs &gpu)
{
  const Atoms atoms = configuration.atoms();
  const FullList list(configuration);
  const NeighborPairs pairs = list.pairs();
  gpu.set_tables(tables.view());
  gpu.set_list(atoms, pairs);
  std::vector<double> f(3 * atoms.nlocal), reference(f.size());
  const size_t numbers =
      static_cast<size_t>(unordered_pairs(tables.ntypes)) * basis_size(tables.knots);
  std::vector<double> counts(numbers), virial(numbers), plain_counts(numbers),
      plain_virial(numbers);
  ForceSums sums = {f.data(), true, 0.0, {0.0}};
  const bool close = gpu.add_forces(atoms, SPECIAL, sums);
  gpu.add_counts(atoms, SPECIAL, counts.data(), virial.data());
  double energy = 0.0, tensor[6] = {}, scale = 1.0;
  bool any_close = false;
  for_each_pair(atoms, pairs, tables.view(), [&](const ListedPair &pair) {
    double fpair;
    const double phi = pair_energy(*pair.table, tables.knots, pair.rsq, fpair);
    const double share = pair.j < atoms.nlocal ? 1.0 : 0.5;
    energy += share * pair.special * phi;
    const int axes[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
    for (int m = 0; m < 6; m++)
      tensor[m] += share * pair.special * fpair * pair.d[axes[m][0]] * pair.d[axes[m][1]];
    any_close = any_close || pair.rsq < pair.table->s_inner;
    for (int k = 0; k < 3; k++) {
      const double pull = pair.special * fpair * pair.d[k];
      reference[3 * pair.i + k] += pull;
      if (pair.j < atoms.nlocal) reference[3 * pair.j + k] -= pull;
      scale += std::fabs(pull) + std::fabs(pull * pair.d[k]);
    }
    scale += std::fabs(phi);
  });
  pair_counts(atoms, pairs, tables.view(), plain_counts.data(), plain_virial.data());
  for (size_t k = 0; k < f.size(); k++) expect(f[k], reference[k], scale, "force on the GPU");
  expect(sums.energy, energy, scale, "energy on the GPU");
  for (int m = 0; m < 6; m++) expect(sums.virial[m], tensor[m], scale, "virial on the GPU");
  expect(close, any_close, 1.0, "whether a pair is close, on the GPU");
  for (size_t k = 0; k < numbers; k++) {
    expect(counts[k], plain_counts[k], 1.0 + std::fabs(plain_counts[k]), "counts on the GPU", 1e-9);
    expect(virial[k], plain_virial[k], 1.0 + std::fabs(plain_virial[k]), "virial on the GPU", 1e-9);
  }
}

std::vector<double> random_vectors(int n)
{
  std::vector<double> vectors(3 * n);
  for (double &component : vectors) component = random_double(2.0) - 1.0;
  return vectors;
}

double dot(const std::vector<double> &a, const std::vector<double> &b)
{
  double sum = 0.0;
  for (size_t k = 0; k < a.size(); k++) sum += a[k] * b[k];
  return sum;
}

// B-spline coefficients for each pair of types
std::vector<double> coefficients(const Knots &knots, const std::vector<int> &species)
{
  const int ntypes = static_cast<int>(species.size()), basis = basis_size(knots.knots);
  std::vector<double> c(static_cast<size_t>(unordered_pairs(ntypes)) * basis, 0.0);
  for (int i = 0; i < ntypes; i++)
    for (int j = i; j < ntypes; j++)
      if (species[i] >= 0 && species[j] >= 0)
        spline_coefficients(knots.knots,
                            knots.pair_values(
                                unordered_pair(species[i], species[j],
                                               static_cast<int>(knots.species.size()))),
                            c.data() + static_cast<size_t>(unordered_pair(i, j, ntypes)) * basis);
  return c;
}

// Derivatives of L = sum of lambda . F by the plain loop over the pairs.
struct PlainHessian {
  PlainHessian(const Atoms &atoms, const NeighborPairs &pairs, const PairTables &tables,
               const std::vector<double> &lambda) :
      gradient(3 * atoms.nall),
      dc(static_cast<size_t>(unordered_pairs(tables.ntypes)) * basis_size(tables.knots))
  {
    for_each_pair(atoms, pairs, tables.view(), [&](const ListedPair &pair) {
      const PairTable &table = *pair.table;
      const SplinePosition at = spline_position(pair.rsq, table.s_inner, table.inv_h, tables.knots);
      const double *const q = table.rows[at.row].q;
      const double slope = table.scale * table.inv_h * (q[1] + at.t * (q[2] + at.t * q[3]));
      const double curvature = table.scale * table.inv_h * table.inv_h * (q[2] + 2.0 * at.t * q[3]);
      double l[3], along = 0.0;
      for (int k = 0; k < 3; k++) {
        l[k] = lambda[3 * pair.i + k] - lambda[3 * pair.j + k];
        along += l[k] * pair.d[k];
      }
      for (int k = 0; k < 3; k++) {
        const double g = -2.0 * slope * l[k] - 4.0 * curvature * along * pair.d[k];
        gradient[3 * pair.i + k] += g;
        gradient[3 * pair.j + k] -= g;
        scale += std::fabs(g);
      }
      value += -2.0 * slope * along;
      double slopes[4];
      spline_slopes(at, slopes);
      double *const to =
          dc.data() + static_cast<size_t>(unordered_pair(atoms.type[pair.i] - 1,
                                                         atoms.type[pair.j] - 1, tables.ntypes)) *
                          basis_size(tables.knots);
      for (int m = 0; m < 4; m++) {
        const double weight = -2.0 * table.scale * table.inv_h * along * slopes[m];
        to[at.first_basis() + m] += weight;
        scale += std::fabs(weight);
      }
      // at these the second derivative is not continuous
      smooth = smooth && std::fabs(pair.rsq - table.s_inner) > 1e-4;
    });
  }

  std::vector<double> gradient, dc;
  double value = 0.0, scale = 1.0;
  bool smooth = true;
};

// Whether no pair of the list is about to pass its cutoff, where the force may end with a step.
bool away_from_cutoffs(const Atoms &atoms, const NeighborPairs &pairs, const PairTables &tables)
{
  bool away = true;
  for (int ii = 0; ii < pairs.inum; ii++) {
    const int i = pairs.ilist[ii];
    for (int jj = 0; jj < pairs.numneigh[i]; jj++) {
      const int j = pairs.firstneigh[i][jj];
      double rsq = 0.0;
      for (int k = 0; k < 3; k++) rsq += std::pow(atoms.x[3 * i + k] - atoms.x[3 * j + k], 2);
      away =
          away && std::fabs(rsq - tables.view().pair(atoms.type[i], atoms.type[j]).s_cutoff) > 1e-4;
    }
  }
  return away;
}

// The derivative of a function of the positions along a direction.
template <class Function>
double central_difference(std::vector<double> x, const std::vector<double> &direction,
                          Function &&function)
{
  constexpr double STEP = 1e-6;
  double value[2];
  for (int sign = 0; sign < 2; sign++) {
    std::vector<double> moved = x;
    for (size_t k = 0; k < x.size(); k++) moved[k] += (sign ? STEP : -STEP) * direction[k];
    value[sign] = function(moved);
  }
  return (value[1] - value[0]) / (2.0 * STEP);
}

// `gpu` is null for the one of the processor.
void check_hessian(Instructions instructions, int trial, const Gpu *gpu)
{
  const int ntypes = random_int(1, 3), nspecies = random_int(1, ntypes);
  std::vector<int> species(ntypes, 0);
  for (int &number : species) number = random_int(trial % 3 ? 0 : -1, nspecies - 1);
  const Knots knots = some_knots(nspecies);
  const PairTables tables = make_tables(knots, species);
  const std::vector<double> c = coefficients(knots, species);
  const auto hessian = gpu ? gpu->hessian(tables.view())
                           : make_pair_hessian(instructions, tables.view(), random_int(1, 3));
  PairForces forces(instructions);
  std::vector<double> dc(c.size()), expected_dc(c.size());
  double scale = 1.0;
  bool all_finite = true;
  for (int call = 0; call < 3; call++) {
    const Configuration configuration(random_int(1, trial % 10 ? 30 : 200), random_int(0, 40),
                                      ntypes, false, true);
    const Atoms atoms = configuration.atoms();
    const NeighborPairs pairs = configuration.pairs();
    const std::vector<double> lambda = random_vectors(atoms.nall);
    std::vector<double> gradient = random_vectors(atoms.nall);    // added to
    const std::vector<double> before = gradient;
    hessian->new_list(atoms, pairs);
    hessian->add(atoms, pairs, lambda.data(), gradient.data());
    const PlainHessian plain(atoms, pairs, tables, lambda);
    bool finite = true;
    for (const double coordinate : configuration.x) finite = finite && std::isfinite(coordinate);
    all_finite = all_finite && finite;
    if (!finite) continue;
    for (size_t k = 0; k < gradient.size(); k++)
      expect(gradient[k] - before[k], plain.gradient[k], plain.scale, "Hessian");
    for (size_t k = 0; k < dc.size(); k++) expected_dc[k] += plain.dc[k];
    scale += plain.scale;
    // L is linear in the coefficients
    expect(dot(plain.dc, c), plain.value, plain.scale, "derivative by the coefficients");
    if (!plain.smooth || !away_from_cutoffs(atoms, pairs, tables)) continue;
    const std::vector<double> direction = random_vectors(atoms.nall);
    const double slope =
        central_difference(configuration.x, direction, [&](const std::vector<double> &x) {
          const Atoms moved = {x.data(), atoms.type, atoms.nlocal, atoms.nall};
          std::vector<double> f(x.size());
          ForceSums sums = {f.data(), false, 0.0, {0.0}};
          forces.add(moved, pairs, tables.view(), 1, sums);
          return dot(lambda, f);
        });
    expect(dot(plain.gradient, direction), slope, plain.scale, "difference of forces", DIFFERENCES);
  }
  hessian->add_coefficients(dc.data());
  if (!all_finite) return;
  for (size_t k = 0; k < dc.size(); k++)
    expect(dc[k], expected_dc[k], scale, "sum of derivatives by the coefficients");
}

// Forces and energy of atoms in a periodic box, of all images in a wide range.
struct BruteForce {
  BruteForce(const Box &box, const std::vector<int> &type, const PairTables &tables,
             const std::vector<double> &x) : forces(x.size())
  {
    const double edges[3][3] = {{box.xx, 0.0, 0.0},
                                {box.xy, box.yy, 0.0},
                                {box.xz, box.yz, box.zz}};
    const int n = static_cast<int>(type.size());
    auto range = [&](int d) { return box.periodic[d] ? 4 : 0; };
    for (int i = 0; i < n; i++)
      for (int j = 0; j < n; j++) {
        // the nearest image, or one of its neighbours
        double near[3];
        for (int k = 0; k < 3; k++) near[k] = x[3 * i + k] - x[3 * j + k];
        for (int d = 2; d >= 0; d--) {
          const double turns = box.periodic[d] ? std::round(near[d] / edges[d][d]) : 0.0;
          for (int k = 0; k < 3; k++) near[k] -= turns * edges[d][k];
        }
        for (int a = -range(0); a <= range(0); a++)
          for (int b = -range(1); b <= range(1); b++)
            for (int c = -range(2); c <= range(2); c++) {
              if (i == j && a == 0 && b == 0 && c == 0) continue;
              double d[3], rsq = 0.0;
              for (int k = 0; k < 3; k++) {
                d[k] = near[k] + a * edges[0][k] + b * edges[1][k] + c * edges[2][k];
                rsq += d[k] * d[k];
              }
              add(tables, tables.view().pair(type[i], type[j]), i, d, rsq);
            }
      }
  }

  void add(const PairTables &tables, const PairTable &table, int i, const double *d, double rsq)
  {
    at_an_end = at_an_end || std::fabs(rsq - table.s_cutoff) < 1e-4 ||
                std::fabs(rsq - table.s_inner) < 1e-4;
    if (rsq >= table.s_cutoff) return;
    double fpair;
    energy += 0.5 * pair_energy(table, tables.knots, rsq, fpair);
    for (int k = 0; k < 3; k++) {
      forces[3 * i + k] += fpair * d[k];
      scale += std::fabs(fpair * d[k]);
    }
    pairs++;
  }

  std::vector<double> forces;
  double energy = 0.0, scale = 1.0;
  int pairs = 0;
  bool at_an_end = false;    // whether a pair is where its force or the slope of it has a step
};

Box some_box()
{
  Box box;
  box.xx = 1.5 + random_double(5.0);
  box.yy = 1.5 + random_double(5.0);
  box.zz = 1.5 + random_double(5.0);
  if (random_int(0, 1)) {
    box.xy = (random_double(1.0) - 0.5) * box.xx;
    box.xz = (random_double(1.0) - 0.5) * box.xx;
    box.yz = (random_double(1.0) - 0.5) * box.yy;
  } else {
    for (bool &periodic : box.periodic) periodic = random_int(0, 2) > 0;
  }
  return box;
}

void check_periodic(Instructions instructions)
{
  const int ntypes = random_int(1, 3), n = random_int(1, 12);
  const PairTables tables = make_tables(some_knots(ntypes), [&] {
    std::vector<int> species(ntypes);
    for (int i = 0; i < ntypes; i++) species[i] = i;
    return species;
  }());
  const Box box = some_box();
  std::vector<int> type(n);
  for (int &each : type) each = random_int(1, ntypes);
  type.shrink_to_fit();
  // atoms that have left the box in its periodic directions
  std::vector<double> x(3 * n);
  for (int i = 0; i < n; i++) {
    double turns[3];
    for (int d = 0; d < 3; d++)
      turns[d] = random_double(1.0) + (box.periodic[d] ? random_int(-3, 3) : 0);
    x[3 * i] = turns[0] * box.xx + turns[1] * box.xy + turns[2] * box.xz;
    x[3 * i + 1] = turns[1] * box.yy + turns[2] * box.yz;
    x[3 * i + 2] = turns[2] * box.zz;
  }
  const double skin = random_int(0, 3) ? random_double(0.6) : 0.0;
  PeriodicPairs pairs(box, n, type.data(), 2.5, skin);
  PairForces kernel(instructions);
  const auto hessian = make_pair_hessian(instructions, tables.view(), 1);
  double energy = 0.0;
  auto forces_at = [&](const std::vector<double> &at) {
    pairs.move_to(at.data());
    std::vector<double> all(3 * static_cast<size_t>(pairs.atoms().nall));
    ForceSums sums = {all.data(), true, 0.0, {0.0}};
    kernel.add(pairs.atoms(), pairs.pairs(), tables.view(), 1, sums);
    energy = sums.energy;
    pairs.gather(all);
    all.resize(at.size());
    return all;
  };
  for (int move = 0; move < 4; move++) {
    const std::vector<double> f = forces_at(x);
    const BruteForce reference(box, type, tables, x);
    for (int k = 0; k < 3 * n; k++)
      expect(f[k], reference.forces[k], reference.scale, "force in a periodic box");
    expect(energy, reference.energy, reference.scale, "energy in a periodic box");

    const std::vector<double> lambda = random_vectors(n), direction = random_vectors(n);
    std::vector<double> all_lambda, gradient(3 * static_cast<size_t>(pairs.atoms().nall));
    pairs.spread(lambda.data(), all_lambda);
    hessian->add(pairs.atoms(), pairs.pairs(), all_lambda.data(), gradient.data());
    pairs.gather(gradient);
    gradient.resize(x.size());
    if (!reference.at_an_end) {
      const double slope = central_difference(x, direction, [&](const std::vector<double> &at) {
        return dot(lambda, forces_at(at));
      });
      double scale = reference.scale;
      for (const double component : gradient) scale += std::fabs(component);
      expect(dot(gradient, direction), slope, scale, "difference of forces in a periodic box",
             DIFFERENCES);
    }
    // within the skin, beyond it, and across the box
    const double length = move == 0 ? 0.2 * skin : move == 1 ? 0.4 : 3.0;
    const std::vector<double> step = random_vectors(n);
    for (int i = 0; i < n; i++)
      for (int d = 0; d < 3; d++) x[3 * i + d] += length * step[3 * i + d];
  }
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
    check_hessian(instructions, trial, nullptr);
    check_periodic(instructions);
  }
  std::printf("%s kernels: 400 configurations\n", name(instructions));
}

void check_gpu_kernels()
{
  const Gpu gpu(0, 0);
  const auto pairs = gpu.pairs(Precision::DOUBLE);    // one for all, as above
  for (int trial = 0; trial < 400; trial++) {
    const int ntypes = random_int(1, 3), nspecies = random_int(1, ntypes);
    std::vector<int> species(ntypes, 0);
    for (int &number : species) number = random_int(trial % 3 ? 0 : -1, nspecies - 1);
    const PairTables tables = make_tables(some_knots(nspecies), species);
    check_gpu(Configuration(random_int(1, trial % 10 ? 30 : 200), random_int(0, 40), ntypes,
                            random_int(0, 1) == 1, false),
              tables, *pairs);
    check_hessian(Instructions::PORTABLE, trial, &gpu);
  }
  std::printf("kernels of the %s: 400 configurations\n", gpu.name().c_str());
}

}    // namespace

int main()
{
  check_gpu_kernels();

  for (const char *const each : {"portable", "avx2", "avx512"}) {
    try {
      check_all(instructions_named(each));
    } catch (const std::invalid_argument &) {
      std::printf("This processor has no %s kernels\n", each);
    }
  }
  return 0;
}
