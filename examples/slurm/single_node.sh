#!/bin/bash
#SBATCH --job-name=diffsim
#SBATCH --nodes=1
#SBATCH --ntasks=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=%x_%j.log
# A training on one node:
#     sbatch single_node.sh config.yaml run
set -euo pipefail
: "${2:?usage: sbatch single_node.sh CONFIG RUN}"
source ./cluster.sh
train "$1" "$2"
