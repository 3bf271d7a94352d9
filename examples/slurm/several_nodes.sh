#!/bin/bash
#SBATCH --job-name=diffsim
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=32
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=%x_%j.log
# A training on several nodes:
#     sbatch several_nodes.sh config.yaml run
# How many processes share a simulation, and how many replicas there are, follows from the sizes of the
# systems, and is printed. If you choose `ranks_per_simulation`, let it divide the processes of a node:
# then no simulation is spread over two.
set -euo pipefail
: "${2:?usage: sbatch several_nodes.sh CONFIG RUN}"
source ./cluster.sh
train "$1" "$2"
