# hocket: services that coordinate by events, without a conductor. `make help` lists what follows `##`.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/stamp
SOURCES := shared/hocket services deploy tests

# The first Python that really runs and is new enough: a shim may stand on the path for a version that is not there.
PICK_PYTHON = for python in python3.13 python3.12 python3.11 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; exit 0; fi; \
	done; echo "No Python of 3.11 or newer runs here (tried python3.13, python3.12, python3.11, python3): install one, with its venv module." >&2; exit 1

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Environment of make demo: STAY=0 ends by itself with the verdict, DEMO_PORT_OFFSET=N shifts all ports,"
	@echo "  HOCKET_BROKER_URL=amqp://… or memory:// names the broker."
	@echo "  Environment of make test: PYTEST='…' hands words to pytest, WORKERS=N runs it in N processes (2; 0: in one)."
	@echo "  Environment of make crash: SEED=N repeats a run's plan, KILLS=N, STORE=sqlite or postgres, RATE=N sales a second."
	@echo "  Environment of make crash-ordered: the same, STORE=postgres has three replicas, SABOTAGE=line spoils it."
	@echo "  Environment of make crash-history: SEED=N, KILLS=N of each kind, STORE=sqlite or postgres, EVENTS=N of history."
	@echo "  Environment of make crash-webhooks: SEED=N, KILLS=N, STORE=sqlite or postgres (two replicas of ingress), EVENTS=N"
	@echo "  deliveries, RATE=N a second; SABOTAGE=early spoils it."
	@echo "  Environment of make chaos: SEED=N repeats a run's plan, STORE=sqlite or postgres (two replicas), MINUTES=N of"
	@echo "  chaos, RATE=N orders a second; STAY=1 keeps a red shop up, SABOTAGE=inbox spoils it."
	@echo "  Environment of make soak: MINUTES=N how long, RATE=N sales a second instead of half of the maximum."

$(STAMP): locks/dev.txt shared/pyproject.toml
	@python=$$($(PICK_PYTHON)) && \
		echo "Making $(VENV) with $$python from locks/dev.txt …" && \
		rm -rf $(VENV) && $$python -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r locks/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable shared
	@touch $(STAMP)

.PHONY: venv
venv: $(STAMP) ## make .venv from the lock, once and again when the lock changes

.PHONY: demo
demo: $(STAMP) ## the shop with the accidents of real life, watched and mended in a browser
	@$(BIN)/python -m deploy.setup demo
	@exec $(BIN)/python -m deploy.demo

# Most tests wait for something, so two processes share the files; each starts the private servers that it needs.
WORKERS ?= 2

.PHONY: test
test: $(STAMP) ## unit, contract, flow and page tests on a private RabbitMQ
	@$(BIN)/python -m deploy.setup test
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

.PHONY: models
models: $(STAMP) ## visit every state of the rules' models and every history of whole sagas; find planted bugs
	@$(BIN)/python -m tests.model
	@$(BIN)/python -m tests.graph
	@$(BIN)/python -m tests.graph --bugs

.PHONY: crash
crash: $(STAMP) ## kill real services again and again; nothing is lost, nothing is twice
	@$(BIN)/python -m deploy.setup crash
	@exec $(BIN)/python -m tests.crash

.PHONY: crash-long
crash-long: $(STAMP) ## the same, seed after seed, until it is stopped or not clean
	@$(BIN)/python -m deploy.setup crash
	@FOREVER=1 exec $(BIN)/python -m tests.crash

.PHONY: crash-ordered
crash-ordered: $(STAMP) ## the same with ordered subscriptions: each subject in order, through kills and replays
	@$(BIN)/python -m deploy.setup crash
	@exec $(BIN)/python -m tests.crash.ordering

.PHONY: crash-history
crash-history: $(STAMP) ## kill a service that reads history and swaps a rebuilt projection in
	@$(BIN)/python -m deploy.setup crash
	@exec $(BIN)/python -m tests.crash.history

.PHONY: crash-webhooks
crash-webhooks: $(STAMP) ## push webhooks while ingress, broker and database are killed; each delivery is said once
	@$(BIN)/python -m deploy.setup crash
	@exec $(BIN)/python -m tests.crash.webhooks

.PHONY: chaos
chaos: $(STAMP) ## the shop under every fault at once, then two minutes of peace; the books must balance
	@$(BIN)/python -m deploy.setup crash
	@exec $(BIN)/python -m tests.chaos

.PHONY: soak
soak: $(STAMP) ## two replicas of each service at half their maximum rate, 20 minutes
	@$(BIN)/python -m deploy.setup demo
	@exec $(BIN)/python -m tests.soak

.PHONY: compat
compat: $(STAMP) ## the transport contract and a short crash run on RabbitMQ 4.0
	@$(BIN)/python -m deploy.setup demo
	@exec $(BIN)/python -m tests.crash.compat

# The peers that hocket is measured against stand in an environment of their own.
BENCH_VENV := var/bench/venv
BENCH_STAMP := $(BENCH_VENV)/stamp

$(BENCH_STAMP): locks/bench.txt shared/pyproject.toml
	@python=$$($(PICK_PYTHON)) && \
		echo "Making $(BENCH_VENV) with $$python from locks/bench.txt …" && \
		rm -rf $(BENCH_VENV) && $$python -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r locks/bench.txt
	@$(BENCH_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable shared
	@touch $(BENCH_STAMP)

.PHONY: bench-venv
bench-venv: $(BENCH_STAMP) ## make the environment of make bench from its lock: hocket and its peers

.PHONY: bench
bench: $(BENCH_STAMP) ## measure hocket against its peers on a private broker; ONLY=, ROUNDS=, SCALE=
	@$(BENCH_VENV)/bin/python -m tests.bench

.PHONY: check
check: $(STAMP) ## ruff, mypy strict and the house test
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/test_house.py

.PHONY: house
house: $(STAMP) ## draw the tree of docs/house.md and write docs/settings.md anew from the code
	@$(BIN)/python -m tests.house

.PHONY: lock
lock: ## renew locks/ from shared/pyproject.toml and locks/*.in (needs uv and npm)
	@command -v uv >/dev/null || { echo "make lock needs uv on the path: pip install uv"; exit 1; }
	uv pip compile $(LOCK) --output-file locks/build.txt locks/build.in
	uv pip compile $(LOCK) --output-file locks/runtime.txt shared/pyproject.toml
	uv pip compile $(LOCK) --output-file locks/bench.txt locks/bench.in shared/pyproject.toml --constraints locks/runtime.txt
	uv pip compile $(LOCK) --output-file locks/dev.txt locks/dev.in shared/pyproject.toml --constraints locks/runtime.txt
	cd locks/node && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links --annotation-style line

.PHONY: clean
clean: ## remove .venv, caches and var/
	@rm -rf $(VENV) var .mypy_cache .pytest_cache .ruff_cache .hypothesis shared/*.egg-info shared/build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
