# Two commands: `make demo` sets everything up in .venv and runs the main job; `make test` tests.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The newest Python of those that every dependency supports.
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null \
	&& echo $$p && break; done)

# An NVIDIA GPU wants CUDA builds, any other machine the much smaller CPU ones.
HARDWARE := $(shell nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
CPU_WHEELS := https://download.pytorch.org/whl/cpu

.PHONY: help demo test lint format install clean

help:
	@echo "make demo   set up, then run the whole line on a small generated data set"
	@echo "make test   set up, then run the tests"
	@echo "make lint   check style"
	@echo "make clean  remove the environment and the demo's output"

demo: install
	$(BIN)/vifi demo

# One thread a process: the tests run in parallel, and threads would fight for the cores.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

install: $(VENV)/.installed-$(HARDWARE)

# PyPI's torch is the CUDA build. Where PyTorch's own index can be reached, the CPU build is taken
# from there; pip prefers it, because 2.13.0+cpu sorts after 2.13.0.
$(VENV)/.installed-$(HARDWARE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "vifistore needs Python 3.11 or 3.12; install one, or say \
	make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@index=""; if [ $(HARDWARE) = cpu ] && $(PYTHON) -c \
	"import urllib.request as u; u.urlopen('$(CPU_WHEELS)/', timeout=5)" 2>/dev/null; \
	then index="--extra-index-url $(CPU_WHEELS)"; fi; \
	set -x; $(BIN)/python -m pip install --quiet -c constraints.txt $$index torch && \
	$(BIN)/python -m pip install --quiet -c constraints.txt $$index -e ".[$(HARDWARE),dev]"
	@touch $@

clean:
	rm -rf $(VENV) reports/out
