# Every target that needs packages installs them into .venv first, unless they are already there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# The tests measure no speed, so they may run at the same time.
PARALLEL := --numprocesses 2 --dist worksteal

.PHONY: install bench test test-fast test-peers test-browser matrix fuzz mutation gate report pictures random-networks interval-coverage paired-coverage example-gates tool-comparison baseline-rates lint clean

install: $(VENV)/test

bench: $(VENV)/test
	$(BIN)/mlpbench run

test: $(VENV)/test
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(VENV)/test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

# Installs torch, jax and onnxruntime first.
test-peers: $(VENV)/peers
	$(BIN)/python -m pytest $(PARALLEL) tests/test_peers.py tests/test_speed.py

# Tries the page of a report in Chromium, which has to be installed.
test-browser: $(VENV)/browser
	$(BIN)/python -m pytest tests/test_page_browser.py

# The tests on every supported Python that is installed: with the oldest dependencies, and with the newest ones.
matrix: $(VENV)/matrix
	$(BIN)/nox

# Tries random inputs for FUZZ_SECONDS.
FUZZ_SECONDS := 3600
fuzz: $(VENV)/test
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

# CONTRIBUTING.md explains the survivors. Earlier results are removed, because the tests may have changed.
mutation: $(VENV)/mutation
	rm -rf mutants
	$(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

gate: $(VENV)/test
	$(BIN)/mlpbench gate --against $(or $(AGAINST),main...)

# Measures what the page of results/ lacks, which takes about 20 minutes, and opens the page.
report: $(VENV)/test results/tutorials.json results/verify.json results/error-rates.json
	@ls results/run-*.json > /dev/null 2>&1 || $(BIN)/mlpbench run --roofline
	@ls results/scale-[0-9]*.json > /dev/null 2>&1 || $(BIN)/mlpbench scale
	$(BIN)/mlpbench report
	$(BIN)/python -m webbrowser "file://$(CURDIR)/results/report/index.html"

results/%.json: | $(VENV)/test
	$(BIN)/mlpbench $* --json $@

# Draws the last run and the last growth in results/, or the results file RUN.
pictures: $(VENV)/test
	$(BIN)/python -m bench.report.pictures $(or $(RUN),results/latest.json $(lastword $(sort $(wildcard results/scale-[0-9]*.json)))) results

# Times numba_simd beside NumPy on COUNT random networks; SEED chooses them.
random-networks: $(VENV)/test
	$(BIN)/python -m bench.report.random_networks_picture $(or $(SEED),1) $(or $(COUNT),200) results

# Simulates how often the intervals contain the true value; SEED chooses the draws.
interval-coverage: $(VENV)/test
	$(BIN)/python -m bench.report.interval_coverage $(or $(SEED),1) results/gate/idle.npz results/gate/loaded.npz

# Simulates how often the intervals for functions of others contain the true ratio.
paired-coverage: $(VENV)/test
	$(BIN)/python -m bench.report.paired_coverage $(or $(SEED),1)

# Measures how often the gate of docs/examples/moving-median errs, in PLANTED runs with a slowdown and UNCHANGED without.
example-gates: $(VENV)/test
	$(BIN)/python -m tests.example_gates $(or $(PLANTED),20) $(or $(UNCHANGED),40) $(or $(FUNCTION),numpy)

# Runs pairbench and other tools COUNT times on each pair of functions; SEED chooses the order, RESUME=1 continues.
tool-comparison: $(VENV)/tools
	$(BIN)/python -m bench.report.tool_comparison $(or $(SEED),1) $(or $(COUNT),4) results $(if $(RESUME),--resume)

# Simulates the error rates of a stored baseline.
baseline-rates: $(VENV)/test
	$(BIN)/python -m bench.gate.session_rates

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) mutants

$(VENV)/test: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlpbench needs Python 3.11 or later; name its command: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-compile --editable '.[test]'
	@# pip would use one CPU alone. A package may hold files for a newer Python, which do not compile.
	@$(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true
	@touch $@

$(VENV)/peers: $(VENV)/test
	$(INSTALL) --editable '.[test,peers]'
	@touch $@

$(VENV)/browser: $(VENV)/test
	$(INSTALL) --editable '.[test,browser]'
	@touch $@

$(VENV)/lint: $(VENV)/test
	$(INSTALL) --editable '.[test,lint]'
	@touch $@

$(VENV)/tools: $(VENV)/test
	$(INSTALL) --editable '.[test,tools]'
	@touch $@

$(VENV)/matrix: $(VENV)/test
	$(INSTALL) --editable '.[test,matrix]'
	@touch $@

$(VENV)/mutation: $(VENV)/test
	$(INSTALL) --editable '.[test,mutation]'
	@touch $@
