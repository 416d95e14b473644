# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint isolation-bench performance clean

help:
	@printf '%s\n' 'make demo   build the CRM on an embedded Postgres and prove its isolation' \
	               'make test   run every test (Python and SQL)' \
	               'make lint   ruff, mypy, sqlfluff, squawk' \
	               'make isolation-bench  measure `harmonia verify` on planted leaks (PEERS=1: others too)' \
	               'make performance  run every benchmark and keep its figures in docs/performance.md' \
	               'make clean  remove the virtual environment and local state'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch "$@"

venv: $(VENV)/.installed

demo: venv
	"$(BIN)/harmonia" verify

# On every engine of this machine; PYTEST="-k audit" narrows it.
test: venv
	"$(BIN)/python" tests/run.py $(PYTEST)

lint: venv
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/sqlfluff" lint --processes 0 supabase tests/sql
	"$(BIN)/squawk" supabase/migrations/*.sql  # the policies are in their carrier

# SCHEMA=fleet limits it to one schema.
isolation-bench: venv
	PYTHONPATH=tests "$(BIN)/python" -m isolation_bench validate $(if $(SCHEMA),--schema $(SCHEMA))
	$(if $(PEERS),PYTHONPATH=tests "$(BIN)/python" -m isolation_bench peers --json .harmonia/peers.json $(if $(SCHEMA),--schema $(SCHEMA)) $(if $(MINUTES),--minutes $(MINUTES)))
	PYTHONPATH=tests "$(BIN)/python" -m isolation_bench measure $(if $(SCHEMA),--schema $(SCHEMA))

# Slow, and true only on a machine that does nothing else. A missed goal does not stop the rest.
BENCHMARKS ?= load rls looks verify api secrets audit lifecycle
ON_15 ?= load rls audit lifecycle
POSTGRES_15 := /usr/lib/postgresql/15/bin
performance: venv
	@for name in $(BENCHMARKS); do \
	    "$(BIN)/python" -m benchmarks.$$name --into docs/performance.md \
	        || echo "benchmarks.$$name ended with $$?" >&2; \
	done
	@test ! -x $(POSTGRES_15)/postgres || for name in $(ON_15); do \
	    "$(BIN)/python" -m benchmarks.$$name --pg-bin $(POSTGRES_15) --into docs/performance.md \
	        || echo "benchmarks.$$name on PostgreSQL 15 ended with $$?" >&2; \
	done

clean:
	rm -rf "$(VENV)" .harmonia .pytest_cache .mypy_cache .ruff_cache
