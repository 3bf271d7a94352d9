// A style whose energy is linear in the coefficients of a basis, U = c . n(x), as fix
// diffsim/counts sees it: whoever keeps this is recorded, whatever the energy is a function of.

#ifndef LMP_DIFFSIM_COUNTED_STYLE_H
#define LMP_DIFFSIM_COUNTED_STYLE_H

namespace LAMMPS_NS {

class CountedStyle {
 public:
  CountedStyle() = default;
  CountedStyle(const CountedStyle &) = delete;
  CountedStyle &operator=(const CountedStyle &) = delete;

  // number of coefficients of each pair of atom types
  virtual int basis() const = 0;
  // changes when the potential does, and is never that of another instance
  virtual int revision() const = 0;
  // why the energy is not that of the coefficients: a reason for a message, null if it is
  virtual const char *other_than_basis() const = 0;
  // adds this process's share of n and of the virial counts, for each pair of types in turn
  virtual void add_counts(double *counts, double *virial) = 0;

 protected:
  ~CountedStyle() = default;    // LAMMPS deletes the style as what else it is
};

}    // namespace LAMMPS_NS

#endif
