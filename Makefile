# Everything a contributor or CI runs. A fresh clone needs make, a Python (3.9 or later) and the package registries;
# the targets fetch the rest into .venv and .tools, at the versions in uv.lock. `make help` lists the targets.

UV_VERSION := 0.13.9
ENVIRONMENTS := .venv/.synced .tools/sam/.synced .tools/ministack/.synced
CHECKOV := .tools/checkov/bin/checkov --quiet --compact --skip-download --framework cloudformation
UV := .tools/bootstrap-$(UV_VERSION)/bin/uv
PYTHON := .venv/bin/python
# SAM builds with the Python of its own environment (3.13, like the Lambda runtime) and the pip that is locked there.
SAM := PATH="$(CURDIR)/.tools/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam
LAYER_REQUIREMENTS := layers/shared/requirements.txt

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# A virtual environment that happens to be active, or a PYTHONPATH, must not leak into ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME UV_PROJECT_ENVIRONMENT
# Containers often set this. Without bytecode every run compiles a thousand modules again, in each of its processes.
unexport PYTHONDONTWRITEBYTECODE
export UV_NO_PROGRESS := 1
# uv takes a Python 3.13 that is on PATH and downloads one only where there is none: let it see pyenv's, shims or not.
export PATH := $(PATH)$(patsubst %,:%,$(firstword $(wildcard $(HOME)/.pyenv/versions/3.13*/bin)))
export SAM_CLI_TELEMETRY := 0
# SAM reads a region even to validate. Whoever deploys for real has one set, and keeps it.
export AWS_DEFAULT_REGION ?= us-east-1

say = @printf '\033[1m▸ %s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what people run ------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(ENVIRONMENTS) ## The whole story, unattended: deploy locally, submit a pair, consent, callback, scheduled refresh
	@exec $(PYTHON) -m local.stack.demo

.PHONY: local
local: $(ENVIRONMENTS) ## The same stack left running: prints its URLs, writes .local/stack.json, stops on Ctrl-C
	@exec $(PYTHON) -m local.stack

.PHONY: test
test: $(ENVIRONMENTS) check chromium ## Everything CI runs: `check`, a reduced `prove`, the deployed local stack and the browser
	$(call say,Reduced reliability experiments)
	@$(PYTHON) -m pytest -q -n auto -m prove tests/unit/prove
	$(call say,Stack and browser tests)
	@$(PYTHON) -m pytest -q -m "stack or browser"

.PHONY: prove
prove: .venv/.synced ## The reliability experiments: crashes, races, simulated weeks; writes .prove/results.json
	@exec $(PYTHON) -m tests.prove

.PHONY: bench
bench: $(ENVIRONMENTS) .tools/peers/.synced ## The benchmarks, on the built artefact, and its peers: writes .bench/results.json and a table
	@exec $(PYTHON) -m tests.benchmarks

.PHONY: check
check: lint types imports template requirements-check unit ## The quick part: no stack, no browser: some minutes on two cores

# --- the parts of check ---------------------------------------------------------------------------------------------

.PHONY: lint
lint: .venv/.synced ## Formatting and lint rules
	$(call say,Format and lint)
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/ruff check --quiet .

.PHONY: types
types: .venv/.synced ## Static types, strict, tests included
	$(call say,Types)
	@.venv/bin/mypy --no-error-summary

.PHONY: imports
imports: .venv/.synced ## The direction of dependencies
	$(call say,Import rules)
	@out=$$(.venv/bin/lint-imports 2>&1) || { printf '%s\n' "$$out"; exit 1; }

.PHONY: template
template: .venv/.synced .tools/sam/.synced .tools/checkov/.synced ## SAM, cfn-lint, Checkov, and what CloudFormation makes of the template
	$(call say,Template)
	@.tools/sam/bin/cfn-lint --append-rules cfn_lint_serverless.rules --template template.yaml & serverless=$$!; \
	$(CHECKOV) --file template.yaml & checkov=$$!; \
	$(PYTHON) -m pytest -q tests/template & transformed=$$!; \
	out=$$($(SAM) validate --lint 2>&1) || { printf '%s\n' "$$out"; wait $$serverless $$checkov $$transformed; exit 1; }; \
	wait $$serverless; wait $$checkov; wait $$transformed

.PHONY: requirements-check
requirements-check: $(UV) ## Is the layer's requirements.txt what uv.lock says?
	$(call say,Layer requirements)
	@$(UV) export $(EXPORT_OPTIONS) | diff -u $(LAYER_REQUIREMENTS) - \
	  || { echo "$(LAYER_REQUIREMENTS) is stale: run 'make requirements' and commit the result." >&2; exit 1; }

.PHONY: unit
unit: .venv/.synced ## Unit, contract and handler tests
	$(call say,Unit$(comma) contract and handler tests)
	@$(PYTHON) -m pytest -q -n auto -m "not stack and not browser and not prove" --ignore=tests/template

comma := ,

# --- upkeep ---------------------------------------------------------------------------------------------------------

.PHONY: format
format: .venv/.synced ## Format the code and apply the safe lint fixes
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: lock
lock: $(UV) ## Bring uv.lock up to date with pyproject.toml, then the layer's requirements
	@$(UV) lock
	@$(UV) lock --project tools/checkov
	@$(UV) lock --project tools/peers
	@$(MAKE) requirements

# With hashes: what the layer installs is what the lock saw, whichever index serves it. Only what can reach a Lambda
# (Linux, one Python) belongs there; the local package itself is copied by SAM, not installed.
EXPORT_OPTIONS := --quiet --locked --no-dev --no-emit-project --no-header --no-annotate

.PHONY: guide
guide: .venv/.synced ## Write docs/xero-setup.md from the words of the setup page
	@$(PYTHON) -m tools.guide

.PHONY: pictures
pictures: .venv/.synced chromium ## Take the pictures of README, of the pages as they are
	@$(PYTHON) -m tests.browser.pictures

.PHONY: requirements
requirements: $(UV) ## Export the layer's requirements.txt from uv.lock
	@$(UV) export $(EXPORT_OPTIONS) --output-file $(LAYER_REQUIREMENTS)
	@echo "wrote $(LAYER_REQUIREMENTS)"

.PHONY: clean
clean: ## Remove build output, caches and the local stack's files (the environments stay)
	@rm -rf .aws-sam .local .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find functions layers local tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean ## Remove the environments too: back to a fresh clone
	@rm -rf .venv .tools

# --- tools ----------------------------------------------------------------------------------------------------------

# From / and not from here: pyenv's python3 obeys our .python-version and refuses to run where it has no 3.13. Any
# Python will do to fetch uv, and uv finds or fetches the 3.13. Installed aside and moved, so that two makes at once
# cannot meet in a half-made folder; Debian's Python without python3-venv still has pip, or the other way round.
$(UV):
	$(call say,Fetching uv $(UV_VERSION))
	@mkdir -p .tools; aside=$$(mktemp -d "$(CURDIR)/.tools/bootstrap.XXXXXX"); trap 'rm -rf "$$aside"' EXIT; \
	cd /; \
	{ python3 -m venv "$$aside" && "$$aside/bin/python" -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); } >"$$aside.log" 2>&1 \
	|| python3 -m pip install --quiet --disable-pip-version-check --upgrade --target "$$aside" uv==$(UV_VERSION) >>"$$aside.log" 2>&1 \
	|| { cat "$$aside.log" >&2; rm -f "$$aside.log"; echo "Could not install uv with $$(command -v python3 || echo 'python3 (not found)'): Python 3.9 or later with venv or pip is needed." >&2; exit 1; }; \
	rm -f "$$aside.log"; \
	test -x "$(CURDIR)/$(UV)" || mv "$$aside" "$(CURDIR)/.tools/bootstrap-$(UV_VERSION)"

# Each stamp lies inside its environment, so that deleting the environment is enough to have it made again.
.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(call say,Syncing .venv)
	@$(UV) sync --quiet --locked
	@touch $@

.tools/sam/.synced .tools/ministack/.synced: .tools/%/.synced: pyproject.toml uv.lock | $(UV)
	$(call say,Syncing .tools/$*)
	@UV_PROJECT_ENVIRONMENT=.tools/$* $(UV) sync --quiet --locked --only-group $*
	@touch $@

# A lock file of its own: Checkov pins a boto3 that is older than the product's.
.tools/checkov/.synced: tools/checkov/pyproject.toml tools/checkov/uv.lock | $(UV)
	$(call say,Syncing .tools/checkov)
	@UV_PROJECT_ENVIRONMENT="$(CURDIR)/.tools/checkov" $(UV) sync --quiet --locked --project tools/checkov
	@touch $@

# airbyte-cdk pins much of what it needs. With byte code, for what is measured is not its compilation.
.tools/peers/.synced: tools/peers/pyproject.toml tools/peers/uv.lock | $(UV)
	$(call say,Syncing .tools/peers)
	@UV_PROJECT_ENVIRONMENT="$(CURDIR)/.tools/peers" $(UV) sync --quiet --locked --compile-bytecode --project tools/peers
	@touch $@

.PHONY: chromium
chromium: ## Chromium for the browser tests: the one on PATH, or Debian's when run as root
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  if command -v $$name >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  printf '\033[1m▸ Installing chromium\033[0m\n'; \
	  apt-get update -qq </dev/null >/dev/null; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null; \
	else \
	  echo "The browser tests need Chromium or Chrome on PATH (Debian: sudo apt-get install chromium)." >&2; exit 1; fi
