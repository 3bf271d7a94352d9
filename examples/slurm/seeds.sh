#!/bin/bash
#SBATCH --job-name=diffsim-seeds
#SBATCH --array=1-5
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=%x_%A_%a.log
# The same training with the seeds of --array, each in a folder of its own, runs/seed_1 and so on:
#     sbatch seeds.sh config.yaml runs
set -euo pipefail
: "${2:?usage: sbatch seeds.sh CONFIG RUNS}"
source ./cluster.sh
run=${2%/}/seed_$SLURM_ARRAY_TASK_ID
mkdir -p "$2"
# The seed of the simulations, and of a network that has none of its own in `potential`. The paths in what
# is written are absolute, and so it can be in another folder.
python - "$1" "$SLURM_ARRAY_TASK_ID" > "$run.yaml" <<'END'
import sys
from pathlib import Path
from diffsim.config.schema import dump_config, load_config

config = load_config(Path(sys.argv[1]))
print(dump_config(config.model_copy(update={"seed": int(sys.argv[2])})), end="")
END
train "$run.yaml" "$run"
