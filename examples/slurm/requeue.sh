#!/bin/bash
#SBATCH --job-name=diffsim
#SBATCH --nodes=1
#SBATCH --ntasks=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x_%j.log
# A training that takes longer than a job may, in as many pieces as it needs:
#     sbatch requeue.sh config.yaml run
# 300 seconds before the end Slurm sends SIGTERM to the training (without `B:`, not to this script), which
# finishes its iteration, writes a checkpoint and ends with status 75. Make it more where an iteration takes
# longer: what is not finished at the end of the time ends the job for good.
set -euo pipefail
: "${2:?usage: sbatch requeue.sh CONFIG RUN}"
source ./cluster.sh

stopped=75 # exit status of a training that was asked to stop
mistake=2 # of one that cannot begin: the same mistake would be found again
most_failures=3 # in a row
failures=${2%/}.failures # beside the folder of the run, which has to be empty before the first checkpoint

status=0
train "$1" "$2" || status=$?

if ((status == 0)); then
  rm -f "$failures"
  exit 0
fi
if ((status == mistake)); then
  rm -f "$failures"
  echo "The training says that something is to be mended first: not tried again." >&2
  exit "$status"
fi
if ((status == stopped)); then
  rm -f "$failures"
else
  # a training that resumes takes back the step that LAMMPS could not follow; but not for ever
  count=$(($(cat "$failures" 2>/dev/null || echo 0) + 1))
  echo "$count" > "$failures"
  if ((count >= most_failures)); then
    echo "$count failures in a row, the last with status $status: given up. To go on, submit it again." >&2
    rm -f "$failures"
    exit "$status"
  fi
fi
scontrol requeue "$SLURM_JOB_ID"
