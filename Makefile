# The two commands: `make demo` shows what a network learned, `make test` checks the project.
# Both make .venv and install what the lock (constraints.txt) names, whenever the lock or pyproject.toml has changed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Where a CPU build of torch is found when the configured package index has none (Linux).
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -qq --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint types slow smollm bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(STAMP) ## write report.html: the algorithm that a transformer learned for addition mod 113
	$(BIN)/refractor report --out report.html

test: $(STAMP) lint types ## lint, types, and every test that is not slow
	$(BIN)/python -m pytest -m "not slow"

lint: $(STAMP) ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## types of src and tests
	$(BIN)/python scripts/check_types.py

slow: $(STAMP) smollm ## the slow tests
	$(BIN)/python -m pytest -m slow

smollm: $(STAMP) ## fetch SmolLM2-135M (90 MB) for the slow tests, which skip it where it cannot be had
	-$(BIN)/python scripts/fetch_smollm2.py

bench: $(STAMP) ## every benchmark, ratios printed
	@for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: ## write constraints.txt anew from what pyproject.toml asks for
	$(PYTHON) scripts/lock.py

clean: ## remove what make made
	rm -rf .venv report.html build dist .pytest_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	rm -f $(STAMP)
	$(PYTHON) -c "import sys; sys.exit('Refractor needs Python 3.11 or newer; this is ' + sys.version.split()[0] + '. Set PYTHON=...' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv --clear .venv
	@echo "installing torch (CPU build) ..."
	@$(INSTALL) torch 2>.venv/torch.log || $(INSTALL) torch --index-url $(TORCH_INDEX) || { cat .venv/torch.log; exit 1; }
	$(INSTALL) --editable '.[dev]'
	@$(BIN)/python -c "import torch; assert torch.version.cuda is None, 'a CUDA build of torch was installed'"
	@touch $(STAMP)
