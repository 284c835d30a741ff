# Two commands are enough: `make demo` and `make test`. Each sets up what it needs in .venv first.
# Without make (Windows): see "Without make" in README.md.

PY ?= python3
BIN := .venv/bin
READY := .venv/.ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
FAST := -m "not slow and not nightly"

.PHONY: help demo test check cover slow nightly golden

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@echo "setting up .venv (a minute or two, about 1 GB, most of it torch)"
	@$(PY) -m venv .venv
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq --editable . --group dev
	@touch $@

demo: $(READY)  ## train, measure and try a small bot on simulated games; REPLAYS=folder takes yours
	@$(BIN)/exphil demo $(if $(REPLAYS),--replays "$(REPLAYS)")

test: $(READY)  ## the fast tests, at most 4 minutes on two cores
	@$(PYTEST) -n 2 $(FAST)

check: $(READY)  ## format, lint, types, and whether the generated pages are current
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python tools/make_docs.py --check
	@$(BIN)/python tools/make_screens.py --check

cover: $(READY)  ## the fast tests with the lines that none of them reaches
	@$(PYTEST) -n 2 $(FAST) --cov --cov-report=term-missing:skip-covered

# pytest leaves with 5 when a marker selects nothing, which is no failure here
slow: $(READY)  ## the tests that take minutes
	@$(PYTEST) -n 2 -m slow || [ $$? -eq 5 ]

nightly: $(READY)  ## soaks and long fuzz, by hand
	@$(PYTEST) -m nightly || [ $$? -eq 5 ]

golden: $(READY)  ## write the generated pages anew; read the diff before you commit it
	@$(BIN)/python tools/make_docs.py
	@$(BIN)/python tools/make_screens.py
