#include "knots.h"

#include "../kernels/spline.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

namespace diffsim {

namespace {

constexpr double WALL = 1000.0;               // reference energies at the innermost knot
constexpr double UNVISITED = 100.0;           // the same for a potential that has no such wall
constexpr double SMALLEST_FRACTION = 0.01;    // of the cutoff: no knot is closer
constexpr double ROUNDING = 1.0e-12;          // reference energies
constexpr int SCAN_POINTS = 2000;             // of the search for the wall
constexpr int SECTIONS = 64;                  // of the search for the end of the interaction
constexpr int FIRST_INTERVALS = 128;

template <class... Parts>
std::string text(const Parts &...parts)
{
  std::ostringstream out;
  out.precision(6);
  (out << ... << parts);
  return out.str();
}

std::vector<double> knot_distances(Range range, int knots)
{
  std::vector<double> r(knots);
  const double s0 = range.inner * range.inner;
  const double h = (range.outer * range.outer - s0) / (knots - 1);
  for (int k = 0; k < knots; k++) r[k] = std::sqrt(s0 + k * h);
  r.front() = range.inner;
  r.back() = range.outer;
  return r;
}

void evaluate(const PairFunction &model, const std::vector<double> &r, int a, int b,
              std::vector<double> &u, std::vector<double> &du_dr)
{
  u.resize(r.size());
  du_dr.resize(r.size());
  // in parts, so that a deep network does not take memory for all of them
  constexpr size_t PART = 16384;
  const std::vector<std::int64_t> first(PART, a), second(PART, b);
  for (size_t done = 0; done < r.size(); done += PART)
    model.evaluate(static_cast<int>(std::min(PART, r.size() - done)), r.data() + done, first.data(),
                   second.data(), u.data() + done, du_dr.data() + done);
}

[[noreturn]] void not_finite(const PairFunction &model, int a, int b, double r, const char *what,
                             double value)
{
  throw PotentialError(text("The model's ", what, " for the pair ",
                            pair_name(model.species(), a, b), " is ", value, " at distance ", r,
                            "; it must be finite between the repulsive wall and the cutoff ",
                            model.cutoff(), ". Correct the model."));
}

// visit the species pairs in the order of the arrays: body(pair, a, b)
template <class Body> void for_each_species_pair(int nspecies, Body &&body)
{
  for (int a = 0, pair = 0; a < nspecies; a++)
    for (int b = a; b < nspecies; b++, pair++) body(pair, a, b);
}

}    // namespace

std::string pair_name(const std::vector<std::string> &species, int a, int b)
{
  return species[a] + "-" + species[b];
}

double reference_energy(const std::string &units)
{
  // k_B in the energy unit of the style, times 300 K
  static const std::map<std::string, double> kt = {
      {"lj", 1.0},
      {"real", 0.0019872067 * 300.0},
      {"metal", 8.617343e-5 * 300.0},
      {"si", 1.3806504e-23 * 300.0},
      {"cgs", 1.3806504e-16 * 300.0},
      {"electron", 3.16681534e-6 * 300.0},
      {"micro", 1.3806504e-8 * 300.0},
      {"nano", 0.013806504 * 300.0},
  };
  const auto found = kt.find(units);
  if (found == kt.end())
    throw PotentialError(text("The model's units are '", quotable(units),
                              "'; they must be a LAMMPS units style: lj, real, metal, si, cgs, "
                              "electron, micro or nano. Set the model's attribute 'units'."));
  return found->second;
}

namespace {

// The distance of the wall, from the energies u at the distances r, which fall from the cutoff on.
double wall_distance(const PairFunction &model, int a, int b, const std::vector<double> &r,
                     const std::vector<double> &u)
{
  const double kt = reference_energy(model.units());
  int summit = 0;
  int unvisited = SCAN_POINTS;    // the first point that no atom reaches
  for (int k = 0; k < SCAN_POINTS; k++) {
    if (std::isnan(u[k])) not_finite(model, a, b, r[k], "energy", u[k]);
    if (u[k] > WALL * kt) {
      if (k < 2)
        throw PotentialError(text("The model's energy for the pair ",
                                  pair_name(model.species(), a, b), " is ", u[k], " at distance ",
                                  r[k], ", next to the cutoff ", model.cutoff(),
                                  "; it must go to zero there. Correct the model."));
      return r[k - 1];
    }
    if (u[k] < -WALL * kt) {
      if (summit == 0)
        throw PotentialError(text("The model's energy for the pair ",
                                  pair_name(model.species(), a, b), " falls below ", -WALL * kt,
                                  " at distance ", r[k],
                                  " with no repulsive wall before: atoms would collapse. Correct "
                                  "the model."));
      return r[summit];
    }
    if (u[k] > u[summit]) summit = k;
    if (u[k] > UNVISITED * kt && unvisited == SCAN_POINTS) unvisited = k;
  }
  return r[std::max(unvisited, 2) - 1];
}

// The largest distance at which the energy is not exactly zero, from the same scan.
double interaction_range(const PairFunction &model, int a, int b, const std::vector<double> &r,
                         const std::vector<double> &u)
{
  const auto first = std::find_if(u.begin(), u.end(), [](double energy) { return energy != 0.0; });
  if (first == u.begin() || first == u.end()) return model.cutoff();
  double inside = r[first - u.begin()], outside = r[first - u.begin() - 1];
  double last = *first;    // the energy at the end
  // many points at once: what a model costs is mostly the call
  for (double middle; middle = 0.5 * (inside + outside), middle > inside && middle < outside;) {
    std::vector<double> between;
    for (int k = 1; k < SECTIONS; k++) {
      const double point = inside + (outside - inside) * k / SECTIONS;
      if (point > (between.empty() ? inside : between.back()) && point < outside)
        between.push_back(point);
    }
    if (between.empty()) between.push_back(middle);
    std::vector<double> energy, slope;
    evaluate(model, between, a, b, energy, slope);
    // the outermost point with an energy, and its neighbour without
    size_t with = energy.size();
    while (with > 0 && energy[with - 1] == 0.0) with--;
    if (with > 0) {
      last = energy[with - 1];
      inside = between[with - 1];
    }
    if (with < between.size()) outside = between[with];
  }
  // An energy that ends with a step must do so at its last value.  One that goes to zero ends at
  // zero, and at the cutoff if it is only rounding that made it zero before.
  if (std::fabs(last) > ROUNDING * reference_energy(model.units())) return inside;
  return first - u.begin() == 1 ? model.cutoff() : outside;
}

}    // namespace

Range pair_range(const PairFunction &model, int a, int b)
{
  std::vector<double> r(SCAN_POINTS), u, du_dr;
  const double step = model.cutoff() * (1.0 - SMALLEST_FRACTION) / (SCAN_POINTS - 1);
  for (int k = 0; k < SCAN_POINTS; k++) r[k] = model.cutoff() - k * step;
  evaluate(model, r, a, b, u, du_dr);
  const Range found = {wall_distance(model, a, b, r, u), interaction_range(model, a, b, r, u)};
  if (!(found.inner < found.outer))
    throw PotentialError(text("The model's energy for the pair ", pair_name(model.species(), a, b),
                              " falls from a wall to zero at distance ", found.outer, " within a ",
                              SCAN_POINTS, "th of the cutoff ", model.cutoff(),
                              "; that is a step, and not a potential with a force."));
  return found;
}

std::vector<Range> pair_ranges(const PairFunction &model)
{
  std::vector<Range> ranges;
  for_each_species_pair(static_cast<int>(model.species().size()),
                        [&](int, int a, int b) { ranges.push_back(pair_range(model, a, b)); });
  return ranges;
}

void check_symmetry(const PairFunction &model)
{
  constexpr int POINTS = 32;
  std::vector<double> r(POINTS), ab, ba, slope;
  for (int k = 0; k < POINTS; k++) r[k] = model.cutoff() * (0.5 + 0.5 * k / (POINTS - 1));
  for_each_species_pair(static_cast<int>(model.species().size()), [&](int, int a, int b) {
    if (a == b) return;
    evaluate(model, r, a, b, ab, slope);
    evaluate(model, r, b, a, ba, slope);
    for (int k = 0; k < POINTS; k++)
      if (std::fabs(ab[k] - ba[k]) > 1e-12 + 1e-9 * std::fabs(ba[k]))
        throw PotentialError(text("The model gives different energies for ",
                                  pair_name(model.species(), a, b), " and ",
                                  pair_name(model.species(), b, a), " at distance ", r[k],
                                  "; a pair potential must be symmetric in the two types."));
  });
}

Knots sample(const PairFunction &model, int knots, const std::vector<Range> &ranges)
{
  Knots result;
  result.units = model.units();
  result.species = model.species();
  result.cutoff = model.cutoff();
  result.knots = knots;
  for (const Range &range : ranges) {
    result.inner.push_back(range.inner);
    result.outer.push_back(range.outer);
  }
  for_each_species_pair(static_cast<int>(result.species.size()), [&](int pair, int a, int b) {
    const auto r = knot_distances(ranges[pair], knots);
    std::vector<double> u, du_dr;
    evaluate(model, r, a, b, u, du_dr);
    for (int k = 0; k < knots; k++)
      if (!std::isfinite(u[k])) not_finite(model, a, b, r[k], "energy", u[k]);
    result.values.insert(result.values.end(), u.begin(), u.end());
  });
  return result;
}

SplineError spline_error(const PairFunction &model, const Knots &knots)
{
  const double energy_scale = reference_energy(knots.units);
  const double force_scale = energy_scale / knots.cutoff;
  const double places[3] = {(3.0 - std::sqrt(3.0)) / 6.0, 0.5, (3.0 + std::sqrt(3.0)) / 6.0};
  const int intervals = knots.knots - 1;

  SplineError error;
  for_each_species_pair(static_cast<int>(knots.species.size()), [&](int pair, int a, int b) {
    std::vector<double> c(basis_size(knots.knots));
    std::vector<SplineRow> rows(knots.knots);
    spline_coefficients(knots.knots, knots.pair_values(pair), c.data());
    spline_rows(knots.knots, c.data(), rows.data());

    const double s0 = knots.inner[pair] * knots.inner[pair];
    const double h = (knots.outer[pair] * knots.outer[pair] - s0) / intervals;
    std::vector<double> r, u, du_dr;
    for (int k = 0; k < intervals; k++)
      for (const double t : places) r.push_back(std::sqrt(s0 + (k + t) * h));
    evaluate(model, r, a, b, u, du_dr);

    for (size_t i = 0; i < r.size(); i++) {
      if (!std::isfinite(u[i])) not_finite(model, a, b, r[i], "energy", u[i]);
      if (!std::isfinite(du_dr[i])) not_finite(model, a, b, r[i], "force", -du_dr[i]);
      double dphi_dt;
      const double phi = spline_value(rows[1 + i / 3], places[i % 3], dphi_dt);
      const double slope = 2.0 * r[i] * dphi_dt / h;
      const double energy_error = std::fabs(phi - u[i]) / std::max(std::fabs(u[i]), energy_scale);
      const double force_error =
          std::fabs(slope - du_dr[i]) / std::max(std::fabs(du_dr[i]), force_scale);
      if (energy_error > error.energy) {
        error.energy = energy_error;
        error.energy_at = r[i];
      }
      if (force_error > error.force) {
        error.force = force_error;
        error.force_at = r[i];
      }
    }
  });
  return error;
}

Knots tabulate(const PairFunction &model, const std::vector<Range> &ranges, double tolerance,
               SplineError &error)
{
  for (int intervals = FIRST_INTERVALS; intervals < MAX_KNOTS; intervals += intervals / 4) {
    Knots knots = sample(model, intervals + 1, ranges);
    error = spline_error(model, knots);
    if (error.largest() <= tolerance) return knots;
  }
  throw PotentialError(
      text("A spline with ", MAX_KNOTS, " knots deviates from the model by ", error.energy,
           " (energy, at distance ", error.energy_at, ") and ", error.force,
           " (force, at distance ", error.force_at, "), relative; the tolerance is ", tolerance,
           ". Raise the tolerance, or make the model's energy a smooth function of the distance."));
}

Knots shifted(Knots knots)
{
  for (int pair = 0; pair < knots.pairs(); pair++) {
    double *const u = knots.values.data() + static_cast<long>(pair) * knots.knots;
    const double last = u[knots.knots - 1];
    for (int k = 0; k < knots.knots; k++) u[k] -= last;
  }
  return knots;
}

PairTables make_tables(const Knots &knots, const std::vector<int> &species_of_type)
{
  const int ntypes = static_cast<int>(species_of_type.size());
  const int nspecies = static_cast<int>(knots.species.size());
  const size_t K = knots.knots;
  PairTables tables;
  tables.ntypes = ntypes;
  tables.knots = knots.knots;
  tables.rows.resize(K * knots.pairs());
  std::vector<double> c(basis_size(knots.knots));
  for (int pair = 0; pair < knots.pairs(); pair++) {
    spline_coefficients(knots.knots, knots.pair_values(pair), c.data());
    spline_rows(knots.knots, c.data(), tables.rows.data() + K * pair);
  }

  const PairTable not_ours = {0.0, 1.0, -1.0, 1.0, tables.rows.data()};
  tables.pairs.assign((ntypes + 1) * (ntypes + 1), not_ours);
  for (int i = 1; i <= ntypes; i++) {
    PairTable *const row = tables.pairs.data() + i * (ntypes + 1);
    for (int j = 1; j <= ntypes; j++) {
      const int a = species_of_type[i - 1], b = species_of_type[j - 1];
      if (a < 0 || b < 0) continue;
      const int pair = unordered_pair(a, b, nspecies);
      const double s_inner = knots.inner[pair] * knots.inner[pair];
      const double s_cutoff = knots.outer[pair] * knots.outer[pair];
      row[j] = {s_inner, (knots.knots - 1) / (s_cutoff - s_inner), s_cutoff, 1.0,
                tables.rows.data() + K * pair};
      row[0].s_cutoff = std::max(row[0].s_cutoff, s_cutoff);
    }
  }
  return tables;
}

}    // namespace diffsim
