#ifndef LMP_DIFFSIM_FIRST_FAILURE_H
#define LMP_DIFFSIM_FIRST_FAILURE_H

#include "lmptype.h"

#include <mpi.h>
#include <string>

namespace LAMMPS_NS {
class LAMMPS;

// The text of one process on all of them.
void broadcast(std::string &text, int root, MPI_Comm world);

// All processes call it, with an empty text where nothing has failed.  They stop with the sentence
// of the first that failed: none is killed by another before it has said why.
void stop_with_first(LAMMPS *lmp, std::string failure);

}    // namespace LAMMPS_NS

#endif
