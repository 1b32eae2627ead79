# make test: all tests · make quick: those without servers · make check: lint, types, package build
PY := .venv/bin/python
.PHONY: venv test quick check lock bench-source

venv: .venv/.ready
.venv/.ready: pyproject.toml requirements.lock
	test -x $(PY) || python3 -m venv .venv
	.venv/bin/pip install -q --disable-pip-version-check -r requirements.lock
	.venv/bin/pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

lock:
	.venv/bin/pip install -q uv
	.venv/bin/uv pip compile -q --no-header --all-extras --group dev pyproject.toml -o requirements.lock

test: venv
	$(PY) -m pytest

quick: venv
	$(PY) -m pytest -m "not servers and not slow"

check: venv
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m build -w -o .cache/dist . >/dev/null

bench-source: venv
	$(PY) -W ignore -m benchmarks.source
