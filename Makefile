# Works on a machine with git, make and Python 3.11.4 to 3.13; everything else comes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo bake test test-slow test-all test-live-aws lint format lock audit scorecard bench docs release clean

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadgroup

# uv does not read pip's settings; both shall use the same index and certificates, also in the projects that tests bake.
ifdef PIP_INDEX_URL
  export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
  export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif
ifdef PIP_CERT
  export SSL_CERT_FILE ?= $(PIP_CERT)
endif

help: ## these targets
	@awk -F ':.*## ' '/^[a-z-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

.venv/ready: pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11, 4) <= sys.version_info[:3] < (3, 14))' || \
	  { echo "error: $$($(PYTHON) --version 2>&1): 3.11.4 to 3.13 is needed: make PYTHON=python3.12" >&2; exit 1; }
	@echo "preparing .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet "$$(grep -o '^uv==[^ ]*' requirements-dev.txt)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

demo: .venv/ready ## bake a use case, train it, serve it, ask it for a prediction; leaves nothing behind
	@$(BIN)/python tools/demo.py

bake: .venv/ready ## a repository to keep: make bake [into=FOLDER] [answers="mlops_stage=full ..."]
	@$(BIN)/cookiecutter --output-dir "$(or $(into),..)" $(if $(answers),--no-input) . $(answers)

test: .venv/ready ## the fast tests
	@$(PYTEST) -m "not slow"

test-slow: .venv/ready ## the tests that take long: everything applied and executed
	@$(PYTEST) -m slow

test-all: lint test test-slow bench ## everything, as before a release

test-live-aws: .venv/ready ## a use case in AWS and back: make test-live-aws account=ID [region=] [hours=] [budget=] dry_run=1 | yes=ID
	@$(BIN)/python tools/live_aws.py --account "$(account)" $(if $(region),--region "$(region)") $(if $(hours),--hours "$(hours)") \
	  $(if $(budget),--budget "$(budget)") $(if $(dry_run),--dry-run) $(if $(yes),--yes "$(yes)")

lint: .venv/ready ## style and types here, and style of the generated project by its own rules
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary local_extensions.py hooks tools tests benchmarks
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	  $(BIN)/cookiecutter --no-input --output-dir "$$folder" . mlops_stage=full >"$$folder/log" 2>&1 || \
	    { cat "$$folder/log" >&2; exit 1; }; \
	  cd "$$folder"/*/ && $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .

format: .venv/ready ## format what lint checks here
	@$(BIN)/ruff check --quiet --fix . && $(BIN)/ruff format --quiet .

lock: .venv/ready ## pin the tools of pyproject.toml with hashes: make lock [upgrade=yes]
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	  --custom-compile-command "make lock" $(if $(upgrade),--upgrade) --group dev --output-file requirements-dev.txt

audit: .venv/ready ## known weaknesses of the tools, and their bill of materials in sbom.cdx.json
	@$(BIN)/cyclonedx-py requirements --output-reproducible --output-file sbom.cdx.json requirements-dev.txt
	@$(BIN)/pip-audit --progress-spinner off --disable-pip --require-hashes --requirement requirements-dev.txt

scorecard: .venv/ready ## the template's own supply chain, by the checks of OpenSSF Scorecard
	@$(BIN)/python tools/scorecard.py

bench: .venv/ready ## the measurements
	@for script in $$(grep -l __main__ benchmarks/*.py); do echo "== $$script"; $(BIN)/python "$$script"; done

docs: .venv/ready ## the documentation site, in .site/html
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group docs
	@$(BIN)/python tools/docs_reference.py && $(BIN)/python tools/docs_site.py
	@$(BIN)/zensical build --clean --strict -f mkdocs.yml && $(BIN)/python tools/docs_site.py --check

release: .venv/ready ## commit and tag a version: make release version=X.Y.Z [dry_run=yes]
	@$(BIN)/python tools/release.py "$(version)" $(if $(dry_run),--dry-run)

clean: ## remove .venv and caches
	@rm -rf .venv .site .mypy_cache .pytest_cache .ruff_cache
