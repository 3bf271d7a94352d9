// How many pairs of atoms are within a molecule: what an intermolecular distribution function
// leaves out.

#ifndef DIFFSIM_LAMMPS_INTRAMOLECULAR_PAIRS_H
#define DIFFSIM_LAMMPS_INTRAMOLECULAR_PAIRS_H

#include <cstdint>
#include <vector>

#include <mpi.h>

namespace diffsim {

// Per pair of types, [unordered_pairs(ntypes)], of the atoms of all processes.  The types [nlocal]
// are counted from one; an atom with a molecule [nlocal] below one is in no molecule.  Every
// process learns of all molecules, as a molecule may be spread over several.
std::vector<std::int64_t> intramolecular_pairs(int nlocal, const int *type,
                                               const std::int64_t *molecule, int ntypes,
                                               MPI_Comm world);

}    // namespace diffsim

#endif
