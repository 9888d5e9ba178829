# Every developer command. Each one first makes .venv match requirements.lock, so a fresh clone needs none of them before.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Built here, so that the tools below find it and no global installation changes.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export UV_LINK_MODE ?= copy
# The machine's own certificates: behind a company's proxy uv's bundled ones are not enough.
export UV_SYSTEM_CERTS ?= true
# As pip does: a program that finds no bytecode compiles all it imports at each start, which doubles its cost.
export UV_COMPILE_BYTECODE ?= true
# Also where the environment forbids it: every process of pytest would rewrite 800 modules at each start, for 40 s of CPU.
export PYTHONDONTWRITEBYTECODE :=
MEMBERS := shared $(sort $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml)))
NAMES := $(foreach m,$(MEMBERS),kgents-$(notdir $(m)))

.PHONY: help setup up web pictures images kubernetes release test faults servers check fix bench accuracy gen lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## .venv with everything that requirements.lock names (the other targets do this by themselves)

$(VENV)/.ready: requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "kgents needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null \
	  || { rm -rf $(VENV); test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	       && echo "setup: installing Debian's python3-venv" \
	       && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null \
	       && $(PYTHON) -m venv $(VENV); } \
	  || { echo "setup: cannot make $(VENV). Install Python's venv module (Debian: apt-get install python3-venv) and run again."; exit 1; }
	@test -x $(BIN)/uv || { echo "setup: installing uv into $(VENV)"; \
	  awk '/^[a-z]/ {on = /^uv==/} on' requirements.lock > $(VENV)/uv.txt \
	  && $(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $(VENV)/uv.txt; }
	@echo "setup: making $(VENV) match requirements.lock"
	@$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@$(BIN)/python -m compileall -q $(foreach m,$(MEMBERS),$(m)/src)
	@touch $@

# The web view is built beside it: until then its page says so, and the terminal waits for nothing.
up: setup ## the whole pipeline on this machine, live until Ctrl-C; DEMO=1: a recorded shop with an incident instead
	@(PYTHONPATH=tools nice -n 10 $(BIN)/python -m build_web >/dev/null 2>&1 &)
	@$(BIN)/kgents up $(if $(DEMO),--demo)

web: setup ## the web view that the gateway serves (needs Node.js, or gets it; does nothing if no source has changed)
	@PYTHONPATH=tools $(BIN)/python -m build_web

pictures: setup web servers ## the pictures of the documentation and docs/demo.cast, of the demo as it is now (three minutes)
	@PYTHONPATH=tools:tests $(BIN)/python -m pictures docs

# FLAGS: see `PYTHONPATH=tools .venv/bin/python -m release images --help`.
images: setup web ## an image for each service, by the docker command: SERVICES="gateway cli" for some, FLAGS for more
	@PYTHONPATH=tools $(BIN)/python -m release images $(FLAGS) $(SERVICES)

HELM = $$(PYTHONPATH=tests $(BIN)/python -c 'from support.programs import find; print(find("helm") or "helm")')

# Images are made where they are pushed to a registry from: `make images`.
release: servers web ## dist/: wheels, chart, what is in each image, the section of the changelog, digests of all
	@rm -rf dist && PYTHONPATH=tools $(BIN)/python -m release wheels
	@PYTHONPATH=tools $(BIN)/python -m release chart --helm "$(HELM)"
	@PYTHONPATH=tools $(BIN)/python -m release sbom
	@PYTHONPATH=tools $(BIN)/python -m release notes
	@cd dist && find wheels sbom *.tgz notes.md -type f | sort | xargs sha256sum > SHA256SUMS

kubernetes: servers ## deploy/kubernetes from the chart, deploy/helm/kgents
	@PYTHONPATH=tools $(BIN)/python -m release kubernetes --helm "$(HELM)"

# Tests wait for servers most of the time, so six run at once on two cores; a file stays together for the sake of its fixtures.
# In the order of their names: what takes longest, e2e and faults, begins first, and no long file is left at the end.
test: servers web ## every test, or those of TESTS="tests/unit …", against real servers that the tests start themselves
	@$(BIN)/pytest --numprocesses 6 --dist loadfile --no-loadscope-reorder $(TESTS)

# SEEDS=0-499 for a long run, SEED=7 to replay one (STEPS=0,2 of it), MUTANTS=1 to prove that the checker sees faults.
faults: servers ## seeded schedules of faults over real processes, each guarantee checked from the streams
	@PYTHONPATH=tests $(BIN)/python -m faults.schedules $(if $(MUTANTS),--mutants) --jobs $(or $(JOBS),2) \
	  --seeds $(or $(SEED),$(SEEDS),0-39) $(if $(STEPS),--steps $(STEPS))

servers: setup ## install what the tests and the bench run against and this machine lacks (as root, on Debian)
	@PYTHONPATH=tests $(BIN)/python -m support.programs

check: setup ## lint, format, types, import contracts, generated documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	PYTHONPATH=tools $(BIN)/python -m reference --check
	$(BIN)/python -m kgents_operator.resources.write --check deploy/kubernetes/crds
	PYTHONPATH=tools $(BIN)/python -m build_web check

fix: setup ## what the linters can fix by themselves, generated documents, the ClusterRoles, the CRDs and the schema of the chart
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PYTHONPATH=tools $(BIN)/python -m reference
	$(BIN)/python -m kgents_collector_k8s.rights > deploy/kubernetes/collector-k8s-clusterrole.yaml
	$(BIN)/python -m kgents_operator.rights > deploy/kubernetes/operator-clusterrole.yaml
	$(BIN)/python -m kgents_operator.rights --disruptions > deploy/kubernetes/operator-disruptions-clusterrole.yaml
	cp deploy/kubernetes/*-clusterrole.yaml deploy/helm/kgents/files
	$(BIN)/python -m kgents_operator.resources.write deploy/kubernetes/crds
	PYTHONPATH=tools $(BIN)/python -m release schema > deploy/helm/kgents/values.schema.json

# SIZES="1000 100000" for other sizes than 1,000 and 10,000 entities.
bench: servers ## figures as ratios to a bare nats-py client doing the same I/O in the same run
	@$(BIN)/python -m tests.bench $(addprefix --size ,$(SIZES))

# Tune on the day that the project was developed with; other days are for the figures alone.
accuracy: setup ## how many faults health-scorer finds, and how fast: recordings of a shop, or DIR=… a labelled day (DETAILS=1: which not)
	@PYTHONPATH=tests $(BIN)/python -m accuracy $(or $(DIR),tests/data/accuracy/*.jsonl.gz) $(if $(DETAILS),--details)

lock: setup ## requirements.lock from the pyproject files
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade --group dev --extra ui --extra parquet \
	  $(addprefix --no-emit-package ,$(NAMES)) pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS)) -o requirements.lock

clean: ## remove .venv, every cache, and the built web view
	rm -rf .venv* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf services/gateway/web/node_modules services/gateway/src/kgents_gateway/web
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
