# Needs Python 3.10 to 3.13 and make; everything else is installed into .venv* of this directory.
PYTHON ?= python3
PYTEST_ARGS ?=
CORES   := $(shell nproc 2>/dev/null || echo 2)
# Processes that run tests.
WORKERS ?= $(CORES)
LOCK_ARGS ?=
MUTANTS_ARGS ?=

VENV    := .venv
OLDEST  := .venv-oldest
BENCH   := .venv-benchmarks
CLIENTS := .venv-clients
CLOUDS  := .venv-clouds
DBT     := .venv-dbt
DASHBOARD := .venv-dashboard
PEERS   := .venv-peers
BIGQUERY := .venv-bigquery
AZURITE := .cache/azurite
SNOWFLAKE := .venv-snowflake
UV_VENV := .venv-uv
UV      := $(UV_VENV)/bin/uv
COMPILE := $(UV) pip compile $(LOCK_ARGS) --quiet --universal --python-version 3.10 --generate-hashes \
           --no-emit-index-url --no-emit-find-links --override requirements/overrides.in \
           --custom-compile-command 'make lock'

CLOUD_BENCHMARKS := benchmarks/load_costs.py

NEWEST_EXTRAS := --extra iceberg --extra polars --extra report --extra sandbox

.PHONY: help check demo test test-newest test-oldest lint bench bench-clouds soak clouds dbt dashboard mutants docs dist installs screenshots lock clean browser mariadb redis style types
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Another Python: make PYTHON=python3.12 ... (after make clean). More for pytest: make test PYTEST_ARGS='-k quota'"

check: lint ## before each commit, within a minute: style, types, and tests of core and sandbox without processes or servers
	$(VENV)/bin/python -m pytest -q -n $(CORES) -m unit --cases 12 tests/architecture tests/core tests/sandbox $(PYTEST_ARGS)

demo: $(VENV)/.ready ## a local Toggl and a real Airflow that loads a workspace into DuckDB; DEMO_EXIT=1 ends when it is done
	@exec $(VENV)/bin/python scripts/demo.py

test: lint test-newest test-oldest docs ## everything: style, types, all tests on the newest and the oldest Airflow, docs
	@$(MAKE) --no-print-directory browser mariadb redis

test-newest: $(VENV)/.ready $(CLIENTS)/.ready browser mariadb redis
	TOGGL_CLIENTS_PYTHON=$(CURDIR)/$(CLIENTS)/bin/python $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not soak" $(PYTEST_ARGS)

test-oldest: $(OLDEST)/.ready browser
	$(OLDEST)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "airflow and not soak and not newest" --cases 6 $(PYTEST_ARGS)

lint: style types ## style and types

style: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.ready
	$(VENV)/bin/mypy

bench: $(VENV)/.ready $(BENCH)/.ready $(PEERS)/.ready mariadb redis ## all benchmarks but bench-clouds, each printing JSON; fails at the end if one missed a limit
	@missed=; for program in $(filter-out $(CLOUD_BENCHMARKS),$(sort $(wildcard benchmarks/*.py))); do \
	  $(VENV)/bin/python $$program || missed="$$missed $$program"; done; \
	if [ -n "$$missed" ]; then echo "A limit was missed, or the program failed:$$missed" >&2; exit 1; fi; echo "Every limit holds."

bench-clouds: $(CLOUDS)/.ready $(BIGQUERY)/.ready $(SNOWFLAKE)/.ready ## what loads cost in cloud warehouses, on emulators; as bench; Python 3.11 or newer
	TOGGL_SNOWFLAKE_PYTHON=$(CURDIR)/$(SNOWFLAKE)/bin/python $(CLOUDS)/bin/python $(CLOUD_BENCHMARKS)

soak: $(VENV)/.ready redis ## the long fault tests, in random order, SOAK_ROUNDS times (10)
	@for round in $$(seq $${SOAK_ROUNDS:-10}); do \
	  $(VENV)/bin/python -m pytest -n 2 -q -m "soak and not installs and not clouds" $(PYTEST_ARGS) || exit 1; done

clouds: $(CLOUDS)/.ready $(BIGQUERY)/.ready $(SNOWFLAKE)/.ready $(AZURITE)/.ready ## cloud warehouses and object stores on emulators; Python 3.11 or newer, and npm
	export TOGGL_SNOWFLAKE_PYTHON=$(CURDIR)/$(SNOWFLAKE)/bin/python PATH=$(CURDIR)/$(AZURITE)/node_modules/.bin:$$PATH; \
	$(CLOUDS)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m clouds $(PYTEST_ARGS) && \
	$(CLOUDS)/bin/python -m pytest -q -n $(WORKERS) -m "not soak" tests/hooks

dbt: $(VENV)/.ready $(DBT)/.ready ## the dbt package on DuckDB and PostgreSQL, each model compared with plain Python
	TOGGL_DBT=$(CURDIR)/$(DBT)/bin/dbt $(VENV)/bin/python -m pytest -q tests/dbt $(PYTEST_ARGS)

dashboard: $(VENV)/.ready $(DBT)/.ready $(DASHBOARD)/.ready browser ## the Superset dashboard over the dbt models, in a real browser
	TOGGL_DBT=$(CURDIR)/$(DBT)/bin/dbt TOGGL_SUPERSET=$(CURDIR)/$(DASHBOARD)/bin/superset \
	  $(VENV)/bin/python -m pytest -q tests/dashboard $(PYTEST_ARGS)

mutants: $(VENV)/.ready ## how many faults put into core its tests notice, as JSON (MUTANTS_ARGS="--seed 2 --mutants 100")
	@$(VENV)/bin/python scripts/mutants.py --workers $(CORES) $(MUTANTS_ARGS)

docs: $(VENV)/.ready ## the documentation, into site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

dist: $(VENV)/.ready ## wheel and sdist, into dist/, with tests of both
	$(VENV)/bin/python -m hatchling build -d dist
	$(VENV)/bin/python -m pytest -q tests/packaging -m "not soak"

installs: $(VENV)/.ready ## the wheel, installed with each Python of this machine and both Airflows; before a release
	$(VENV)/bin/python -m pytest -q -m installs tests/packaging $(PYTEST_ARGS)

screenshots: $(VENV)/.ready ## new pictures of the documentation; needs a font with Japanese letters
	KEEP_SCREENSHOTS=1 $(VENV)/bin/python -m pytest -q -p no:randomly -m "not soak" tests/browser tests/report tests/docs/test_tutorials.py

lock: $(UV) ## resolve the dependencies into requirements/*.txt (LOCK_ARGS=--upgrade: to the newest versions)
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) pyproject.toml $(NEWEST_EXTRAS) requirements/airflow-newest.in -o requirements/airflow-newest.txt
	$(COMPILE) pyproject.toml $(NEWEST_EXTRAS) --extra bigquery --extra clickhouse --extra snowflake requirements/airflow-newest.in \
	  requirements/clouds.in -o requirements/clouds.txt
	$(COMPILE) pyproject.toml --extra polars --extra report --extra sandbox requirements/airflow-oldest.in --exclude-newer 2026-07-01 \
	  -o requirements/airflow-oldest.txt
	$(COMPILE) requirements/benchmarks.in -o requirements/benchmarks.txt
	$(COMPILE) requirements/clients.in -o requirements/clients.txt
	$(COMPILE) requirements/dashboard.in -o requirements/dashboard.txt
	$(COMPILE) requirements/dbt.in -o requirements/dbt.txt
	$(COMPILE) requirements/peers.in -o requirements/peers.txt
	$(subst 3.10,3.11,$(COMPILE)) requirements/bigquery.in -o requirements/bigquery.txt
	$(COMPILE) requirements/snowflake.in -o requirements/snowflake.txt

clean: ## remove every environment, cache and built file
	rm -rf .venv .venv-oldest .venv-benchmarks .venv-bigquery .venv-clients .venv-clouds .venv-dashboard .venv-dbt .venv-peers .venv-snowflake .venv-uv .demo .cache build dist site
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

browser:
	@scripts/find-browser.sh

mariadb:
	@scripts/find-mariadb.sh

redis:
	@scripts/find-redis.sh

# Stamp files: an environment is made again only if its lock or the package's metadata is newer.
$(UV): requirements/uv.txt
	@scripts/make-venv.sh $(PYTHON) $(UV_VENV)
	$(UV_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.ready: requirements/airflow-newest.txt pyproject.toml | $(UV)
	@scripts/make-venv.sh $(PYTHON) $(VENV)
	@scripts/install-lock.sh $(UV) $(VENV) $< --with-package
	@touch $@

$(CLOUDS)/.ready: requirements/clouds.txt pyproject.toml | $(UV)
	@scripts/make-venv.sh $(PYTHON) $(CLOUDS)
	@scripts/install-lock.sh $(UV) $(CLOUDS) $< --with-package
	@touch $@

$(OLDEST)/.ready: requirements/airflow-oldest.txt pyproject.toml | $(UV)
	@scripts/make-venv.sh $(PYTHON) $(OLDEST)
	@scripts/install-lock.sh $(UV) $(OLDEST) $< --with-package
	@touch $@

$(AZURITE)/.ready:
	npm install --prefix $(AZURITE) --no-audit --no-fund --loglevel=error azurite@3.37.0
	@touch $@

$(BENCH)/.ready $(CLIENTS)/.ready $(DASHBOARD)/.ready $(DBT)/.ready $(PEERS)/.ready $(BIGQUERY)/.ready $(SNOWFLAKE)/.ready: .venv-%/.ready: requirements/%.txt | $(UV)
	@scripts/make-venv.sh $(PYTHON) $(@D)
	@scripts/install-lock.sh $(UV) $(@D) $<
	@touch $@
