# What a fresh checkout on Debian 12 needs is Python 3.11, Java, Maven and apt; the rest is fetched.
#   make demo          two sites on real servers, a workload, lag, proof of equality (FLAVOR=mariadb for MariaDB)
#   make test          all tests · make quick: those without servers, under two minutes
#   make check         lint, types, import rules, package build
#   make bench         all measurements, and a table of what was wanted and what we got (SCALE=0.02 for a smoke test,
#                      ONLY="source limit" for some) · bench-whole · bench-source · … one of them
#   make fuzz · soak   random schemas and transactions, and random kills, for MINUTES each
#   make slow          the tests that take minutes: four writers a side, every state at W1's size, 200 kills
#   make simulate      100,000 schedules of sites that all write, applied by the real planner and conflict code
PY := .venv/bin/python
FLAVOR ?= mysql
MINUTES ?= 20
SCALE ?= 1
ONLY ?=
# Two processes, file by file in their order (the long ones first); each starts servers of its own.
TWICE := -n 2 --dist loadfile --no-loadscope-reorder
# Tests start hundreds of processes, which start in two thirds of the time from compiled modules.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: venv demo test quick check lock bench bench-whole bench-source bench-latency bench-wan bench-peers bench-limit bench-detect bench-backlog bench-flat bench-decode bench-forms chart fuzz soak slow simulate

venv: .venv/.ready
.venv/.ready: pyproject.toml requirements.lock
	test -x $(PY) || python3 -m venv .venv
	.venv/bin/pip install -q --disable-pip-version-check -r requirements.lock
	.venv/bin/pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

lock:
	.venv/bin/pip install -q uv
	.venv/bin/uv pip compile -q --no-header --all-extras --group dev pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile -q --no-header --group imports -o dev/imports.lock

IMPORTS := .cache/imports
$(IMPORTS)/.ready: dev/imports.lock
	python3 -m venv --clear $(IMPORTS)
	$(IMPORTS)/bin/pip install -q --disable-pip-version-check -r dev/imports.lock
	touch $@

demo: venv
	$(PY) -W ignore -m dev.demo --flavor $(FLAVOR)

test: venv
	$(PY) -m pytest $(TWICE) -m "not slow"

slow: venv
	$(PY) -m pytest -m slow

quick: venv
	$(PY) -m pytest $(TWICE) -m "not servers and not slow"

check: venv $(IMPORTS)/.ready
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(IMPORTS)/bin/lint-imports
	$(PY) -m build -w -o .cache/dist . >/dev/null

bench: venv
	$(PY) -W ignore -m benchmarks --scale $(SCALE) $(if $(ONLY),--only $(ONLY))

bench-whole: venv
	$(PY) -W ignore -m benchmarks.whole

bench-source: venv
	$(PY) -W ignore -m benchmarks.source

bench-latency: venv
	$(PY) -W ignore -m benchmarks.latency

bench-wan: venv
	$(PY) -W ignore -m benchmarks.wan

bench-peers: venv
	$(PY) -W ignore -m benchmarks.peers

bench-limit: venv
	$(PY) -W ignore -m benchmarks.limit

bench-backlog: venv
	$(PY) -W ignore -m benchmarks.backlog

bench-flat: venv
	$(PY) -W ignore -m benchmarks.flat

bench-decode: venv
	$(PY) -W ignore -m benchmarks.decode

bench-forms: venv
	$(PY) -W ignore -m benchmarks.forms

chart: venv
	$(PY) -W ignore -m benchmarks.chart

bench-detect: venv
	$(PY) -W ignore -m benchmarks.detect

fuzz: venv
	$(PY) -W ignore -m tests.fuzz --minutes $(MINUTES)

soak: venv
	$(PY) -W ignore -m tests.soak --minutes $(MINUTES)

simulate: venv
	$(PY) -m tests.property.simulation --schedules 100000
