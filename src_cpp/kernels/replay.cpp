#include "replay.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace diffsim {

namespace {

constexpr double RANDOM_ROUNDING = 1.0e-9;    // of a force found from positions

std::vector<double> forces(const Trajectory &t, PeriodicPairs &pairs, PairForces &kernel,
                           const double *x)
{
  pairs.move_to(x);
  std::vector<double> all(3 * static_cast<size_t>(pairs.atoms().nall), 0.0);
  ForceSums sums = {all.data(), false, 0.0, {}};
  kernel.add(pairs.atoms(), pairs.pairs(), t.tables.view(), 1, sums);
  pairs.gather(all);
  all.resize(3 * static_cast<size_t>(t.natoms));
  return all;
}

// The rounding of a velocity that is found from positions, which LAMMPS keeps in the box and whose
// differences lose what the box and the unwrapped coordinates are larger than a step.
double rounding_of_velocity(const Trajectory &t, double before, double after)
{
  const double largest = std::fabs(before) + std::fabs(after) + t.box.xx + t.box.yy + t.box.zz;
  return 2.0 * std::numeric_limits<double>::epsilon() * largest / t.dt;
}

// The larger one; infinite where one is not a number.
double worse(double a, double b)
{
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::infinity();
  return std::max(a, b);
}

// Whether the random forces in state n, which are what the friction and the potential leave of the
// kick that leads to h, are those of fix langevin: uniform, of a variance that belongs to friction
// and temperature.
bool random_forces_fit(const Trajectory &t, int n, const std::vector<double> &f)
{
  const double *const x = t.x_at(n), *const next = t.x_at(n + 1), *const v = t.v_at(n);
  for (size_t k = 0; k < f.size(); k++) {
    const int i = static_cast<int>(k / 3);
    const double h = (next[k] - x[k]) / t.dt;
    const double u = n == 0 ? v[k] : (x[k] - t.x_at(n - 1)[k]) / t.dt;
    const double random = (h - v[k]) / t.half_kick(i) - f[k] + t.drag[i] * u;
    const double most =
        std::sqrt(6.0 * t.kt * t.drag[i] / (t.dt * t.mvv_to_energy * t.force_to_acceleration));
    const double rounding =
        rounding_of_velocity(t, x[k], next[k]) / t.half_kick(i) +
        rounding_of_velocity(t, t.x_at(std::max(n - 1, 0))[k], x[k]) * t.drag[i];
    // `zero yes` takes a mean off, which is smaller
    if (!(std::fabs(random) <= 2.0 * most + 1.0e-6 * std::fabs(f[k]) + RANDOM_ROUNDING + rounding))
      return false;
  }
  return true;
}

}    // namespace

NoseHooverChain chain_of(const Trajectory &t)
{
  return {t.dt, t.kt, t.degrees_of_freedom, t.chain_mass};
}

PeriodicPairs pairs_of(const Trajectory &t)
{
  return {t.box, t.natoms, t.type.data(), t.cutoff, t.skin};
}

double twice_kinetic(const Trajectory &t, const double *v)
{
  double sum = 0.0;
  for (int i = 0; i < t.natoms; i++)
    sum += t.mass[i] *
           (v[3 * i] * v[3 * i] + v[3 * i + 1] * v[3 * i + 1] + v[3 * i + 2] * v[3 * i + 2]);
  return t.mvv_to_energy * sum;
}

Replay::Replay(const Trajectory &trajectory, Instructions instructions) :
    t_(trajectory), pairs_(pairs_of(trajectory)), kernel_(instructions),
    chain_(chain_of(trajectory))
{
}

const Stretch &Replay::stretch(int k)
{
  const size_t size = 3 * static_cast<size_t>(t_.natoms);
  x_.assign(t_.x_at(k), t_.x_at(k) + size);
  v_.assign(t_.v_at(k), t_.v_at(k) + size);
  w_.assign(t_.chain_at(k), t_.chain_at(k) + t_.chain);
  f_ = forces(t_, pairs_, kernel_, x_.data());
  stretch_ = {x_, v_, w_};
  for (int step = 0; step < t_.stride; step++) {
    scale();
    kick();
    for (size_t m = 0; m < size; m++) x_[m] += t_.dt * v_[m];
    f_ = forces(t_, pairs_, kernel_, x_.data());
    kick();
    scale();
    stretch_.x.insert(stretch_.x.end(), x_.begin(), x_.end());
    stretch_.v.insert(stretch_.v.end(), v_.begin(), v_.end());
    stretch_.chain.insert(stretch_.chain.end(), w_.begin(), w_.end());
  }
  return stretch_;
}

void Replay::scale()
{
  if (t_.integrator != Integrator::NOSE_HOOVER) return;
  const double factor = chain_.half_step(twice_kinetic(t_, v_.data()), w_.data());
  for (double &component : v_) component *= factor;
}

void Replay::kick()
{
  for (size_t m = 0; m < v_.size(); m++) v_[m] += t_.half_kick(static_cast<int>(m / 3)) * f_[m];
}

double replay_error(const Trajectory &t, int k, Instructions instructions)
{
  const double wrong = std::numeric_limits<double>::infinity();
  if (t.integrator == Integrator::LANGEVIN) {
    PeriodicPairs pairs = pairs_of(t);
    PairForces kernel(instructions);
    return random_forces_fit(t, k, forces(t, pairs, kernel, t.x_at(k))) ? 0.0 : wrong;
  }
  Replay replay(t, instructions);
  const Stretch &found = replay.stretch(k);
  const size_t size = 3 * static_cast<size_t>(t.natoms), last = found.x.size() - size;
  const double *const x = t.x_at(k + 1), *const v = t.v_at(k + 1);
  double error = 0.0, sum = 0.0;
  for (size_t m = 0; m < size; m++) {
    const double moved = std::fabs(found.x[last + m] - x[m]) / t.dt;
    error = worse(error, moved - rounding_of_velocity(t, t.x_at(k)[m], x[m]));
    error = worse(error, std::fabs(found.v[last + m] - v[m]));
    sum += v[m] * v[m];
  }
  if (!std::isfinite(sum)) return wrong;
  // atoms may be at rest
  double relative = error > 0.0 ? error / std::sqrt(sum / static_cast<double>(size)) : 0.0;
  const size_t last_chain = found.chain.size() - t.chain;
  for (int j = 0; j < t.chain; j++)
    relative =
        worse(relative, std::fabs(found.chain[last_chain + j] - t.chain_at(k + 1)[j]) * t.dt);
  return relative;
}

}    // namespace diffsim
