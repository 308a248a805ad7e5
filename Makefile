# Everything a newcomer needs: `make run` and `make test`. Plain `make` lists the rest.

PYTHON ?= python3
UV := UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=.venv .tools/bin/uv
INSTALL := $(UV) pip install -q
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
BIN := .venv/bin
# The tests wait for browsers, commands and time limits: one process more than there are cores.
WORKERS = $(shell $(BIN)/python -c "import os; print((os.cpu_count() or 1) + 1)")

# An environment whose interpreter has gone (moved, upgraded) is made anew.
BROKEN := $(if $(realpath $(BIN)/python),,always)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test coverage proofs mutants fuzz fuzz-filters lint format messages lock swagger-ui clients clients-test bt clean always

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

run: .venv/.base ## Start everything on 127.0.0.1:8000 (BUGTRACKER_PORT changes it)
	@exec $(BIN)/bugtracker serve

test: lint ## Run the linters, the type checker and all tests (ARGS="-k login" narrows)
	@exec $(BIN)/pytest -n $(WORKERS) $(ARGS)

coverage: .venv/.dev ## Run all tests and measure what they cover (twice as slow)
	@exec $(BIN)/pytest -n $(WORKERS) --cov --cov-report=term --cov-fail-under=95

proofs: .venv/.dev ## Run the proofs in full: races, a broken Redis, timing, secrets (minutes)
	@TEST_PROOFS=full exec $(BIN)/pytest --timeout 0 tests/proofs $(ARGS)

mutants: .venv/.dev ## Delete each check of the security code; tests must notice (hours; ARGS="keys")
	@exec $(BIN)/python tools/mutants.py $(ARGS)

SEEDS ?= $(shell shuf -i 1-999999999 -n 3)
fuzz: .venv/.dev ## Fuzz the API for long with three random seeds (EXAMPLES=100 an operation; SEEDS="1 2")
	@export SCHEMATHESIS_MAX_EXAMPLES=$(or $(EXAMPLES),100); for seed in $(SEEDS); do \
		echo "fuzz: seed $$seed, $$SCHEMATHESIS_MAX_EXAMPLES examples an operation"; \
		SCHEMATHESIS_SEED=$$seed $(BIN)/pytest -n $(WORKERS) --timeout 0 tests/test_schemathesis.py || exit; \
	done

fuzz-filters: .venv/.dev ## Give the filter language random inputs (EXAMPLES=20000)
	@FILTER_EXAMPLES=$(or $(EXAMPLES),20000) exec $(BIN)/pytest -n $(WORKERS) --timeout 0 \
		tests/rsql/test_properties.py

lint: .venv/.dev ## Run the linters and the type checker only
	@$(BIN)/python -m tools.clients
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: .venv/.dev ## Put new messages of the code into the catalogues, to be translated
	@exec $(BIN)/python -m tools.messages

lock: .tools/uv.txt ## Compile requirements/*.txt (UPGRADE=--upgrade takes newer versions)
	cd requirements && for name in uv build base; do \
		$(subst .tools,../.tools,$(COMPILE)) $$name.in -o $$name.txt || exit; done
	cd requirements && $(subst .tools,../.tools,$(COMPILE)) -c base.txt dev.in -o dev.txt

clients: .venv/.dev ## Generate clients/python, and build clients/typescript (needs node and npm)
	@$(BIN)/python -m tools.clients
	@cd clients/typescript && npm ci --silent --no-audit --no-fund && \
		npm run --silent generate && npm run --silent build

clients-test: clients ## Type-check the TypeScript client, and go through a day's work by it
	@exec $(BIN)/pytest --timeout 0 -p tests.conftest -p tests.clients.conftest clients/typescript $(ARGS)

bt: .venv/.dev ## Install bt, the bug tracker in a terminal, into .venv
	@$(BIN)/python -m tools.clients
	@$(INSTALL) --no-deps --no-build-isolation -e clients/python -e bt
	@echo "make: $(BIN)/bt --help"

SWAGGER_UI := bugtracker/pages/static/swagger-ui
swagger-ui: ## Take the newest Swagger UI 5 from npm (rarely; look at /docs afterwards)
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	npm pack --silent --pack-destination "$$work" swagger-ui-dist@5 > /dev/null; \
	tar -xzf "$$work"/swagger-ui-dist-*.tgz -C "$$work"; \
	for name in LICENSE NOTICE swagger-ui.css swagger-ui-bundle.js \
			swagger-ui-bundle.js.LICENSE.txt; do \
		install -m 644 "$$work/package/$$name" $(SWAGGER_UI)/; \
	done; \
	sed -n 's/^ *"version": "\(.*\)",*$$/\1/p' "$$work/package/package.json" \
		> $(SWAGGER_UI)/VERSION; \
	echo "Swagger UI $$(cat $(SWAGGER_UI)/VERSION)"

clean: ## Remove the environment, tools and caches (the data in .local stay)
	rm -rf .venv .tools .tox .mypy_cache .ruff_cache .hypothesis .schemathesis *.egg-info
	rm -rf clients/python clients/typescript/node_modules clients/typescript/dist*
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.tools/uv.txt: requirements/uv.txt scripts/bootstrap
	@PYTHON="$(PYTHON)" scripts/bootstrap
	@touch $@

# The stamps: installed is what the lock files said when the stamp was made.
.venv/.base: requirements/base.txt requirements/build.txt pyproject.toml .tools/uv.txt $(BROKEN)
	@PYTHON="$(PYTHON)" scripts/bootstrap
	@echo "make: installing the locked requirements" >&2
	@$(INSTALL) --require-hashes -r requirements/base.txt -r requirements/build.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.base
	@echo "make: installing what the tests need" >&2
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
