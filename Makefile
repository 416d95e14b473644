# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint clean

help:
	@printf '%s\n' 'make demo   build the CRM on an embedded Postgres and prove its isolation' \
	               'make test   run every test (Python and SQL)' \
	               'make lint   ruff, mypy, sqlfluff, squawk' \
	               'make clean  remove the virtual environment and local state'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch "$@"

venv: $(VENV)/.installed

test: venv
	"$(BIN)/python" -m pytest

lint: venv
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/sqlfluff" lint supabase tests/sql
	"$(BIN)/squawk" supabase/migrations/*.sql  # the policies are in their carrier

clean:
	rm -rf "$(VENV)" .harmonia .pytest_cache .mypy_cache .ruff_cache
