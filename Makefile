# Every command of the project; `make help` is its index.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# a folder with a __main__.py is a service; it has an extra in pyproject.toml when it needs more than common does
SERVICES := $(patsubst services/%/__main__.py,%,$(wildcard services/*/__main__.py))
extra = $(if $(shell grep -E '^$(1) = \[' pyproject.toml),--extra $(1))
T ?=

##@ Use it
.PHONY: up
up: docs-ui ## A Kubernetes on this machine with Slipway on it (kind where Docker answers, else k8s/node)
	@$(PYTHON) -m k8s.local up

.PHONY: down
down: ## Remove all that `make up` made; DATA=keep keeps rows, keys and Secrets for the next one
	@$(PYTHON) -m k8s.local down $(if $(filter keep,$(DATA)),--keep-data)

.PHONY: status
status: ## What runs, and whether it is healthy
	@$(PYTHON) -m k8s.local status

.PHONY: token
token: ## Sign in with a browser and print the access token: TOKEN=$$(make -s token)
	@$(PYTHON) -m k8s.local token

.PHONY: run
run: install packages docs-ui ## The services as plain processes with reload, on a Postgres and Redis of their own: no cluster
	@$(BIN)/python -m tests.support.run

.PHONY: load
load: install ## A small, realistic load on the origin of `make up`: LOAD_SECONDS=60 LOAD_RATE=20
	@$(BIN)/python -m tests.support.load --seconds $(LOAD_SECONDS) --rate $(LOAD_RATE)

LOAD_SECONDS ?= 60
LOAD_RATE ?= 20

.PHONY: trace
trace: ## The spans of a request as a tree: make trace ID=…, its X-Request-ID or its trace's id
	@$(PYTHON) -m k8s.local trace "$(ID)"

.PHONY: prometheus
prometheus: ## The Prometheus of `make up` on http://127.0.0.1:9090, until Ctrl-C
	@$(PYTHON) -m k8s.local prometheus

.PHONY: preview
preview: install ## Draw every dashboard into pictures/, from the Prometheus of `make up` or PROMETHEUS=URL
	@$(if $(PROMETHEUS),,$(PYTHON) -m k8s.local prometheus) $(BIN)/python -m grafana.preview \
		$(if $(PROMETHEUS),--prometheus $(PROMETHEUS)) $(B)

.PHONY: dev
dev: ## `skaffold dev` on the cluster of `make up`: an edited .py answers from the pod within seconds
	@$(PYTHON) -m k8s.local dev

.PHONY: push
push: docs-ui ## Build all images and push them: make push REGISTRY=registry.example.com/team TAG=1.2.3
	@$(PYTHON) -m k8s.local push --registry "$(REGISTRY)" --tag "$(TAG)"

##@ Check it
.PHONY: check
check: install ## Format, lint, strict types, import contracts (seconds)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: install packages docs-ui ## Every test that needs no cluster; T=tests/items picks some
	$(BIN)/pytest -n 3 --dist loadfile -m "not e2e" $(T)

.PHONY: bench
bench: .bench/.installed ## Measure the short set (20 minutes) and write docs/numbers.md; FULL=1 all, ONLY=gateway some, LIST=1 names; resumes
	@.bench/venv/bin/python -m tests.bench $(if $(LIST),list,run $(BENCH_OPTIONS))

.PHONY: bench-check
bench-check: .bench/.installed ## Measure again and compare the ratios with the committed ones; changes no file
	@.bench/venv/bin/python -m tests.bench check $(BENCH_OPTIONS)

BENCH_OPTIONS = $(if $(FULL),--full) $(foreach name,$(ONLY),--only $(name)) $(if $(FRESH),--fresh) \
	$(if $(MINUTES),--minutes $(MINUTES)) $(if $(filter mark,$(BUSY)),--mark-busy)

.PHONY: bench-report
bench-report: .bench/.installed ## docs/numbers.md and its plots again from the result file
	@.bench/venv/bin/python -m tests.bench report

.PHONY: test-313
test-313: install packages ## The tests of the services in a container, on the Python 3.13 of the images
	@$(BIN)/python -m tests.k8s.local.python313

.PHONY: e2e
e2e: install up ## The tests that need a cluster, on the one of `make up`
	$(BIN)/pytest -m "e2e and not full" $(or $(T),tests/e2e)

.PHONY: e2e-full
e2e-full: install up ## The same and the long ones: scaling down, two releases, reinstall
	$(BIN)/pytest -m e2e $(or $(T),tests/e2e)

##@ Work on it
.PHONY: format
format: install ## Format and mend what can be mended by a program
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: install
install: $(VENV)/.installed ## The Python environment of the checkout, from hashed requirements

$(VENV)/.installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "installing Debian's python3-venv"; apt-get install -qy python3-venv; } || \
		{ echo "$(PYTHON) cannot make environments: install python3-venv, or name another by PYTHON=" >&2; exit 1; }
	@echo "installing the Python environment into $(VENV) (about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# an environment of its own: what the services are measured beside has no business in the tests'
.bench/.installed: requirements/bench.txt requirements/oidc-provider/package-lock.json | install
	@echo "installing what the services are measured beside into .bench/venv (about a minute)"
	@$(PYTHON) -m venv --clear .bench/venv
	@.bench/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@if ! command -v npm >/dev/null; then echo "npm is missing: auth will not be measured beside oidc-provider" >&2; else \
		mkdir -p .bench/oidc-provider; cp requirements/oidc-provider/package*.json .bench/oidc-provider; \
		npm ci --prefix .bench/oidc-provider --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; fi
	@touch $@

UI_LOCK := requirements/docs-ui/package-lock.json
UI_FOLDER := services/gateway/swagger-ui
UI_FILES := swagger-ui.css swagger-ui-bundle.js oauth2-redirect.js favicon-32x32.png LICENSE NOTICE
UI_FETCHED := $(UI_FOLDER)/.fetched-$(words $(UI_FILES))# with fewer files than now, they are fetched again

.PHONY: docs-ui
docs-ui: $(UI_FETCHED) ## Swagger UI for the gateway's /docs, from its hashed lock; images then have it

# without npm or its registry nothing fails: /docs of the gateway says what is missing. A wrong hash does fail, and a
# package's own scripts never run
$(UI_FETCHED): $(UI_LOCK)
	@if ! command -v npm >/dev/null; then echo "npm is missing: the gateway will be without Swagger UI" >&2; exit 0; fi; \
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cp requirements/docs-ui/package*.json "$$folder"; \
	if ! npm ci --prefix "$$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >"$$folder/log" 2>&1; then \
		if grep EINTEGRITY "$$folder/log" >&2; then exit 1; fi; \
		echo "npm could not fetch Swagger UI: the gateway will be without it" >&2; exit 0; \
	fi; \
	mkdir -p $(@D); rm -f $(@D)/.fetched*; cd "$$folder/node_modules/swagger-ui-dist"; cp $(UI_FILES) $(CURDIR)/$(@D)/; touch $(CURDIR)/$@

.PHONY: packages
packages: ## What the tests need beside Python: Postgres, Redis, Chromium, exporters, Prometheus and two versions of Helm
	@$(PYTHON) -m k8s.node prepare-tests

.PHONY: tools
tools: ## The Go tools of the local Kubernetes, built once and kept in the cache folder
	@$(PYTHON) -m k8s.node build

.PHONY: lock
lock: install ## Resolve requirements/*.txt again from pyproject.toml
	@$(foreach s,$(SERVICES),$(LOCK) $(call extra,$(s)) --extra profiling -o requirements/$(s).txt;)
	@$(LOCK) --all-extras --group test -o requirements/test.txt
	@$(LOCK) --all-extras --group dev -o requirements/dev.txt
	@$(LOCK) --all-extras --group test --group bench -o requirements/bench.txt

LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock" pyproject.toml

.PHONY: dashboards
dashboards: install ## Write dashboards and alerts, for Grafana and for the chart, from the code under grafana/
	@$(BIN)/python -m grafana.build

.PHONY: clean
clean: ## Remove the environment and caches of the checkout
	@rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find services k8s tests grafana -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
