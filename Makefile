# Every command sets up what it needs: `make test` on a bare machine with python3.11 and make is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PATHS  := src tests typing_tests examples scripts benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench prices wheel clean

help:  ## Show this list.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make the virtual environment with everything for development.

$(READY): pyproject.toml requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements-dev.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## Run the example service against local stand-ins for three providers (KEEP=1 keeps serving).
	$(BIN)/python scripts/demo.py $(if $(KEEP),--keep)

test: $(READY)  ## Run all tests, on SQLite and on a real PostgreSQL that is started for them.
	sh scripts/with_postgres.sh $(BIN)/python -m pytest -n auto --maxprocesses 6 --dist worksteal $(ARGS)

check: $(READY)  ## Lint, format, types and the floors of the house.
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy src tests typing_tests examples scripts benchmarks
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(READY)  ## Format and mend what can be mended.
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)

bench: $(READY)  ## Print what a metered call costs beside a bare one, and a price beside other calculators.
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/service.py
	$(BIN)/python benchmarks/pricing.py

prices: $(READY)  ## Rebuild the bundled price table and model limits from the newest releases on PyPI.
	$(BIN)/python scripts/build_prices.py --cache $(HOME)/.cache/price-wheels
	$(BIN)/python scripts/build_limits.py --cache $(HOME)/.cache/price-wheels

wheel: $(READY)  ## Build the wheel and import it, without extras, in a fresh environment.
	sh scripts/try_wheel.sh $(BIN)

clean:  ## Remove what was made here.
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
