# make demo: install, run the digits grid (3 minutes), print its table, draw its figure
# make test: install, run the tests
# make test-slurm: install, run the tests that start Slurm clusters of three nodes on this machine (Debian's packages)
# make faults: install, do 1,000 random faults to commands and to a Slurm cluster on this machine, count them (20 minutes)
# make experiments: install, run all experiments of conf/experiment/small in sweeps/small, check what each shows
# make bench DATA=DIR: install, measure how fast it is beside a plain script (half an hour; DIR has MNIST as torchvision keeps it)
# make gpu-check: install, check all on this machine's GPU against its CPU in 10 minutes, write gpu-check.md; 2: no GPU
#
# Overrides: PYTHON=python3.12  VENV=DIR  CONSTRAINTS=FILE  PIP="pip options, such as --index-url"  JOBS=N
#            FAULTS=N  SEED=N  DATA=DIR  BENCH="options of benchmarks/bench.py"

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP ?=
JOBS ?= 2
FAULTS ?= 1000
SEED ?= 0
DATA ?=
BENCH ?=

BIN = $(VENV)/bin
INSTALLED = $(VENV)/installed

.PHONY: install demo test test-slurm faults experiments lint bench gpu-check clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "taunode needs Python 3.11 or newer: make PYTHON=...")'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP) --constraint $(CONSTRAINTS) --editable '.[dev]'
	touch $(INSTALLED)

demo: install
	$(BIN)/taunode -m experiment=digits_depth_tau
	$(BIN)/multirun-analysis table sweeps/digits_depth_tau
	$(BIN)/multirun-analysis figure sweeps/digits_depth_tau

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS)

test-slurm: install
	TAUNODE_SLURM=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --durations 0 tests/slurm \
		tests/campaign/test_campaign.py::test_jobs_in_slurm

faults: install
	TAUNODE_SLURM=1 TAUNODE_FAULTS=$(FAULTS) TAUNODE_FAULTS_SEED=$(SEED) OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest --capture no tests/campaign

experiments: install
	TAUNODE_EXPERIMENTS=. $(BIN)/python -m pytest --verbose --durations 0 tests/conf/test_small.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py $(if $(DATA),--data $(DATA)) $(BENCH)

gpu-check: install
	$(BIN)/python benchmarks/gpu_check.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
