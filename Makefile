# `make demo` shows the store at work, `make test` checks everything, `make matrix` checks stores that are not in a folder and on
# the embedded server. Each makes its own environment in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready

# One more than there are cores: the tests wait for disks, servers and clocks about as much as they compute.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + os.cpu_count())')

CELLS  := gcs-pgbouncer local-postgres15

.PHONY: demo test matrix $(CELLS) fast check format docs clean

demo: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: check
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

# What depends on where blobs and catalog are, on a bucket, on the oldest Postgres, behind a transaction pooler; the slow tests in
# the first cell alone. The two halves know nothing of each other, so each kind of each is met once, not each pair. Left out is what
# brings its own halves, what measures time, and the longest walk of the state machine.
matrix: $(CELLS)

gcs-pgbouncer: export CASSTORE_TEST_BLOBS := gcs
gcs-pgbouncer: export CASSTORE_TEST_CATALOG := pgbouncer
local-postgres15: export CASSTORE_TEST_BLOBS :=
local-postgres15: export CASSTORE_TEST_CATALOG := postgres15
local-postgres15: ONLY := -m "not slow"
$(CELLS): export CASSTORE_TEST_SOAK_S := 15
$(CELLS): $(STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ONLY) tests/operations tests/journal tests/faults tests/races tests/stateful \
	  --deselect tests/faults/test_lost_requests.py \
	  --deselect tests/faults/test_kill.py::test_an_open_store_gets_over_the_death_of_its_embedded_server \
	  --deselect tests/operations/test_round_trips.py::test_the_clock_agrees \
	  --deselect tests/stateful/test_store.py::test_the_store_does_as_its_model_at_length

# The part of `make test` that takes under three minutes.
fast: check
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not slow"

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)
	$(BIN)/python docs/generate.py

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV) || { \
	  echo "No virtual environment could be made: on Debian install python3-venv, elsewhere a Python 3.11+ with venv." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
