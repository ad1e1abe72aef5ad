# dsched: every daily act is a target here. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DISTRIBUTIONS := core executors-local executors-http executors-grpc executors-mq \
	plugins/balancers plugins/store-sqlite plugins/store-redis \
	plugins/metrics-prometheus plugins/api-http plugins/console cli \
	clients/http plugins/alerts plugins/testkit
SOURCES := $(addsuffix /src,$(DISTRIBUTIONS))
ARGS ?=
SEEDS ?= 500
MINUTES ?= 10
DIST ?= dist
NEW ?=

.DEFAULT_GOAL := help
.PHONY: help deploy-files docs docs-pages sync-client vendor screenshots console-figures dev run test test-fast test-long simulate sweep mutants chaos durability record bench \
	lint check format lock version dist release-check release-tag release-publish clean

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: $(VENV)/.ready ## Set up .venv with every distribution, editable.

# One stamp file: set-up runs again only when what it depends on has changed.
$(VENV)/.ready: requirements-dev.txt pyproject.toml $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "dsched needs Python 3.11 or newer; found %s. Set PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@echo 'setting up $(VENV) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps \
		$(addprefix -e ./,$(DISTRIBUTIONS))
	@touch $@

run: dev ## Run a pod on the embedded store with the example tasks: make run ARGS="--for 20s"
	$(BIN)/python docs/examples/quickstart/run.py $(ARGS)

test: dev ## Run the tests, the fast ones first; starts its own Redis.
	$(BIN)/python -m pytest -m "not slow" -n 2 $(ARGS)
	$(BIN)/python -m pytest -m "slow and not long" -n 3 --dist worksteal $(ARGS)

test-long: dev ## Run what make test leaves out of its longer suites.
	$(BIN)/python -m pytest -m long -n 3 --dist worksteal $(ARGS)

test-fast: dev ## Run only the fast tests.
	$(BIN)/python -m pytest -m "not slow" -n 2 $(ARGS)

simulate: dev ## Simulate clusters with faults in virtual time: make simulate SEEDS=500 ARGS="--first 1000"
	$(BIN)/python tests/simulation/simulate.py --seeds $(SEEDS) $(ARGS)

sweep: dev ## Crash each process at each of its store calls, in virtual time: make sweep ARGS="--only drains"
	$(BIN)/python tests/sweep/crash_points.py $(ARGS)

mutants: dev ## Break the protocol guard by guard and count what notices: make mutants ARGS="--family redis"
	$(BIN)/python tests/mutants/break_guards.py $(ARGS)

chaos: dev ## Break real pods and stores for MINUTES: make chaos MINUTES=10 ARGS="--backend sentinel --seed 7"
	$(BIN)/python tests/chaos/chaos_cli.py --minutes $(MINUTES) $(ARGS)

durability: dev ## Measure what each durability profile loses: make durability ARGS="--rounds 3 --record"
	$(BIN)/python tests/chaos/durability_cli.py $(ARGS)

record: dev ## Run the long proofs that this commit lacks, and record them; may be stopped, and goes on.
	$(BIN)/python release/record.py $(ARGS)

bench: dev ## Measure dsched beside its peers; writes docs/performance.md: make bench ARGS=--quick
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

lint: dev ## Format and lint only: the quick part of check.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check: lint ## Format, lint, types, layers, sizes.
	$(BIN)/mypy $(SOURCES) release
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture -q -p no:cacheprovider

sync-client: dev ## Make the blocking HTTP client from the one that awaits.
	$(BIN)/python clients/http/make_sync.py

vendor: dev ## Bring the libraries of the console from npm, as plugins/console/vendored.toml lists them.
	$(BIN)/python plugins/console/vendor.py

screenshots: dev ## Make the pictures of the console for README and docs, from a running cluster.
	$(BIN)/python plugins/console/screenshots.py $(ARGS)

console-figures: dev ## Measure what the console weighs and costs, into docs/performance.md.
	$(BIN)/python plugins/console/measure.py

deploy-files: dev ## Make the dashboards, and the plain manifests of Kubernetes from the chart (needs helm).
	$(BIN)/python deploy/make_files.py

docs: dev ## Build the documentation site into build/site; a warning or a broken link is an error.
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs/site -b html . build/site

docs-pages: dev ## Write the reference pages that are made of the code.
	$(BIN)/python docs/make_pages.py

format: dev ## Let ruff rewrite what it can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url

lock: dev ## Pin the requirements of development and of the image anew, by hash.
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(LOCK) deploy/requirements.in -c requirements-dev.txt -o deploy/requirements.txt
	$(LOCK) deploy/requirements-build.in -c requirements-dev.txt -o deploy/requirements-build.txt

version: dev ## Write the core's version into all distributions: make version NEW=0.2.0 changes it first.
	$(BIN)/python release/stamp_version.py $(DISTRIBUTIONS) --new '$(NEW)'

# The wheels are built from the source archives, so that what is published is what others can build.
dist: dev ## Build and check wheels and source archives of all distributions in dist/.
	rm -rf $(DIST)
	@printf '%s\n' $(DISTRIBUTIONS) | xargs -P 2 -n 1 $(SHELL) -c \
		'said=$$($(BIN)/python -m build --no-isolation --outdir $(DIST) "$$0" 2>&1) || { echo "$$said" >&2; exit 255; }'
	$(BIN)/python release/check_dist.py $(DIST) $(DISTRIBUTIONS)

release-check: dist ## Say whether a release can be made of this tree; changes nothing.
	$(BIN)/python release/check_release.py $(DIST) $(DISTRIBUTIONS)

release-tag: release-check ## Tag this commit with its notes and sums: make release-tag ARGS=--sign
	$(BIN)/python release/publish.py tag $(DIST) $(ARGS)

release-publish: dev ## Upload what the tag names: make release-publish ARGS=--dry-run
	$(BIN)/python release/publish.py publish $(DIST) $(ARGS)

clean: ## Remove the environment, the archives and every cache.
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
