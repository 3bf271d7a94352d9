#ifndef DIFFSIM_LAMMPS_RANK_ON_MACHINE_H
#define DIFFSIM_LAMMPS_RANK_ON_MACHINE_H

#include <mpi.h>

namespace diffsim {

// The number of this process among those of a communicator that run on its machine.  All call it.
int rank_on_machine(MPI_Comm processes);

}    // namespace diffsim

#endif
