// Rows of numbers of all processes together on the first one.

#ifndef LMP_DIFFSIM_GATHER_ROWS_H
#define LMP_DIFFSIM_GATHER_ROWS_H

#include <mpi.h>

#include <vector>

namespace LAMMPS_NS {

// Rows of `width` numbers, of which the first is an integer in the form of LAMMPS's ubuf, in the
// order of these integers; empty on all processes but 0.
std::vector<double> gather_rows(const std::vector<double> &rows, int width, MPI_Comm world);

}    // namespace LAMMPS_NS

#endif
