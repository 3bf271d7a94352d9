#include "spline.h"

#include <vector>

namespace diffsim {

namespace {

// Solve x_{k-1} + 4 x_k + x_{k+1} = b_k for k = first..last in place (b becomes x), where the
// neighbours outside of the range have been moved to the right-hand side.  The matrix is symmetric
// and diagonally dominant: elimination without pivoting is stable.
void solve_tridiagonal(int first, int last, double *b)
{
  if (last < first) return;
  const int n = last - first + 1;
  std::vector<double> upper(n);
  double *x = b + first;
  double diagonal = 4.0;
  x[0] /= diagonal;
  for (int k = 1; k < n; k++) {
    upper[k - 1] = 1.0 / diagonal;
    diagonal = 4.0 - upper[k - 1];
    x[k] = (x[k] - x[k - 1]) / diagonal;
  }
  for (int k = n - 2; k >= 0; k--) x[k] -= upper[k] * x[k + 1];
}

}    // namespace

// Interpolation at knot k reads c_{k-1} + 4 c_k + c_{k+1} = 6 u_k when c is indexed by the knot
// under the B-spline's centre.  Eliminating c_{-1}, c_2, c_3 from the end condition c_{-1} - 4 c_0
// + 6 c_1 - 4 c_2 + c_3 = 0 with the equations of knots 0, 1, 2 leaves c_1 = (8 u_1 - u_0 - u_2)/6
// alone; the same holds at the other end.

void spline_coefficients(int knots, const double *u, double *c)
{
  double *a = c + 1;    // a[k] is centred on knot k, k = -1..K
  const int last = knots - 1;
  a[1] = (8.0 * u[1] - u[0] - u[2]) / 6.0;
  a[last - 1] = (8.0 * u[last - 1] - u[last] - u[last - 2]) / 6.0;
  for (int k = 2; k <= last - 2; k++) a[k] = 6.0 * u[k];
  a[2] -= a[1];
  a[last - 2] -= a[last - 1];
  solve_tridiagonal(2, last - 2, a);
  a[0] = 6.0 * u[1] - 4.0 * a[1] - a[2];
  a[-1] = 6.0 * u[0] - 4.0 * a[0] - a[1];
  a[last] = 6.0 * u[last - 1] - 4.0 * a[last - 1] - a[last - 2];
  a[last + 1] = 6.0 * u[last] - 4.0 * a[last] - a[last - 1];
}

void spline_coefficients_transpose(int knots, const double *dc, double *du)
{
  // the steps of spline_coefficients in reverse order, each transposed
  std::vector<double> adjoint(dc, dc + basis_size(knots));
  double *a = adjoint.data() + 1;
  const int last = knots - 1;
  for (int k = 0; k < knots; k++) du[k] = 0.0;

  du[last] += 6.0 * a[last + 1];
  a[last] -= 4.0 * a[last + 1];
  a[last - 1] -= a[last + 1];

  du[last - 1] += 6.0 * a[last];
  a[last - 1] -= 4.0 * a[last];
  a[last - 2] -= a[last];

  du[0] += 6.0 * a[-1];
  a[0] -= 4.0 * a[-1];
  a[1] -= a[-1];

  du[1] += 6.0 * a[0];
  a[1] -= 4.0 * a[0];
  a[2] -= a[0];

  solve_tridiagonal(2, last - 2, a);    // the matrix is symmetric
  a[1] -= a[2];
  a[last - 1] -= a[last - 2];
  for (int k = 2; k <= last - 2; k++) du[k] += 6.0 * a[k];

  du[last - 1] += 8.0 / 6.0 * a[last - 1];
  du[last] -= a[last - 1] / 6.0;
  du[last - 2] -= a[last - 1] / 6.0;
  du[1] += 8.0 / 6.0 * a[1];
  du[0] -= a[1] / 6.0;
  du[2] -= a[1] / 6.0;
}

void spline_rows(int knots, const double *c, SplineRow *rows)
{
  for (int k = 1; k < knots; k++, c++) {
    double *const q = rows[k].q;
    q[0] = (c[0] + 4.0 * c[1] + c[2]) / 6.0;
    q[1] = (c[2] - c[0]) / 2.0;
    q[2] = c[0] - 2.0 * c[1] + c[2];
    q[3] = (c[3] - c[0] + 3.0 * (c[1] - c[2])) / 2.0;
  }
  const double value = rows[1].q[0], slope = rows[1].q[1];
  rows[0] = {{value - slope, slope, 0.0, 0.0}};
}

}    // namespace diffsim
