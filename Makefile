# From a fresh clone: `make demo` shows algoprof at work, `make test` passes the tests. Each makes .venv first.

VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
PYTEST_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-full coverage check bench format lock servers schemas clean

help: ## say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name does; do printf '  make %-10s %s\n' "$$name" "$$does"; done

demo: $(VENV)/.installed ## build, call, time, scrape and kill a real algorithm
	@$(PYTHON_IN_VENV) -m algoprof demo

test: $(VENV)/.installed-dev servers schemas check ## everything that must hold, in minutes
	@echo "==> running the tests"
	@$(PYTHON_IN_VENV) -m pytest --numprocesses=3 --no-loadscope-reorder $(PYTEST_FLAGS)

test-full: PYTEST_FLAGS += --full
test-full: test ## the same suite at full counts

coverage: PYTEST_FLAGS += --cov
coverage: test ## the suite, and what of the code it runs

check: $(VENV)/.installed-dev ## ruff, its formatter and mypy
	@echo "==> checking style and types"
	@$(PYTHON_IN_VENV) -m ruff check --quiet .
	@$(PYTHON_IN_VENV) -m ruff format --quiet --check . || { echo "the files above are not formatted: make format"; exit 1; }
	@$(PYTHON_IN_VENV) -m mypy

bench: $(VENV)/.installed-dev ## the cost of a section, of a cold start, of a timeout, of stack samples, of a call, of many and of the server
	@$(PYTHON_IN_VENV) benchmarks/section_cost.py
	@$(PYTHON_IN_VENV) benchmarks/cold_start.py
	@$(PYTHON_IN_VENV) benchmarks/watcher_cost.py
	@$(PYTHON_IN_VENV) benchmarks/sampler_cost.py
	@$(PYTHON_IN_VENV) benchmarks/call_cost.py
	@$(PYTHON_IN_VENV) benchmarks/many_cost.py
	@$(PYTHON_IN_VENV) benchmarks/server_cost.py

format: $(VENV)/.installed-dev ## format the code
	@$(PYTHON_IN_VENV) -m ruff format .

lock: $(VENV)/.installed-dev ## write the newest versions that pyproject.toml allows to constraints.txt
	@$(PYTHON_IN_VENV) tools/lock.py

servers:
	@tools/servers.sh

schemas: $(VENV)/.installed-dev
	@$(PYTHON_IN_VENV) tools/schemas.py $(VENV)/share/formats

clean: ## remove what was made here, .venv included
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache demo.algoprof
	find algoprof exporters tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILED := setup.py $(foreach kind,pyx pxi h,$(wildcard algoprof/recorder/_*.$(kind)))

$(VENV)/.installed: pyproject.toml constraints.txt tools/environment.sh $(COMPILED)
	@tools/environment.sh $(VENV) all
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt tools/environment.sh $(COMPILED)
	@tools/environment.sh $(VENV) all,dev
	@touch $@ $(VENV)/.installed
