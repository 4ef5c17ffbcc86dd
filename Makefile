# Two commands: `make demo` sets everything up in .venv and runs the main job; `make test` tests.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# That of an environment which is there, else the newest that every dependency supports. A name
# that is found may still not run: pyenv has one for each installed version, chosen or not.
VERSIONS := 3.12 3.11
PYTHON ?= $(shell for p in $(BIN)/python $(VERSIONS:%=python%) python3 python; do \
	[[ " $(VERSIONS) " == *" $$($$p -c '$(TELL)' 2>/dev/null) "* ]] && echo $$p && break; done)
TELL := import sys; print("%d.%d" % sys.version_info[:2])
VERSION := $(filter $(VERSIONS),$(shell $(PYTHON) -c '$(TELL)' 2>/dev/null))

# An NVIDIA GPU wants CUDA builds, any other machine the much smaller CPU ones.
HARDWARE := $(shell nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
CPU_WHEELS := https://download.pytorch.org/whl/cpu

# What is installed, and the exact version of all that this brings in.
EXTRAS ?= dev
LOCK := $(VERSION:%=locks/%-$(HARDWARE).txt)
# `make lock` takes torch at this version, and the torchvision and Triton that go with it.
TORCH := 2.13.0

.PHONY: help demo test mutations lint format install newest lock clean

help:
	@echo "make demo    set up, then run the whole line on a small generated data set"
	@echo "make test    set up, then run the tests"
	@echo "make mutations  break lines one by one, and see tests fail: half an hour or more"
	@echo "make lint    check style and types"
	@echo "make newest  run the tests with the newest release of everything, in .venv-newest"
	@echo "make lock    write locks/ anew after pyproject.toml; UPGRADE=1 moves them to the newest"
	@echo "make clean   remove the environments and the demo's output"

demo: install
	$(BIN)/vifi demo

# One thread a process: the tests run in parallel, and threads would fight for the cores.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

mutations: install
	$(BIN)/python -m tests.mutations

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --project . --pythonpath $(BIN)/python --warnings

format: install
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

install: $(VENV)/.installed-$(VERSION)-$(HARDWARE)

# PyPI's torch is the CUDA build. Where PyTorch's own index can be reached, the CPU build is taken
# from there; pip prefers it, because 2.13.0+cpu sorts after 2.13.0. Setuptools comes first and
# builds in the environment: in one of its own, pip would build with a release of today.
$(VENV)/.installed-$(VERSION)-$(HARDWARE): pyproject.toml $(LOCK)
	@test -n "$(VERSION)" || { echo "vifistore needs Python 3.11 or 3.12; install one, or say \
	make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(VENV)
	@index=""; if [ $(HARDWARE) = cpu ] && $(PYTHON) -c \
	"import urllib.request as u; u.urlopen('$(CPU_WHEELS)/', timeout=5)" 2>/dev/null; \
	then index="--extra-index-url $(CPU_WHEELS)"; fi; \
	set -ex; pip="$(BIN)/python -m pip install --quiet $(if $(LOCK),-c $(LOCK)) $$index"; \
	$$pip setuptools; $$pip --no-build-isolation -e ".[$(HARDWARE),$(EXTRAS)]"
	@echo $(LOCK) > $@

# What a new user without the locks would get today.
newest:
	rm -rf .venv-newest
	$(MAKE) VENV=.venv-newest LOCK= test

# Only who changes the locks needs uv. One lock serves PyPI's torch and PyTorch's CPU build, whose
# version satisfies `==2.13.0`; hashes would not.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	set -e; for v in $(VERSIONS); do for h in cpu gpu; do echo "torch==$(TORCH)" | \
	.venv-lock/bin/uv pip compile --quiet --universal --fork-strategy fewest \
	--python-version $$v $(if $(UPGRADE),--upgrade) --no-annotate \
	--custom-compile-command "make lock" --constraint /dev/stdin \
	--extra $$h --extra $$([ $$h = gpu ] && echo nvdec || echo torchcodec) \
	$(LOCKED_EXTRAS:%=--extra %) pyproject.toml -o locks/$$v-$$h.txt; done; done
LOCKED_EXTRAS := dev s3 ray hf mteb tensorboard ci

clean:
	rm -rf .venv .venv-newest .venv-lock reports/out
