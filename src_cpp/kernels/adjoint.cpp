#include "adjoint.h"

#include "nose_hoover.h"
#include "pair_hessian.h"
#include "periodic_pairs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace diffsim {

namespace {

constexpr double RANDOM_ROUNDING = 1.0e-9;    // of a force found from positions

NoseHooverChain chain_of(const Trajectory &t)
{
  return {t.dt, t.kt, t.degrees_of_freedom, t.chain_mass};
}

PeriodicPairs pairs_of(const Trajectory &t)
{
  return {t.box, t.natoms, t.type.data(), t.cutoff, t.skin};
}

// sum m v^2 as an energy
double twice_kinetic(const Trajectory &t, const double *v)
{
  double sum = 0.0;
  for (int i = 0; i < t.natoms; i++)
    sum += t.mass[i] *
           (v[3 * i] * v[3 * i] + v[3 * i + 1] * v[3 * i + 1] + v[3 * i + 2] * v[3 * i + 2]);
  return t.mvv_to_energy * sum;
}

// The derivatives that are carried back from state to state.
class Sweep {
 public:
  Sweep(const Trajectory &trajectory, const StateDerivatives &derivatives,
        Instructions instructions, int threads) :
      t_(trajectory), given_(derivatives), size_(3 * static_cast<size_t>(trajectory.natoms)),
      pairs_(pairs_of(trajectory)), hessian_(instructions, trajectory.tables.view(), threads),
      chain_(chain_of(trajectory)), x_(size_, 0.0), v_(size_, 0.0), force_(size_, 0.0),
      w_(trajectory.chain, 0.0)
  {
  }

  Adjoint run()
  {
    Adjoint result;
    const int last = given_.last;
    result.norm.resize(last + 1);
    add_given(last);
    result.norm[last] = norm();
    for (int n = last; n > 0; n--) {
      if (t_.integrator == Integrator::NOSE_HOOVER) through_last_half_step(n);
      through_second_kick(n);
      through_drift_and_first_kick();
      if (t_.integrator == Integrator::NOSE_HOOVER) through_first_half_step(n - 1);
      add_given(n - 1);
      result.norm[n - 1] = norm();
    }
    through_forces(0);
    if (t_.integrator == Integrator::LANGEVIN)    // the first friction is that of v_0
      for (size_t k = 0; k < size_; k++) v_[k] -= t_.drag[k / 3] * force_[k];
    result.coefficients.assign(static_cast<size_t>(unordered_pairs(t_.tables.ntypes)) *
                                   basis_size(t_.tables.knots),
                               0.0);
    hessian_.add_coefficients(result.coefficients.data());
    result.x = std::move(x_);
    result.v = std::move(v_);
    result.chain = std::move(w_);
    return result;
  }

 private:
  void add_given(int n)
  {
    if (given_.x)
      for (size_t k = 0; k < size_; k++) x_[k] += given_.x[t_.offset(n) + k];
    if (given_.v)
      for (size_t k = 0; k < size_; k++) v_[k] += given_.v[t_.offset(n) + k];
  }

  double norm() const
  {
    double sum = 0.0;
    for (const double a : v_) sum += a * a;
    return std::sqrt(sum);
  }

  // v_n = h + k f_n
  void through_second_kick(int n)
  {
    for (size_t k = 0; k < size_; k++) force_[k] += t_.half_kick(static_cast<int>(k / 3)) * v_[k];
    through_forces(n);
  }

  // f_n depends on x_n and on the coefficients
  void through_forces(int n)
  {
    pairs_.move_to(t_.x_at(n));
    pairs_.spread(force_.data(), lambda_);
    gradient_.assign(lambda_.size(), 0.0);
    hessian_.add(pairs_.atoms(), pairs_.pairs(), lambda_.data(), gradient_.data());
    pairs_.gather(gradient_);
    for (size_t k = 0; k < size_; k++) x_[k] += gradient_[k];
  }

  // x_n = x + dt h, h = v + k f of state n-1; with friction f_n depends on h too
  void through_drift_and_first_kick()
  {
    const bool friction = t_.integrator == Integrator::LANGEVIN;
    for (size_t k = 0; k < size_; k++) {
      const int i = static_cast<int>(k / 3);
      v_[k] += t_.dt * x_[k] - (friction ? t_.drag[i] * force_[k] : 0.0);
      force_[k] = t_.half_kick(i) * v_[k];
    }
  }

  // v_n = S v, (S, w_n) = half step of (K(v), w); the chain before is found from state n-1
  void through_last_half_step(int n)
  {
    const double kinetic_n = twice_kinetic(t_, t_.v_at(n));
    const double factor = chain_.factor_of_last(kinetic_n, t_.chain_at(n));
    std::vector<double> w(t_.chain_at(n - 1), t_.chain_at(n - 1) + t_.chain);
    chain_.half_step(twice_kinetic(t_, t_.v_at(n - 1)), w.data());
    through_half_step(t_.v_at(n), 1.0 / factor, factor, kinetic_n / (factor * factor), w.data());
  }

  void through_first_half_step(int n)
  {
    const double kinetic = twice_kinetic(t_, t_.v_at(n));
    std::vector<double> w(t_.chain_at(n), t_.chain_at(n) + t_.chain);
    const double factor = chain_.half_step(kinetic, w.data());
    through_half_step(t_.v_at(n), 1.0, factor, kinetic, t_.chain_at(n));
  }

  // The transposed Jacobian of a half step that began with velocities u = scale * v and a chain w.
  void through_half_step(const double *v, double scale, double factor, double kinetic,
                         const double *w)
  {
    const int size = t_.chain + 1;
    jacobian_.resize(static_cast<size_t>(size) * size);
    chain_.half_step_jacobian(kinetic, w, jacobian_.data());
    double of_factor = 0.0;    // dL/dS
    for (size_t k = 0; k < size_; k++) of_factor += v_[k] * scale * v[k];
    std::vector<double> before(size, 0.0);    // dL/d(K, w)
    for (int k = 0; k < size; k++) {
      before[k] = jacobian_[k] * of_factor;
      for (int j = 0; j < t_.chain; j++)
        before[k] += jacobian_[static_cast<size_t>(j + 1) * size + k] * w_[j];
    }
    const double of_kinetic = 2.0 * t_.mvv_to_energy * before[0];
    for (size_t k = 0; k < size_; k++)
      v_[k] = factor * v_[k] + of_kinetic * t_.mass[k / 3] * scale * v[k];
    std::copy(before.begin() + 1, before.end(), w_.begin());
  }

  const Trajectory &t_;
  const StateDerivatives given_;
  size_t size_;
  PeriodicPairs pairs_;
  PairHessian hessian_;
  NoseHooverChain chain_;
  std::vector<double> x_, v_;    // dL/dx, dL/dv of the present state
  std::vector<double> force_;    // dL/df of its forces
  std::vector<double> w_;        // dL/dw of its chain
  std::vector<double> lambda_, gradient_, jacobian_;
};

std::vector<double> forces(const Trajectory &t, PeriodicPairs &pairs, PairForces &kernel, int n)
{
  pairs.move_to(t.x_at(n));
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

// Whether the random forces in state n, which are what the friction and the potential leave of the kick that
// leads to h, are those of fix langevin: uniform, of a variance that belongs to friction and temperature.
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

Adjoint adjoint(const Trajectory &trajectory, const StateDerivatives &derivatives,
                Instructions instructions, int threads)
{
  return Sweep(trajectory, derivatives, instructions, threads).run();
}

double pair_sum(const Trajectory &t, int n, const double *coefficients, Instructions instructions,
                int threads, double *gradient)
{
  // the functions take the place of the potential
  const int ntypes = t.tables.ntypes, knots = t.tables.knots;
  PairTables functions = t.tables.clone();
  functions.rows.resize(static_cast<size_t>(unordered_pairs(ntypes)) * knots);
  for (int pair = 0; pair < unordered_pairs(ntypes); pair++)
    spline_rows(knots, coefficients + static_cast<size_t>(pair) * basis_size(knots),
                functions.rows.data() + static_cast<size_t>(pair) * knots);
  for (int i = 1; i <= ntypes; i++)
    for (int j = 1; j <= ntypes; j++) {
      PairTable &table = functions.pairs[i * (ntypes + 1) + j];
      table.rows =
          functions.rows.data() + static_cast<size_t>(unordered_pair(i - 1, j - 1, ntypes)) * knots;
      table.scale = 1.0;
    }
  PeriodicPairs pairs = pairs_of(t);
  pairs.move_to(t.x_at(n));
  std::vector<double> all(3 * static_cast<size_t>(pairs.atoms().nall), 0.0);
  ForceSums sums = {all.data(), true, 0.0, {}};
  PairForces(instructions).add(pairs.atoms(), pairs.pairs(), functions.view(), threads, sums);
  pairs.gather(all);
  for (size_t k = 0; k < 3 * static_cast<size_t>(t.natoms); k++) gradient[k] = -all[k];
  return sums.energy;
}

double replay_error(const Trajectory &t, int n, Instructions instructions)
{
  PeriodicPairs pairs = pairs_of(t);
  PairForces kernel(instructions);
  const std::vector<double> f = forces(t, pairs, kernel, n);
  if (t.integrator == Integrator::LANGEVIN && !random_forces_fit(t, n, f))
    return std::numeric_limits<double>::infinity();

  const size_t size = f.size();
  std::vector<double> v(t.v_at(n), t.v_at(n) + size);
  const NoseHooverChain chain = chain_of(t);
  std::vector<double> w(t.chain_at(n), t.chain_at(n) + t.chain);
  double chain_error = 0.0;
  auto half_step = [&] {
    if (t.integrator != Integrator::NOSE_HOOVER) return;
    const double factor = chain.half_step(twice_kinetic(t, v.data()), w.data());
    for (double &component : v) component *= factor;
  };

  double error = 0.0, sum = 0.0;
  const double *const x = t.x_at(n), *const next = t.x_at(n + 1), *const v_next = t.v_at(n + 1);
  half_step();
  for (size_t k = 0; k < size; k++) {
    const double h = (next[k] - x[k]) / t.dt;
    if (t.integrator == Integrator::LANGEVIN) {
      v[k] = h;
      continue;
    }
    v[k] += t.half_kick(static_cast<int>(k / 3)) * f[k];
    error = worse(error, std::fabs(v[k] - h) - rounding_of_velocity(t, x[k], next[k]));
  }
  const std::vector<double> f_next = forces(t, pairs, kernel, n + 1);
  if (t.integrator != Integrator::LANGEVIN) {
    for (size_t k = 0; k < size; k++) v[k] += t.half_kick(static_cast<int>(k / 3)) * f_next[k];
    half_step();
    for (size_t k = 0; k < size; k++) error = worse(error, std::fabs(v[k] - v_next[k]));
    for (int j = 0; j < t.chain; j++)
      chain_error = worse(chain_error, std::fabs(w[j] - t.chain_at(n + 1)[j]) * t.dt);
  }
  for (size_t k = 0; k < size; k++) sum += v_next[k] * v_next[k];
  if (!std::isfinite(sum)) return std::numeric_limits<double>::infinity();
  // atoms may be at rest
  const double relative = error > 0.0 ? error / std::sqrt(sum / static_cast<double>(size)) : 0.0;
  return worse(relative, chain_error);
}

}    // namespace diffsim
