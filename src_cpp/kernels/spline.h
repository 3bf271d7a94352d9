// C2 cubic splines in s = r^2 on uniform knots: values -> B-spline coefficients -> rows of
// polynomials.
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

// marks what kernels of a GPU call as well
#ifdef __CUDACC__
#define DIFFSIM_ANYWHERE __host__ __device__
#else
#define DIFFSIM_ANYWHERE
#endif

namespace diffsim {

// fewest knots for which the two end conditions are independent of each other
constexpr int MIN_KNOTS = 6;

// number of B-splines that span the splines on `knots` knots
DIFFSIM_ANYWHERE constexpr int basis_size(int knots)
{
  return knots + 2;
}

// values u[K] at the knots -> coefficients c[K+2].  O(K).  Requires K >= MIN_KNOTS.
void spline_coefficients(int knots, const double *u, double *c);

// the transpose of the map above: dc[K+2] -> du[K], du = (dc/du)^T dc.  Turns a derivative with
// respect to the coefficients into one with respect to the knots' values.
void spline_coefficients_transpose(int knots, const double *dc, double *du);

// The spline on one interval of s, as a cubic in t, which runs from 0 to 1 on the interval:
//
//     phi(t)     = q0 + t (q1 + t (q2/2 + t q3/3))
//     dphi/dt(t) = q1 + t (q2 + t q3)
//
// This form saves the factors of the force, which is needed far more often than the energy.
struct alignas(32) SplineRow {
  double q[4];
};

// coefficients c[K+2] -> rows[K].  Row k belongs to the interval from knot k-1 to knot k.  Row 0 is
// the continuation below the innermost knot with its value and slope, linear in s.
void spline_rows(int knots, const double *c, SplineRow *rows);

// The place of s on the grid: the row, and t in it.  Below the innermost knot the row is 0, and t
// is less than 1 and may be negative.  Rounding can put an s just below the cutoff on the last knot
// itself; it belongs to the last row.
struct SplinePosition {
  int row;
  double t;

  // index of the first of the four B-splines that spline_weights() gives
  DIFFSIM_ANYWHERE int first_basis() const { return row > 0 ? row - 1 : 0; }
};

template <class Real>
DIFFSIM_ANYWHERE inline int spline_row(Real s, Real s_inner, Real inv_h, int knots, Real &t)
{
  const Real x = (s - s_inner) * inv_h + Real(1);
  const int below = x > Real(0) ? static_cast<int>(x) : 0;
  const int row = below < knots ? below : knots - 1;
  t = x - Real(row);
  return row;
}

DIFFSIM_ANYWHERE inline SplinePosition spline_position(double s, double s_inner, double inv_h,
                                                       int knots)
{
  SplinePosition at;
  at.row = spline_row(s, s_inner, inv_h, knots, at.t);
  return at;
}

// phi and dphi/dt
inline double spline_value(const SplineRow &row, double t, double &dphi_dt)
{
  const double *const q = row.q;
  dphi_dt = q[1] + t * (q[2] + t * q[3]);
  return q[0] + t * (q[1] + t * (0.5 * q[2] + t * q[3] / 3.0));
}

// The four B-splines that are not zero at a position; w[m] belongs to c[first_basis + m].
DIFFSIM_ANYWHERE inline void spline_weights(const SplinePosition &at, double *w)
{
  if (at.row == 0) {
    const double t = at.t - 1.0;    // from the innermost knot
    w[0] = 1.0 / 6.0 - 0.5 * t;
    w[1] = 2.0 / 3.0;
    w[2] = 1.0 / 6.0 + 0.5 * t;
    w[3] = 0.0;
    return;
  }
  const double t = at.t;
  const double t2 = t * t;
  const double t3 = t2 * t;
  const double one = 1.0 - t;
  w[0] = one * one * one / 6.0;
  w[1] = (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0;
  w[2] = (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0;
  w[3] = t3 / 6.0;
}

// Their derivatives with respect to t, the slopes of what spline_weights() gives.
DIFFSIM_ANYWHERE inline void spline_slopes(const SplinePosition &at, double *dw_dt)
{
  if (at.row == 0) {
    dw_dt[0] = -0.5;
    dw_dt[1] = 0.0;
    dw_dt[2] = 0.5;
    dw_dt[3] = 0.0;
    return;
  }
  const double t = at.t;
  const double one = 1.0 - t;
  dw_dt[0] = -0.5 * one * one;
  dw_dt[1] = t * (1.5 * t - 2.0);
  dw_dt[2] = 0.5 + t * (1.0 - 1.5 * t);
  dw_dt[3] = 0.5 * t * t;
}

}    // namespace diffsim

#endif
