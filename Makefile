# Everything happens in a virtual environment of the project's own, .venv; no target installs anything elsewhere.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check
RUN := $(VENV)/bin/python
WORKERS ?= 2
N ?= 2000
SEED ?= 1

.PHONY: help demo test test-main test-simulator fuzz bench gpu-check lint wheel clean support cuda-report

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/.test: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable '.[test,cuda]'
	touch $@

$(VENV)/.demo: $(VENV)/.test
	$(PIP) install --quiet --editable '.[test,cuda,examples]'
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) install --quiet --editable '.[dev,cuda]'
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) install --quiet --editable '.[test,cuda,bench]'
	touch $@

demo: $(VENV)/.demo  ## the photograph example, with every stage printed
	$(RUN) examples/photo.py --explain

test: test-main test-simulator  ## all tests (what needs a GPU is skipped where there is none)

test-main: $(VENV)/.test
	$(RUN) -m pytest tests -n $(WORKERS) -q

# Numba chooses its CUDA simulator once a process, so these tests have a process of their own
test-simulator: $(VENV)/.test
	NUMBA_ENABLE_CUDASIM=1 $(RUN) -m pytest tests/simulator -n $(WORKERS) -q

fuzz: $(VENV)/.test  ## N random programs against NumPy (SEED=1)
	$(RUN) -m tests.fuzz $(N) --seed $(SEED) --workers $(WORKERS)

bench: $(VENV)/.bench  ## times against NumPy, numexpr, JAX and torch.compile, into benchmarks/results/
	$(RUN) benchmarks/run.py
	$(RUN) benchmarks/startup.py
	$(RUN) benchmarks/compile_time.py
	$(RUN) benchmarks/programs.py

support: $(VENV)/.test  ## docs/support.md: what each function of NumPy becomes
	$(RUN) -W ignore -m tests.support

cuda-report: $(VENV)/.test  ## what every CUDA kernel of the benchmarks takes and moves, without a GPU, into benchmarks/results/
	$(RUN) benchmarks/cuda_report.py

gpu-check:  ## tests and benchmarks on a GPU, with the Python at hand; installs the checkout without its dependencies
	$(PYTHON) benchmarks/gpu_check.py --install

# mypy does not see the mapped folders, so it reads the package as it is installed
lint: $(VENV)/.dev  ## formatting, ruff and mypy
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	rm -rf build
	$(PIP) install --quiet --no-deps --target build/types .
	MYPYPATH=build/types $(VENV)/bin/mypy

wheel: $(VENV)/.dev  ## the wheel, under dist/
	$(RUN) -m build --wheel

clean:  ## removes what was built, the virtual environment too
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
