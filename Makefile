# Everything a developer types. Each target sets up what it needs, from a machine that has only Python ≥ 3.11 and make:
# uv (in .uv/ unless it is on PATH), .venv with the locked dependencies, and the test servers in the user's cache.
# What is there already is not made again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

UV_VERSION := 0.13.9
# Last, so that a uv of the user's own wins.
export PATH := $(PATH):$(CURDIR)/.uv/bin
# A VIRTUAL_ENV of another project would only make uv complain.
unexport VIRTUAL_ENV
RUN := uv run --no-sync
BUILD := $(RUN) python -m tests.servers.build
# What `make demo` plays on: the emulated API server, or a real one.
REAL := $(filter real,$(SERVER))
ifneq (,$(filter-out real emulated,$(SERVER)))
$(error SERVER=$(SERVER): write SERVER=real, or leave it out for the emulated API server)
endif
# What `make try` and `make e2e` start.
STACK := etcd kube-apiserver kube-controller-manager kubectl cert-manager prometheus alertmanager loki jaeger
DAY := $(if $(filter-out 0 no false,$(ONCE)),--once) $(if $(SPEED),--speed=$(SPEED))

.PHONY: demo try docs dashboards picture screenshots test test-compat e2e faults bench chart image check fix servers \
	grammars clean help

demo: .venv/$(if $(REAL),.synced,.installed) ## Play a scripted day and show what is seen of it (ONCE=1: then end; SPEED=10; SERVER=real)
	$(if $(REAL),$(BUILD) etcd kube-apiserver kubectl >/dev/null)
	@$(if $(REAL),$(RUN) python -m scripts.demo,.venv/bin/customresource-exporter demo) $(DAY)

try: .venv/.synced ## Start the whole stack: cluster, cert-manager, exporter, Prometheus, Alertmanager, Loki, Jaeger (ONCE=1)
	$(BUILD) $(STACK) >/dev/null
	@$(RUN) python -m scripts.try_out $(if $(filter-out 0 no false,$(ONCE)),--once)

docs: dashboards ## Write everything generated anew: the tables of the reference, dashboards, rules
	$(RUN) python -m scripts.reference

dashboards: .venv/.synced ## Write the dashboards and the rules anew, from dashboards/source
	$(RUN) python -m dashboards

picture: .venv/.installed ## Make the picture of the demo anew (docs/demo.svg)
	.venv/bin/python scripts/picture.py docs/demo.svg

screenshots: .venv/.synced dashboards/preview/node_modules ## Draw the dashboards from real data (needs Node.js and Chromium)
	$(BUILD) $(STACK) >/dev/null
	cd dashboards/preview && npx vite build --logLevel warn
	$(RUN) python -m scripts.screenshots $(ARGS)

test: .venv/.synced grammars ## Run all tests, real servers included (ARGS="-k name" for some)
	$(BUILD) >/dev/null
	$(RUN) pytest $(ARGS)

test-compat: .venv/.synced ## Run the integration tests against the oldest supported Kubernetes
	$(BUILD) --compat >/dev/null
	TEST_KUBERNETES=1.34 $(RUN) pytest tests/integration $(ARGS)

e2e: .venv/.synced ## From an edit to a firing alert, a log line and a trace, with the shipped rules and dashboards
	$(BUILD) $(STACK) >/dev/null
	$(RUN) pytest tests/e2e $(ARGS)

faults: .venv/.synced ## Play every fault at full length, show what each costs, and write docs/explanation/faults.md (an hour)
	$(BUILD) >/dev/null
	rm -f .faults.jsonl
	FAULTS=full FAULTS_TABLE=$(CURDIR)/.faults.jsonl $(RUN) pytest tests/faults $(ARGS) || failed=$$?; \
	$(RUN) python -m scripts.faults .faults.jsonl; exit $${failed:-0}

bench: .venv/.synced ## Measure everything anew, beside others (about 15 minutes; FULL=1: 100,000 objects on a real server, too)
	$(BUILD) etcd kube-apiserver kube-state-metrics >/dev/null
	$(RUN) python -m bench $(if $(FULL),--full)

chart: dashboards ## Write what deploy/ has of other places: schema, README, alerts, dashboards, kustomize, manifests
	helm=$$($(BUILD) helm | cut -f2); $(RUN) python -m scripts.chart --helm "$$helm"

image: .venv/.synced ## Build the image without a daemon and run it as a pod would (root, buildah and mmdebstrap; minutes)
	$(BUILD) etcd kube-apiserver kube-controller-manager kubectl helm >/dev/null
	TEST_IMAGE=1 $(RUN) pytest tests/deploy/test_image.py $(ARGS)

check: .venv/.synced ## Style, types, layers, docstrings, spelling, lock file, dashboards/, deploy/
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) interrogate --quiet tests
	$(RUN) codespell
	$(RUN) python -m dashboards --check
	$(RUN) pytest -q tests/dashboards/test_boards.py tests/dashboards/test_runbooks.py
	$(RUN) python -m scripts.chart --check
	$(RUN) hadolint --failure-threshold=style deploy/Dockerfile
	uv lock --check

fix: .venv/.synced ## Let ruff correct what it can, and format
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# Without npm, or its registry, the tests of LogQL and TraceQL are skipped, and say so.
GRAMMARS := tests/dashboards/grammars
grammars: ## Install the grammars of LogQL and TraceQL for the tests (with npm, a second)
	@if command -v npm >/dev/null && [ ! -d $(GRAMMARS)/node_modules ]; then npm ci --silent --prefix $(GRAMMARS) || rm -rf $(GRAMMARS)/node_modules; fi

servers: .venv/.synced ## Build the test servers (minutes, the first time) and say where they are
	$(BUILD)

clean: ## Remove what the other targets put into the checkout; the test servers stay in the user's cache
	rm -rf $(GRAMMARS)/node_modules .venv .uv dist .faults.jsonl .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## This list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

dashboards/preview/node_modules: dashboards/preview/package-lock.json
	cd dashboards/preview && npm ci --legacy-peer-deps --no-audit --no-fund
	touch $@

# With what the program itself needs, and nothing else: quick, for somebody who only wants to see it.
.venv/.installed: pyproject.toml uv.lock scripts/install-uv
	scripts/install-uv $(UV_VERSION)
	uv sync --locked --no-dev --inexact --quiet
	@touch $@

.venv/.synced: pyproject.toml uv.lock scripts/install-uv
	scripts/install-uv $(UV_VERSION)
	uv sync --locked --all-extras --group deploy
	@touch .venv/.installed $@
