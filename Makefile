# `make` lists the targets. Everything runs from .venv, which `make install` builds from the hashed lock.

# The first Python that is new enough, unless you say which: make PYTHON=python3.12 install
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
CLIENTS := .venv-clients
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml --universal --generate-hashes --no-header --python-version 3.11
# Three processes, for two cores: tests also wait. Each takes whole files: what a file's tests share is made once. In the
# order of names the long files with stacks of their own come early, and many short ones last.
TEST := $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install up demo test test-system test-clients faults chaos soak fuzz check bench lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv from requirements.lock

up: $(INSTALLED) ## start the whole stack here, until Ctrl-C
	@$(BIN)/rowmill up

demo: $(INSTALLED) ## score a million rows and a zip of images through the whole stack, and show it
	@$(BIN)/python examples/demo.py

test: $(INSTALLED) ## run every test that needs only PyPI
	$(TEST)

test-system: $(INSTALLED) ## run the tests that need system packages (Compose, a browser)
	$(BIN)/pytest -m system

test-clients: $(CLIENTS)/.installed ## test with the clients of MLflow and Triton, from an environment that fits them
	MLFLOW_DISABLE_TELEMETRY=true $(CLIENTS)/bin/pytest -m clients tests/e2e

faults: $(INSTALLED) ## strike down processes at every crash point, take out each guard, and injure Redis for long
	$(BIN)/pytest -m faults

chaos: $(INSTALLED) ## five minutes of faults on a whole stack; SEED=… replays a run, POSTGRES=1 leaves SQLite
	$(BIN)/python -m tests.chaos --seconds 300 $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres)

soak: $(INSTALLED) ## the same for half an hour
	$(BIN)/python -m tests.chaos --seconds 1800 $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres)

fuzz: $(INSTALLED) ## 20,000 hostile connections, 100,000 mutated requests over all routes; SEED=… replays a run
	$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED))

check: $(INSTALLED) ## format, lint, types, import contracts, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TEST)

bench: $(INSTALLED) ## measure against the baselines; takes long, wants an idle machine
	@$(BIN)/python -m benchmarks

lock: $(INSTALLED) ## resolve the dependencies anew, for all platforms, with hashes
	$(COMPILE) --extra build --extra jwt --extra skops --extra dev --extra system -o requirements.lock
	$(COMPILE) --extra build --extra jwt --extra skops --constraint requirements.lock -o requirements-server.lock
	$(COMPILE) --extra build --extra skops --extra dev --extra mlflow --extra clients -o requirements-clients.lock

$(INSTALLED): requirements.lock pyproject.toml
$(CLIENTS)/.installed: requirements-clients.lock pyproject.toml
$(INSTALLED) $(CLIENTS)/.installed:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
		echo 'Rowmill needs Python 3.11, 3.12 or 3.13; say where it is: make PYTHON=python3.12 install' >&2; \
		exit 1; }
	@test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
