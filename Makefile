# `make help` is the manual.
PYTHON ?= python
.DEFAULT_GOAL := help

.PHONY: help check lint types layers test bench bench-fleet bench-sim fuzz fixtures docs library accuracy accuracy-sim clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: lint types layers ## Lint, types and the import contracts

lint:
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy
	MYPYPATH=. $(PYTHON) -m mypy --strict --explicit-package-bases rules

layers:
	lint-imports --no-cache

test: ## The whole test suite
	$(PYTHON) -m pytest -n 2

bench: ## Ratios against the peers, measured in one run
	$(PYTHON) bench/readers.py

bench-fleet: ## 2,000 runs: two processes against one, a second audit against the first, memory (an hour on two cores)
	$(PYTHON) bench/fleet.py

bench-sim: ## Mode updates a second: pure Python, numpy, torch, compiled, and the device at hand
	$(PYTHON) scripts/bench_sim.py

FUZZ_SECONDS ?= 20
fuzz: ## Fuzz every reader, FUZZ_SECONDS for each way; what fails becomes a test (needs the extra `fuzz`)
	$(PYTHON) fuzz/readers.py --seconds $(FUZZ_SECONDS)

fixtures: ## Rebuild fixtures/runs by driving the real frameworks
	$(PYTHON) fixtures/make.py

docs: ## Rebuild the pages made from the code: rules and command line
	$(PYTHON) docs/make.py

accuracy: ## How often schedules and faults are named, and healthy runs blamed (half an hour on two cores)
	$(PYTHON) bench/accuracy/run.py --write docs/accuracy.md

library: ## Refit the library of loss laws from the public curves (LRDOCTOR_CURVES, default ../shared/data/curves)
	$(PYTHON) scripts/fit_library.py

accuracy-sim: ## How far the loss estimate is off on models it has not seen (needs the public curves)
	$(PYTHON) scripts/accuracy_sim.py

clean: ## Remove what builds and runs left behind
	rm -rf build dist lrdoctor-report .mypy_cache .ruff_cache .pytest_cache .hypothesis
