// C2 cubic splines in s = r^2 on uniform knots: values -> B-spline coefficients -> polynomials.
//
// K knots s_k = s_inner + k h, k = 0..K-1, carry the values u_k of the potential.  The spline is
//
//     phi(s) = sum_b c_b B_b(s),   b = 0..K+1,
//
// with the uniform cubic B-splines B_b.  Two end conditions close the system: the third derivative
// is continuous at the second and at the last but one knot ("not a knot").  They keep c linear in u
// and need no derivative of the potential.  Everything here is a pure function of plain arrays.
//
// Source: C. de Boor, A Practical Guide to Splines, Springer 1978, chapters IV and IX.

#ifndef DIFFSIM_KERNELS_SPLINE_H
#define DIFFSIM_KERNELS_SPLINE_H

#include <algorithm>

namespace diffsim {

// fewest knots for which the two end conditions are independent of each other
constexpr int MIN_KNOTS = 6;

// number of B-splines that span the splines on `knots` knots
constexpr int basis_size(int knots)
{
  return knots + 2;
}

// values u[K] at the knots -> coefficients c[K+2].  O(K).  Requires K >= MIN_KNOTS.
void spline_coefficients(int knots, const double *u, double *c);

// the transpose of the map above: dc[K+2] -> du[K], du = (dc/du)^T dc.  Turns a derivative with
// respect to the coefficients into one with respect to the knots' values.
void spline_coefficients_transpose(int knots, const double *dc, double *du);

// coefficients c[K+2] -> p[(K-1)*4]: phi = p0 + p1 t + p2 t^2 + p3 t^3 on interval k, where
// t = (s - s_k)/h is in [0, 1]
void spline_polynomials(int knots, const double *c, double *p);

// The place of s on the grid: the interval, and the position in it.  Below the innermost knot t is
// negative and the interval is the first.  Rounding can put an s just below the cutoff on the last
// knot itself; it belongs to the last interval.
struct SplinePosition {
  int interval;
  double t;
};

inline SplinePosition spline_position(double s, double s_inner, double inv_h, int knots)
{
  const double x = (s - s_inner) * inv_h;
  const int k = std::min(x > 0.0 ? static_cast<int>(x) : 0, knots - 2);
  return {k, x - k};
}

// The four B-splines that are not zero at position (k, t); w[m] belongs to c[k+m].  For t < 0 the
// spline is continued with its value and slope at the innermost knot, linearly in s.
inline void spline_weights(double t, double *w)
{
  if (t < 0.0) {
    w[0] = 1.0 / 6.0 - 0.5 * t;
    w[1] = 2.0 / 3.0;
    w[2] = 1.0 / 6.0 + 0.5 * t;
    w[3] = 0.0;
    return;
  }
  const double t2 = t * t;
  const double t3 = t2 * t;
  const double one = 1.0 - t;
  w[0] = one * one * one / 6.0;
  w[1] = (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0;
  w[2] = (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0;
  w[3] = t3 / 6.0;
}

// phi and dphi/dt of the interval with polynomial p[4] at t, continued linearly for t < 0
inline double spline_value(const double *p, double t, double &dphi_dt)
{
  if (t < 0.0) {
    dphi_dt = p[1];
    return p[0] + t * p[1];
  }
  dphi_dt = p[1] + t * (2.0 * p[2] + t * 3.0 * p[3]);
  return p[0] + t * (p[1] + t * (p[2] + t * p[3]));
}

}    // namespace diffsim

#endif
