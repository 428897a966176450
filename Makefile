# Every target sets up what it needs; a second run starts working at once. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
CODE := $(wildcard activities bench pointsman starter tests workflows worker.py)
# Test processes: one more than there are processors finds no more time in them, and each collects all tests again.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# `make test PART=unit` runs the tests of the rules, PART=llm those of the model service that need no stand-in.
PART ?=
PART_unit := tests/contracts tests/domain tests/policies
PART_llm := tests/llm -m "not stand_in and not slow and not live"
# Lowest coverage of each of these rooms, in percent; `tests/gates/measuring.py` says which tests count.
COVERAGE_MIN ?= 95
COVERED := pointsman/domain workflows pointsman/llm
# How often `make faults` kills something.
N ?= 200
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
# By uv, which takes seconds; by pip where only that is set up to reach an index. The hashes are the same.
install = $(PIP) install --require-hashes --requirement requirements/uv.txt \
	&& { $(UV) --require-hashes --requirement $(1) \
		|| $(PIP) install --no-compile --require-hashes --requirement $(1); } \
	&& $(PIP) install --no-deps --no-build-isolation --editable .
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	--custom-compile-command "make lock" pyproject.toml

# Each test starts programs of ours: what Python compiles for one serves the next.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check up bench bench-llm faults docs lock clean run-ready dev-ready coverage-gate

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: run-ready ## run three work items through everything, with a kill and a decision, and check the outcome
	@$(BIN)/pointsman demo $(ARGS)

up: run-ready ## start Temporal, its UI and Pointsman on this machine
	@$(BIN)/pointsman up $(ARGS)

test: dev-ready ## run every test on real servers, and hold the coverage of the inner rooms (PART=unit, PART=llm: no server)
ifeq ($(PART)$(ARGS),)
	@$(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m tests.servers
	@$(BIN)/coverage erase
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --measure --beside
	@$(MAKE) --no-print-directory coverage-gate
else
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(if $(PART),$(or $(PART_$(PART)),$(error there is no PART=$(PART): leave it out, or take PART=unit or PART=llm))) $(ARGS)
endif

check: dev-ready ## lint, types, imports, secrets, licences, lock, tidiness
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.gates.secret_scan
	$(BIN)/python -m tests.gates.licences
	$(BIN)/python -m tests.gates.lock
	$(BIN)/pytest --quiet tests/test_tidy.py tests/test_architecture.py

bench: dev-ready ## measure against peers and limits; prints tables, writes bench/results/
	@$(BIN)/python -m bench $(ARGS)

bench-llm: dev-ready ## measure the model service beside its peers, and write docs/benchmarks/llm.md
	@$(BIN)/python -m bench.llm $(ARGS)

faults: dev-ready ## kill processes at random points of a running load, N=200 times, and look for what was lost
	@$(BIN)/python -m bench.faults --kills $(N) $(ARGS)

docs: dev-ready ## build the documentation, strictly, into site/
	@$(BIN)/zensical build --clean --strict

lock: dev-ready ## pin every dependency anew, within the ranges of pyproject.toml
	$(COMPILE) --upgrade --group dev --output-file requirements/dev.txt
	$(COMPILE) --group build --constraints requirements/dev.txt --output-file requirements/run.txt
	@{ echo "# What installs the rest. Made by \`make lock\` from dev.txt."; \
		sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^    --hash/p;}' requirements/dev.txt; } > requirements/uv.txt

clean: ## remove what set-up, tests and builds left here; state and caches of the user stay
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf build dist htmlcov site bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

coverage-gate:
	@$(BIN)/coverage combine --quiet
	@for room in $(COVERED); do \
		echo "coverage of $$room, at least $(COVERAGE_MIN) %:"; \
		$(BIN)/coverage report --include="$$room/*" --fail-under=$(COVERAGE_MIN) || exit 1; \
	done

run-ready: $(VENV)/run-ready
dev-ready: $(VENV)/dev-ready

$(VENV)/run-ready: requirements/run.txt requirements/uv.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Pointsman needs into $(VENV) (less than a minute the first time) ..." >&2
	@$(call install,requirements/run.txt)
	@touch $@

$(VENV)/dev-ready: requirements/dev.txt requirements/uv.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Pointsman and its tests need into $(VENV) (less than a minute the first time) ..." >&2
	@$(call install,requirements/dev.txt)
	@touch $@ $(VENV)/run-ready

# The system's Python before one that a version manager built: distributions build theirs with the profile of real
# programs, which runs the same tests in two thirds of the processor time. One without ensurepip makes no environment.
$(BIN)/python:
	@for python in $(PYTHON) /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "Pointsman needs Python 3.11 or newer, and found none. Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
