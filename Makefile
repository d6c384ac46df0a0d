.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check format lint types layers bench soak demo clean

help: ## what one can do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/developed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/installed

run: $(VENV)/installed ## start the daemon on config.example.yaml: drop photos into photos/import
	mkdir -p photos/import
	$(BIN)/hotpixeld run -c config.example.yaml

test: $(VENV)/developed ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/developed format lint types layers test ## what CI runs: format, lint, types, layers, tests

format: $(VENV)/developed
	$(BIN)/ruff format --check .

lint: $(VENV)/developed
	$(BIN)/ruff check .

types: $(VENV)/developed
	$(BIN)/mypy

layers: $(VENV)/developed
	$(BIN)/lint-imports

bench: $(VENV)/developed ## the figures of the README, each beside its rival
	$(BIN)/python -m benchmarks

soak: $(VENV)/developed ## the long sweeps
	$(BIN)/python -m pytest -m soak

demo: $(VENV)/developed ## a fake camera with a stuck pixel, before and after
	$(BIN)/python tests/demo.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
