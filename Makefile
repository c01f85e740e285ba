# `make` lists the targets. Everything is installed into .venv; `make test` also installs Prometheus where it may.
PYTHON ?= python3
FUZZ_SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install test test-prometheus-3 test-spark lint serve demo up bench fuzz golden lock image-check service-check screenshots clean

help:  ## List the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 15

$(VENV)/.runtime: pyproject.toml client/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable . --editable ./client
	@touch $@

$(VENV)/.demo: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

# The libraries to compare with want versions of their own, so they have an environment of their own.
$(VENV)/bench/.installed: $(VENV)/.runtime
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/python -m pip install --quiet --editable '.[bench]' --editable ./client
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

install: $(VENV)/.runtime  ## Install model-sidecar and its client into .venv

test: $(VENV)/.dev lint  ## Check style, types and layers, and run all tests
	@tests/install-programs
	$(BIN)/python -m pytest -n 4 --dist worksteal
	@if [ -d build/prometheus-3 ]; then $(MAKE) --no-print-directory test-prometheus-3; fi

# Every test that runs Prometheus, Alertmanager or their tools.
test-prometheus-3: $(VENV)/.dev  ## Run the tests of rules, alerts and dashboards against Prometheus 3
	@tests/install-programs --prometheus 3
	$(BIN)/python -m pytest -n 4 --dist worksteal --prometheus 3 tests/alerting tests/dashboards tests/end_to_end \
		tests/exposition tests/reports tests/kubernetes/rollback/test_alertmanager.py tests/test_compose.py

test-spark: $(VENV)/.dev  ## Compare references built by Spark with those of DuckDB; installs PySpark, 430 MB
	@command -v java >/dev/null || { echo "Spark needs Java: apt-get install default-jre-headless" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --editable '.[spark]'
	$(BIN)/python -m pytest -m spark tests/reference/test_spark.py

lint: $(VENV)/.dev  ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd client && ../$(BIN)/lint-imports

serve: $(VENV)/.runtime  ## Serve on 127.0.0.1:8000, learning the reference from the first events
	$(BIN)/model-sidecar serve

demo: $(VENV)/.demo  ## Watch a real model on real flights: an ordinary day, a storm, a summer
	@$(BIN)/python -m demo

up:  ## Start sidecar, Prometheus, Alertmanager, Grafana and demo traffic in containers
	docker compose up --build

bench: $(VENV)/bench/.installed  ## Measure everything next to floors and peers, about ten minutes; print the table of goals
	@$(VENV)/bench/bin/python -m bench

fuzz: $(VENV)/.dev  ## Fuzz everything that reads what others wrote, FUZZ_SECONDS (60) for each target
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

golden: $(VENV)/.dev  ## Write the golden files again; read the difference before you commit it
	$(BIN)/python -m pytest --quiet --golden -k golden

screenshots: $(VENV)/.dev  ## Take the pictures of the documents again; look at them before you commit them
	@tests/install-programs
	$(BIN)/python -m pytest --quiet --screenshots tests/browser/test_accessibility.py

lock: $(VENV)/.runtime  ## Pin what the image installs, with hashes, to the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
	$(BIN)/python -m uv pip compile pyproject.toml --extra rollback --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

image-check: $(VENV)/.runtime  ## Build the image and run it, as root on Debian, where there is no container engine
	@$(BIN)/python -m tools.image.check

service-check: $(VENV)/.runtime  ## Start the service by a real systemd in a small Debian, as root on Debian
	@$(BIN)/python -m tools.image.service

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache
