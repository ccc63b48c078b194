# `make help` lists the targets. The first call makes .venv; later ones reuse it.
.DEFAULT_GOAL := help
.PHONY: help setup train test test-slow bench zoo wild programs tutorial tensorboard docs check clean

PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3.13 python3,$(if $(shell $(p) -c 'import sys, venv; sys.exit(not (3,11) <= sys.version_info < (3,14))' 2>/dev/null && echo ok),$(p))))
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "gradvitals needs Python 3.11, 3.12 or 3.13 with venv; found none. Set PYTHON=/path/to/python"; exit 1; }
	@echo "installing   what training needs into .venv; once, it takes some minutes"
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --editable ".[app]"
	@touch $(READY)

$(READY_DEV): $(READY)
	@echo "installing   the tools of the tests; once"
	$(PIP_INSTALL) --editable ".[app,dev]"
	@touch $(READY_DEV)

setup: $(READY_DEV) ## make .venv with this project, editable, what it needs, and the tools of the tests

train: $(READY) ## train: make train ARGS="model=bn act=elu"
	$(BIN)/python src/train.py $(ARGS)

# Workers share the cores: a thread that spins while it waits for another takes a core from a worker.
test test-slow: export OMP_WAIT_POLICY := PASSIVE

test: $(READY_DEV) ## run the tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-slow: $(READY_DEV) ## run the slow tests too
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "slow or not slow" $(ARGS)

bench: $(READY_DEV) ## time steps, start, sweeps and growth beside what people use: a quarter of an hour, nothing else running
	$(BIN)/python benchmarks/speed $(ARGS)

zoo: $(READY_DEV) ## diagnose and cure sick networks, beside the rules of others: half an hour, goes on where it was stopped
	$(BIN)/python benchmarks/zoo --write benchmarks/ZOO.md

wild: $(READY_DEV) ## try the verdict on what people really train: some minutes, resumes where it was stopped
	$(BIN)/python benchmarks/wild --auto-stop --write benchmarks/WILD.md

programs: $(READY_DEV) ## try the verdict on real faulty programs and on silent faults: a quarter of an hour, resumes
	$(BIN)/python benchmarks/programs --write benchmarks/PROGRAMS.md

tutorial: $(READY_DEV) ## make the tutorial's notebook and pictures of docs/tutorial/tutorial.md: two minutes
	$(BIN)/python docs/tutorial/execute.py

tensorboard: $(READY) ## open TensorBoard on the newest runs, on this machine only: ARGS="--newest 300", ARGS=DIR
	$(BIN)/python src/board.py $(ARGS)

docs: $(READY_DEV) ## build the documentation into docs/_build, offline; warnings are errors, and links are checked
	rm -rf docs/_build
	$(BIN)/python -m sphinx --nitpicky --fail-on-warning --keep-going --quiet --conf-dir docs/site . docs/_build $(ARGS)
	$(BIN)/python docs/site/links.py docs/_build

check: $(READY_DEV) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove .venv and caches; logs stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache docs/_build docs/api
