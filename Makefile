# One word per chore. `make demo` and `make test` need only Python (3.11 to 3.14), pip and make.
#
#   make demo    set up .venv and train a character language model, under 2 minutes of training
#   make test    set up .venv and run the whole test suite
#   make check   lint, format, strict types, completeness of the public types, packages that build
#   make bench   measure Recurra against torch.nn here; BENCH="all --full" measures everything
#   make format  rewrite the files as `make check` wants them
#   make slow    the tests that take minutes, or repeat others for more cells (with RECURRA_DATA set, on
#                real data too)
#   make clean   remove .venv and what the tools left
#
# PYTHON=python3.13 and TORCH=2.13 choose another Python and release of torch; each choice has an
# environment of its own, such as .venv-python3.13-torch2.13. TORCH_INDEX=URL takes torch from that
# package index: README.md says how to get a CPU-only build.

PYTHON ?= python3
TORCH ?=
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))$(if $(TORCH),-torch$(TORCH))
BIN := $(VENV)/bin
BENCH ?= layers
TORCH_INDEX ?=
WANTED := $(if $(TORCH),torch==$(TORCH).*,torch>=2.13,<2.16)

.PHONY: demo test bench check types packages format slow clean

demo: $(VENV)/.installed
	$(BIN)/recurra train language --config configs/demo.toml --out runs/demo --overwrite

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: $(VENV)/.installed
	mkdir -p runs
	$(BIN)/recurra bench $(BENCH) --json runs/bench.json --plot runs/bench.png

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory types packages

# The types of every public name are complete. basedpyright finds the package in the environment
# whose `python` comes first.
types: $(VENV)/.installed-dev
	@PATH="$(abspath $(BIN)):$$PATH" VIRTUAL_ENV="$(abspath $(VENV))" \
	  basedpyright --verifytypes recurra --ignoreexternal > $(VENV)/types.txt || \
	  { cat $(VENV)/types.txt; exit 1; }
	@grep "Type completeness score" $(VENV)/types.txt

packages: $(VENV)/.installed-dev
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  $(BIN)/python -m build --no-isolation --outdir "$$folder" . > "$$folder/log" 2>&1 || \
	  { cat "$$folder/log"; exit 1; } && $(BIN)/twine check --strict "$$folder"/recurra-*

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow -o faulthandler_timeout=3600

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
	  { echo "recurra needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(if $(TORCH)$(TORCH_INDEX),$(BIN)/python -m pip install --quiet "$(WANTED)" $(addprefix --index-url ,$(TORCH_INDEX)))
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@
