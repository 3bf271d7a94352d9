#include "nose_hoover.h"

#include <cmath>

namespace diffsim {

namespace {

// A number with its derivatives with respect to n others.
class Dual {
 public:
  Dual(double value, int n) : value_(value), slope_(n, 0.0) {}
  static Dual variable(double value, int n, int which)
  {
    Dual result(value, n);
    result.slope_[which] = 1.0;
    return result;
  }

  double value() const { return value_; }
  double slope(int which) const { return slope_[which]; }

  Dual &operator+=(const Dual &other) { return combine(value_ + other.value_, 1.0, other, 1.0); }
  Dual &operator*=(const Dual &other)
  {
    return combine(value_ * other.value_, other.value_, other, value_);
  }
  friend Dual operator*(Dual a, const Dual &b) { return a *= b; }
  friend Dual operator*(Dual a, double b) { return a.combine(a.value_ * b, b, a, 0.0); }
  friend Dual operator-(Dual a, double b)
  {
    a.value_ -= b;
    return a;
  }
  friend Dual exp(Dual a)
  {
    const double value = std::exp(a.value_);
    return a.combine(value, value, a, 0.0);
  }

 private:
  // takes the value, and own_factor * own slopes + other_factor * other's slopes
  Dual &combine(double value, double own_factor, const Dual &other, double other_factor)
  {
    for (size_t k = 0; k < slope_.size(); k++)
      slope_[k] = own_factor * slope_[k] + other_factor * other.slope_[k];
    value_ = value;
    return *this;
  }

  double value_;
  std::vector<double> slope_;
};

// The half step for numbers of either kind; `zero` and `one` are constants of that kind.
template <class Number>
Number half_step(const NoseHooverChain &chain, const Number &kinetic, std::vector<Number> &w,
                 const Number &zero, const Number &one)
{
  using std::exp;
  const int last = chain.length() - 1;
  const double quarter = 0.25 * chain.dt, eighth = 0.125 * chain.dt;
  auto damping = [&](int j) { return j < last ? exp(w[j + 1] * -eighth) : one; };
  auto push = [&](int j, const Number &drive) {
    const Number factor = damping(j);
    w[j] *= factor;
    w[j] += drive * quarter;
    w[j] *= factor;
  };
  auto drive_of = [&](int j) {
    return (w[j - 1] * w[j - 1] * chain.mass[j - 1] - chain.kt) * (1.0 / chain.mass[j]);
  };
  auto first_drive = [&](const Number &k) {
    return (k - chain.degrees_of_freedom * chain.kt) * (1.0 / chain.mass[0]);
  };

  // the drives of all are those before the half step
  std::vector<Number> drives(chain.length(), zero);
  for (int j = last; j > 0; j--) drives[j] = drive_of(j);
  for (int j = last; j > 0; j--) push(j, drives[j]);
  push(0, first_drive(kinetic));
  const Number factor = exp(w[0] * (-0.5 * chain.dt));
  push(0, first_drive(kinetic * factor * factor));
  for (int j = 1; j <= last; j++) push(j, drive_of(j));
  return factor;
}

}    // namespace

double NoseHooverChain::half_step(double kinetic, double *w) const
{
  std::vector<double> chain(w, w + length());
  const auto factor = diffsim::half_step<double>(*this, kinetic, chain, 0.0, 1.0);
  for (int j = 0; j < length(); j++) w[j] = chain[j];
  return factor;
}

double NoseHooverChain::factor_of_last(double kinetic, const double *w) const
{
  // the second half of the steps above, undone from the last to the first
  std::vector<double> before(w, w + length());
  const int last = length() - 1;
  auto undo = [&](int j, double drive) {
    const double factor = j < last ? std::exp(-0.125 * dt * before[j + 1]) : 1.0;
    before[j] = (before[j] / factor - 0.25 * dt * drive) / factor;
  };
  for (int j = last; j > 0; j--)
    undo(j, (mass[j - 1] * before[j - 1] * before[j - 1] - kt) / mass[j]);
  undo(0, (kinetic - degrees_of_freedom * kt) / mass[0]);
  return std::exp(-0.5 * dt * before[0]);
}

void NoseHooverChain::half_step_jacobian(double kinetic, const double *w, double *jacobian) const
{
  const int n = length() + 1;
  std::vector<Dual> chain;
  chain.reserve(length());
  for (int j = 0; j < length(); j++) chain.push_back(Dual::variable(w[j], n, j + 1));
  const Dual factor = diffsim::half_step<Dual>(*this, Dual::variable(kinetic, n, 0), chain,
                                               Dual(0.0, n), Dual(1.0, n));
  for (int k = 0; k < n; k++) {
    jacobian[k] = factor.slope(k);
    for (int j = 0; j < length(); j++)
      jacobian[static_cast<size_t>(j + 1) * n + k] = chain[j].slope(k);
  }
}

}    // namespace diffsim
