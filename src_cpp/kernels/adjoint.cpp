#include "adjoint.h"

#include "replay.h"

#include <algorithm>
#include <cmath>

namespace diffsim {

namespace {

// The states of all steps; those that were not kept are computed again, one stretch at a time.
class States {
 public:
  States(const Trajectory &trajectory, Instructions instructions) :
      t_(trajectory), replay_(trajectory, instructions)
  {
  }

  // Makes the states before and after step n known, and with them their stretch.
  void around(int n)
  {
    if (t_.stride == 1) return;
    const int k = (n - 1) / t_.stride;
    if (k != known_) replay_.stretch(k);
    known_ = k;
  }
  const double *x(int n) const
  {
    return t_.stride == 1 ? t_.x_at(n) : replay_.present().x.data() + t_.offset(local(n));
  }
  const double *v(int n) const
  {
    return t_.stride == 1 ? t_.v_at(n) : replay_.present().v.data() + t_.offset(local(n));
  }
  const double *chain(int n) const
  {
    return t_.stride == 1
               ? t_.chain_at(n)
               : replay_.present().chain.data() + static_cast<size_t>(local(n)) * t_.chain;
  }

 private:
  int local(int n) const { return n - known_ * t_.stride; }

  const Trajectory &t_;
  Replay replay_;
  int known_ = -1;
};

// The derivatives that are carried back from state to state.
class Sweep {
 public:
  Sweep(const Trajectory &trajectory, const StateDerivatives &derivatives, PairHessian &hessian,
        Instructions instructions) :
      t_(trajectory), given_(derivatives), size_(3 * static_cast<size_t>(trajectory.natoms)),
      pairs_(pairs_of(trajectory)), hessian_(hessian), chain_(chain_of(trajectory)),
      states_(trajectory, instructions), x_(size_, 0.0), v_(size_, 0.0), force_(size_, 0.0),
      w_(trajectory.chain, 0.0)
  {
  }

  Adjoint run()
  {
    Adjoint result;
    result.norm.resize(given_.last + 1);
    const int last = given_.last * t_.stride;
    add_given(last, result.norm);
    if (last == 0) states_.around(1);
    for (int n = last; n > 0; n--) {
      states_.around(n);
      if (t_.integrator == Integrator::NOSE_HOOVER) through_last_half_step(n);
      through_second_kick(n);
      through_drift_and_first_kick();
      if (t_.integrator == Integrator::NOSE_HOOVER) through_first_half_step(n - 1);
      add_given(n - 1, result.norm);
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
  // what L depends on directly in step n, after which the derivative by its state is complete
  void add_given(int n, std::vector<double> &norm)
  {
    if (n % t_.stride != 0) return;
    const int state = n / t_.stride;
    if (given_.x)
      for (size_t k = 0; k < size_; k++) x_[k] += given_.x[t_.offset(state) + k];
    if (given_.v)
      for (size_t k = 0; k < size_; k++) v_[k] += given_.v[t_.offset(state) + k];
    double sum = 0.0;
    for (const double a : v_) sum += a * a;
    norm[state] = std::sqrt(sum);
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
    if (pairs_.move_to(states_.x(n))) hessian_.new_list(pairs_.atoms(), pairs_.pairs());
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
    const double kinetic_n = twice_kinetic(t_, states_.v(n));
    const double factor = chain_.factor_of_last(kinetic_n, states_.chain(n));
    std::vector<double> w(states_.chain(n - 1), states_.chain(n - 1) + t_.chain);
    chain_.half_step(twice_kinetic(t_, states_.v(n - 1)), w.data());
    through_half_step(states_.v(n), 1.0 / factor, factor, kinetic_n / (factor * factor), w.data());
  }

  void through_first_half_step(int n)
  {
    const double kinetic = twice_kinetic(t_, states_.v(n));
    std::vector<double> w(states_.chain(n), states_.chain(n) + t_.chain);
    const double factor = chain_.half_step(kinetic, w.data());
    through_half_step(states_.v(n), 1.0, factor, kinetic, states_.chain(n));
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
  PairHessian &hessian_;
  NoseHooverChain chain_;
  States states_;
  std::vector<double> x_, v_;    // dL/dx, dL/dv of the present state
  std::vector<double> force_;    // dL/df of its forces
  std::vector<double> w_;        // dL/dw of its chain
  std::vector<double> lambda_, gradient_, jacobian_;
};

}    // namespace

Adjoint adjoint(const Trajectory &trajectory, const StateDerivatives &derivatives,
                PairHessian &hessian, Instructions instructions)
{
  return Sweep(trajectory, derivatives, hessian, instructions).run();
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

}    // namespace diffsim
