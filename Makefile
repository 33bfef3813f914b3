# Everything a fresh machine needs is python3 (3.10 to 3.13) and make.
#   make demo              count the repetitions in a generated video
#   make demo VIDEO=path   count those in your own video
#   make demo TRAIN=1      train such a counter for a few minutes, test it, count
#   make docs              build the site of docs/ in docs/_build/html
#   make notebooks         write docs/tutorials/*.ipynb from the pages of the same names
#   make test              lint, types and tests
#   make test-slow         the tests that take minutes, such as the wheel in an empty environment
#   make clean             remove what is built (not work_dirs/)

PYTHON ?= python3
VIDEO ?=
TRAIN ?=
# as it was typed, whatever is in the name; the shell finds it in the environment
override VIDEO := $(value VIDEO)
export VIDEO
BIN := .venv/bin
# changes whenever the environment must be brought up to date
INSTALLED := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install $(if $(MAKE_TERMOUT),,--quiet)
# all four fill the folder cv2: to take one away breaks another
OPENCVS := opencv-python opencv-contrib-python opencv-python-headless opencv-contrib-python-headless

.PHONY: install video demo docs notebooks lint chromium pytest test test-slow clean

install: $(INSTALLED)

# openmmlab.txt without its requirements: they would bring two OpenCVs, and decord, which has no
# wheel for ARM
$(INSTALLED): pyproject.toml setup.py $(wildcard requirements/*.txt)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v[:2] < (3, 14) else \
	    "python must be 3.10 to 3.13, got %d.%d from $(PYTHON); run make PYTHON=python3.12" % v[:2])'
	@echo 'Installing mmotion into .venv: about two minutes and 7 GB of disk, most of it PyTorch'
	@$(PYTHON) -m venv .venv
	@$(PIP) uninstall --yes -qq $(OPENCVS)
	@$(PIP_INSTALL) --no-warn-conflicts -r requirements/runtime.txt -r requirements/headless.txt \
	    -r requirements/dev.txt -r requirements/docs.txt -r requirements/clients.txt \
	    -r requirements/serve.txt -r requirements/web.txt -r requirements/corpus.txt
	@$(PIP_INSTALL) --no-deps -r requirements/openmmlab.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

# before anything is installed for a video that is not there
video:
	@$(PYTHON) -c 'import os, sys; v = os.environ["VIDEO"]; \
	    sys.exit(0 if not v or os.path.exists(os.path.expanduser(v)) else \
	    "VIDEO must be a video file or a folder, got %r, which is not there" % v)'

demo: video $(INSTALLED)
	@$(BIN)/mmotion tool demo $(if $(VIDEO),--video="$$VIDEO") $(if $(filter-out 0,$(TRAIN)),--train)

# with the checks that the tests make: a warning is an error
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -n -q -W --keep-going docs docs/_build/html
	@echo 'The site is there: docs/_build/html/index.html'

notebooks: $(INSTALLED)
	$(BIN)/python docs/_ext/notebooks.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# for the tests of the page, which skip without
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 \
	    && apt-get install -qq -y chromium >/dev/null 2>&1; } || echo 'without chromium (apt-get install chromium) browser tests are skipped'

# loadfile: what a file of tests has built, such as the wheel, is built once
pytest: $(INSTALLED) chromium
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow and not web'

test: lint pytest

test-slow: $(INSTALLED) chromium
	$(BIN)/pytest -m 'slow and not web'

clean:
	rm -rf .venv build dist docs/_build docs/generated mmotion.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
