# One command for each thing a person wants: `make study`, `make test`, `make plan`; `make help`.

STUDY ?= config/config.yaml
CORES ?= all
PYTHON ?= python3
# By file, so that what a file prepares for its tests is prepared once, and in the order of
# pyproject.toml: the long ones first, so that both workers end together.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder --durations=10

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

# A stamp carries a checksum of the files the set-up depends on, so that it is done again when
# one of them changes, and not when a checkout gives them new modification times.
BASE_FILES := pyproject.toml requirements/lock-build.txt requirements/lock.txt \
  requirements/torch.txt requirements/corpora.txt
BASE := $(VENV)/study-$(shell cat $(BASE_FILES) | cksum | tr -d ' ')
DEV := $(VENV)/dev-$(shell cat $(BASE_FILES) requirements/lock-dev.txt | cksum | tr -d ' ')
DOCS := $(VENV)/docs-$(shell cat $(BASE_FILES) requirements/lock-docs.txt | cksum | tr -d ' ')

# The jobs of the workflow say `python`; it has to be the one of this environment.
export PATH := $(BIN):$(PATH)

.PHONY: help study paper zoo plan watch setup setup-dev setup-docs test test-slurm lint format docs schema lock audit clean clean-results

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo "Variables: STUDY=$(STUDY) CORES=$(CORES) PYTHON=$(PYTHON)"

study: setup ## Train, evaluate, fit and report the study in $(STUDY)
	@scalebed plan --study $(STUDY) --summary
	snakemake --cores $(CORES) --configfile $(STUDY)
	@scalebed show-predictions \
	  --database results/studies/$$(scalebed plan --study $(STUDY) --name-only)/study.duckdb

paper: setup ## Import the published testbed and report on it (TESTBED=folder, else it is fetched)
	snakemake --cores $(CORES) --configfile config/studies/testbed.yaml \
	  $(if $(TESTBED),--config testbed=$(TESTBED))
	@scalebed show-predictions --database results/studies/testbed/study.duckdb

zoo: setup ## Fit public tables as their authors did, both numbers beside each other (ZOO=folder, else fetched)
	python benchmarks/zoo.py $(if $(ZOO),--tables $(ZOO))

plan: setup ## Show what the study would train, its cost, and why cells are not up to date
	@scalebed plan --study $(STUDY)

watch: setup ## Tell of every cell of the study, running or done, whether it is on its curve
	@scalebed watch --study $(STUDY)

setup: $(BASE) ## Install everything a study needs into .venv

setup-dev: $(DEV) ## Install what tests and linters need as well

setup-docs: $(DOCS) ## Install what the site of the documentation needs as well

$(BASE): ; @requirements/setup.sh "$(PYTHON)" "$(VENV)" base && rm -f $(VENV)/study-* && touch $@

$(DEV): $(BASE) ; @requirements/setup.sh "$(PYTHON)" "$(VENV)" dev && rm -f $(VENV)/dev-* && touch $@

$(DOCS): $(BASE) ; @requirements/setup.sh "$(PYTHON)" "$(VENV)" docs && rm -f $(VENV)/docs-* && touch $@

test: setup-dev ## Run the tests
	pytest $(PYTEST_ARGS)

test-slurm: setup-dev ## Run the tests on a Slurm that is started here (root, Debian: slurmctld slurmd munge)
	pytest -n0 -v tests/slurm

lint: setup-dev ## Check style, types, spelling, and that generated files are up to date
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	snakefmt --check --diff Snakefile workflow src/scalebed/shipped/start
	snakemake --lint
	codespell
	scalebed write-schema --check

format: setup-dev ## Rewrite code in the house style
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow src/scalebed/shipped/start

# A link or an anchor that leads nowhere fails it, and so does a page that asks another host for
# anything. Pages of before would hide what is gone.
docs: setup-docs ## Build the documentation as a site, in site/
	rm -rf site
	sphinx-build -c docs --fail-on-warning --keep-going --nitpicky --quiet \
	  --doctree-dir build/doctrees . site
	@! grep -rEl --include='*.html' --include='*.css' \
	  "(<(script|img|iframe)[^>]* src=|<link[^>]* href=|url\(|@import )[\"' ]*(https?:)?//" site
	@echo "open site/index.html"

schema: setup ## Write the JSON schema and the reference table from the typed model
	scalebed write-schema

lock: setup-dev ## Resolve pyproject.toml into the lock files and the conda files
	python requirements/compile.py $(LOCK_ARGS)

# In an environment of its own. It looks up what the lock files name and installs none of it.
AUDITED := lock-build.txt lock.txt lock-dev.txt lock-docs.txt lock-open_lm.txt lock-audit.txt corpora.txt

audit: ## Look up known holes of all locked versions; needs a network
	test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && \
	  build/audit/bin/python -m pip install -qq --no-deps --require-hashes -r requirements/lock-audit.txt; }
	for file in $(AUDITED); do \
	  build/audit/bin/pip-audit --disable-pip --require-hashes -r requirements/$$file || exit 1; \
	done
	build/audit/bin/pip-audit --disable-pip --no-deps -r requirements/torch.txt

clean: ## Remove caches, not results
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-results: ## Remove results, training state and logs of all studies
	rm -rf results/corpora results/tokenizers results/tokens results/datasets results/suites \
	  results/cells results/studies results/zoo state logs benchmarks/results
