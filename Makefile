# Everything a newcomer needs: `make run` and `make test`. Plain `make` lists the rest.

PYTHON ?= python3
# Where it is set, every process compiles everything anew: seconds of each start.
export PYTHONDONTWRITEBYTECODE :=
UV := UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=.venv .tools/bin/uv
INSTALL := $(UV) pip install -q
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
BIN := .venv/bin
# The tests wait for browsers, commands and time limits: one process more than there are cores.
WORKERS = $(shell $(BIN)/python -c "import os; print((os.cpu_count() or 1) + 1)")
# Each takes a stretch of the tests, and who is done takes half of what another one has left: what
# the tests of a module share is made by few of them, and nobody is idle at the end.
PARALLEL = -n $(WORKERS) --dist worksteal

# An environment whose interpreter has gone (moved, upgraded) is made anew.
BROKEN := $(if $(realpath $(BIN)/python),,always)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Tools of the pipeline and of operators: far too many for the environment of the tests.
TOOLS := .tools/deploy/bin
NO_SECRETS := ^(\.secrets\.baseline|requirements/.*\.txt|tools/contract/package-lock\.json|clients/typescript/package-lock\.json)$$
.PHONY: always $(shell sed -n 's/^\([a-z0-9-]*\):.*## .*/\1/p' Makefile)

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

run: .venv/.base ## Start everything on 127.0.0.1:8000 (BUGTRACKER_PORT changes it)
	@exec $(BIN)/bugtracker serve

test: lint ## Run the linters, the type checker and all tests (ARGS="-k login" narrows)
	@exec $(BIN)/pytest $(PARALLEL) $(ARGS)

coverage: .venv/.dev ## Run all tests and measure what they cover (twice as slow)
	@exec $(BIN)/pytest $(PARALLEL) --cov --cov-report=term --cov-fail-under=95

proofs: .venv/.dev ## Run the proofs in full: races, a broken Redis, timing, secrets (minutes)
	@TEST_PROOFS=full exec $(BIN)/pytest --timeout 0 tests/proofs tests/test_ratelimit_redis.py $(ARGS)

mutants: .venv/.dev ## Delete each check of the security code; tests must notice (hours; ARGS="keys")
	@exec $(BIN)/python tools/mutants.py $(ARGS)

ROUNDS ?= 10
SEEDS ?= $(shell shuf -i 1-999999999 -n $(ROUNDS))
fuzz: .venv/.dev ## Fuzz the API for long with ten random seeds (EXAMPLES=20 an operation; ROUNDS=1; SEEDS="1 2")
	@export SCHEMATHESIS_MAX_EXAMPLES=$(or $(EXAMPLES),20); for seed in $(SEEDS); do \
		echo "fuzz: seed $$seed, $$SCHEMATHESIS_MAX_EXAMPLES examples an operation"; \
		SCHEMATHESIS_SEED=$$seed $(BIN)/pytest $(PARALLEL) --timeout 0 tests/test_schemathesis.py || exit; \
	done

fuzz-filters: .venv/.dev ## Give the filter language random inputs (EXAMPLES=20000)
	@FILTER_EXAMPLES=$(or $(EXAMPLES),20000) exec $(BIN)/pytest $(PARALLEL) --timeout 0 \
		tests/rsql/test_properties.py

lint: .venv/.dev ## Run the linters and the type checker only
	@$(BIN)/python -m tools.clients
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

k8s-test: .venv/.dev $(TOOLS)/.made ## Render the Kubernetes manifests and check them strictly (needs kubectl)
	@TOOLS=$(TOOLS) exec scripts/k8s-test

workflows-test: .venv/.dev $(TOOLS)/.made ## Check the pipeline: schema, security, our own rules (offline)
	$(TOOLS)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOLS)/zizmor --offline --quiet --pedantic .github
	$(BIN)/pytest tests/pipeline

audit: .venv/.dev $(TOOLS)/.made ## Search the code for insecure patterns and for secrets (offline)
	$(BIN)/bandit -q -ll -r bugtracker tools
	git ls-files -z | xargs -0 $(TOOLS)/detect-secrets-hook --no-verify --baseline .secrets.baseline

secrets: $(TOOLS)/.made ## Write down anew what only looks like a secret (look at the difference)
	$(TOOLS)/detect-secrets scan --no-verify --exclude-files '$(NO_SECRETS)' > .secrets.baseline

advisories: .venv/.dev ## Ask the database of advisories about every locked package (needs the internet)
	@set -e; for name in base build uv dev deploy sbom bench; do \
		echo "pip-audit: $$name"; $(BIN)/pip-audit --strict --disable-pip --require-hashes \
			-r requirements/$$name.txt; done

up: .env ## Start everything in containers (docker-compose.yml), first making .env
	docker compose up --build --detach --wait

.env: | .venv/.base
	@$(BIN)/bugtracker init-env

ENGINE ?= docker
image: ## Build the container image (ENGINE=podman)
	$(ENGINE) build --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) -t bugtracker .

image-test: .venv/.dev ## Build the image with podman and run it, read-only (root; minutes)
	@exec $(BIN)/python -m tools.image_test

compose-test: .venv/.dev ## Check docker-compose.yml, .env.example and the Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile
	$(BIN)/pytest tests/deploy/test_compose.py tests/deploy/test_environment.py

nginx-test: .venv/.dev ## Hold nginx to what is said of it, with testssl, strictly (a minute)
	TEST_PROOFS=full $(BIN)/pytest tests/deploy/test_nginx.py tests/deploy/test_nginx_problems.py \
		tests/deploy/test_failing_over.py
	$(BIN)/python -m tools.tls_test

SBOM := .tools/sbom
sbom: $(SBOM)/.made ## Write sbom.json: the packages of the image, with hashes (CycloneDX)
	$(SBOM)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		-o sbom.json requirements/base.txt

PROMTOOL ?= promtool
observability-test: ## Check alerts and Prometheus configuration with promtool (Debian: package prometheus)
	cd deploy/observability && $(PROMTOOL) check config prometheus.yml && \
		$(PROMTOOL) test rules alerts_test.yml

messages: .venv/.dev ## Put new messages of the code into the catalogues, to be translated
	@exec $(BIN)/python -m tools.messages

lock: .tools/uv.txt ## Compile requirements/*.txt (UPGRADE=--upgrade takes newer versions)
	cd requirements && for name in uv build base deploy sbom; do \
		$(subst .tools,../.tools,$(COMPILE)) $$name.in -o $$name.txt || exit; done
	cd requirements && for name in tracing dev bench; do \
		$(subst .tools,../.tools,$(COMPILE)) -c base.txt $$name.in -o $$name.txt || exit; done

CONTRACT_TOOLS := .tools/contract
CONTRACT := $(CONTRACT_TOOLS)/bugtracker.json
# Not `npm ci`: it wants the packages of every platform, and mirrors may lack them.
$(CONTRACT_TOOLS)/.installed: tools/contract/package.json tools/contract/package-lock.json
	@mkdir -p $(CONTRACT_TOOLS) && cp $^ $(CONTRACT_TOOLS)/
	@cd $(CONTRACT_TOOLS) && npm install --silent --no-save --no-audit --no-fund --ignore-scripts
	@touch $@

contract-lint: .venv/.dev $(CONTRACT_TOOLS)/.installed ## Lint the contract: Spectral with the OWASP rules, and Redocly (needs Node)
	@$(BIN)/python -m tools.bundle > $(CONTRACT)
	@cp tools/contract/*.yaml $(CONTRACT_TOOLS)/
	@cd $(CONTRACT_TOOLS) && node_modules/.bin/spectral lint bugtracker.json --ruleset spectral.yaml \
		--fail-severity hint
	@cd $(CONTRACT_TOOLS) && REDOCLY_TELEMETRY=off node_modules/.bin/redocly lint bugtracker.json \
		--config redocly.yaml

contract-diff: .venv/.dev $(CONTRACT_TOOLS)/.installed ## Compare the contract with BASE's (the last tag, else main): breaking changes fail
	@BASE="$(BASE)" TOOLS="$(CONTRACT_TOOLS)" PYTHON="$(BIN)/python" scripts/contract-diff

contract-changelog: .venv/.dev $(CONTRACT_TOOLS)/.installed ## Write docs/contract-changelog.md, by release
	@$(BIN)/python -m tools.contract_changelog $(CONTRACT_TOOLS)/node_modules/.bin/oasdiff

load: .venv/.base $(TOOLS)/.made ## Load a server of its own with a team's day, by k6; writes docs/performance/load.md
	@exec $(BIN)/python -m tools.load_test $(ARGS)

BENCH := .tools/bench
BENCH_OPTIONS = $(foreach name,SIZE ROUNDS SECONDS PROCESSES ONLY SERVERS,$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))
bench: .venv/.dev $(BENCH)/.made ## Compare our speed with others' (needs wrk; SIZE= ROUNDS= SECONDS= ONLY=list SERVERS=ours,c,d)
	@exec $(BIN)/python -m bench $(BENCH_OPTIONS) $(ARGS)

bench-guard: .venv/.dev $(BENCH)/.made ## Has our server become slower than bench/guard.json says? (ARGS=--update writes it)
	@exec $(BIN)/python -m bench.guard $(ARGS)

bench-growth: .venv/.dev ## Time reads with 2,000 to 200,000 issues, and 1 to 1,000 organisations (minutes)
	@exec $(BIN)/python -m bench.growth $(ARGS)

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

# Takes $(3), files of the npm package $(1), into the folder $(2) of the pages, and writes down its version.
define VENDOR
set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; into=bugtracker/pages/static/$(2); mkdir -p $$into; \
npm pack --silent --pack-destination "$$work" $(1) > /dev/null; \
tar -xzf "$$work"/*.tgz -C "$$work"; \
for name in $(3); do install -m 644 "$$work/package/$$name" $$into/; done; \
sed -n 's/^ *"version": "\(.*\)",*$$/\1/p' "$$work/package/package.json" > $$into/VERSION; \
echo "$(1): $$(cat $$into/VERSION)"
endef

swagger-ui: ## Take the newest Swagger UI 5 from npm (rarely; look at /docs afterwards)
	@$(call VENDOR,swagger-ui-dist@5,swagger-ui,LICENSE NOTICE swagger-ui.css swagger-ui-bundle.js \
		swagger-ui-bundle.js.LICENSE.txt)

# Its one image is on a server of its makers: an empty one is as good, and hidden.
REDOC_IMAGE := https://cdn.redoc.ly/redoc/logo-mini.svg
redoc: ## Take the newest Redoc 2 from npm (rarely; look at /reference afterwards)
	@$(call VENDOR,redoc@2,redoc,LICENSE bundles/redoc.standalone.js bundles/redoc.standalone.js.LICENSE.txt)
	@grep -q '"$(REDOC_IMAGE)"' bugtracker/pages/static/redoc/redoc.standalone.js
	@sed -i 's|"$(REDOC_IMAGE)"|"data:,"|' bugtracker/pages/static/redoc/redoc.standalone.js

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

$(TOOLS)/.made: requirements/deploy.txt .tools/uv.txt .venv/.base
	@echo "make: installing the tools of the pipeline" >&2
	@rm -rf .tools/deploy
	@$(UV) venv -q --python $(BIN)/python .tools/deploy
	@$(subst VIRTUAL_ENV=.venv,VIRTUAL_ENV=.tools/deploy,$(INSTALL)) --require-hashes -r requirements/deploy.txt
	@touch $@

# Not with what the tests need: one of its packages takes 1.6 s in every process that may use it.
$(SBOM)/.made: requirements/sbom.txt .tools/uv.txt .venv/.base
	@rm -rf $(SBOM)
	@$(UV) venv -q --python $(BIN)/python $(SBOM)
	@$(subst VIRTUAL_ENV=.venv,VIRTUAL_ENV=$(SBOM),$(INSTALL)) --require-hashes -r requirements/sbom.txt
	@touch $@

# Our server is measured with what the image has, and nothing that only tests need.
$(BENCH)/.made: requirements/bench.txt requirements/base.txt .tools/uv.txt .venv/.base
	@echo "make: installing the servers to compare" >&2
	@rm -rf $(BENCH)-ours
	@$(UV) venv -q --python $(BIN)/python $(BENCH)-ours
	@$(subst VIRTUAL_ENV=.venv,VIRTUAL_ENV=$(BENCH)-ours,$(INSTALL)) --require-hashes -r requirements/base.txt
	@rm -rf $(BENCH)
	@$(UV) venv -q --python $(BIN)/python $(BENCH)
	@$(subst VIRTUAL_ENV=.venv,VIRTUAL_ENV=$(BENCH),$(INSTALL)) --require-hashes -r requirements/bench.txt
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.base
	@echo "make: installing what the tests need" >&2
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
