# Everything a fresh machine needs is python3 (3.10 to 3.13) and make.
#   make demo              train RepNet for a few minutes, test it, count repetitions in a video
#   make demo VIDEO=path   the same, and count in your own video
#   make test              lint, types and tests
#   make test-slow         the tests that take minutes, such as the wheel in an empty environment
#   make clean             remove what is built (not work_dirs/)

PYTHON ?= python3
VIDEO ?=
BIN := .venv/bin
# changes whenever the environment must be brought up to date
INSTALLED := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install $(if $(MAKE_TERMOUT),,--quiet)
# all four fill the folder cv2: to take one away breaks another
OPENCVS := opencv-python opencv-contrib-python opencv-python-headless opencv-contrib-python-headless

.PHONY: install demo lint pytest test test-slow clean

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
	    -r requirements/dev.txt -r requirements/clients.txt
	@$(PIP_INSTALL) --no-deps -r requirements/openmmlab.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/mmotion tool demo --work-dir work_dirs/demo $(if $(VIDEO),--video '$(VIDEO)')

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# loadfile: what a file of tests has built, such as the wheel, is built once
pytest: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow and not web'

test: lint pytest

test-slow: $(INSTALLED)
	$(BIN)/pytest -m 'slow and not web'

clean:
	rm -rf .venv build dist mmotion.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
