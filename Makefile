# Everything a newcomer runs. ARGS is handed on: make demo ARGS="--speed 60 --seconds 60"
.DEFAULT_GOAL := help
.PHONY: help setup demo test live check wheels chaos faults bench fuzz sbom audit lock clean

ARGS ?=
SEEDS ?= 1000
COUNT ?= 1000000
MINUTES ?= 20
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup: ## the environment in .venv, everything for development
	@deploy/setup/venv.sh dev

demo: ## a simulated city and the page that shows it live
	@deploy/setup/venv.sh demo
	@deploy/setup/need.sh mosquitto || echo "setup: the demo goes on with its own broker"
	@$(BIN)/gampong demo $(ARGS)

test: setup ## the tests, on the embedded store and a real mosquitto
	@deploy/setup/need.sh mosquitto openssl
	@$(BIN)/python -m pytest -m "not live and not browser" $(ARGS)

live: setup ## the same line on real mosquitto, InfluxDB 2 and Chromium
	@deploy/setup/need.sh mosquitto chromium cc npm go
	@deploy/influxd/build.sh
	@deploy/grafana/types.sh
	@$(BIN)/python -m pytest -m "live or browser" $(ARGS)

check: setup ## format, lint, types, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py

wheels: setup ## whether the gateway's requirements have wheels for a 64-bit Raspberry Pi
	@PYTHON=$(BIN)/python deploy/setup/wheels.sh

faults: setup ## schedules of faults on the whole line, in virtual time (SEEDS=1000 ARGS=--mutants)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

chaos: setup ## real faults on real mosquitto and InfluxDB 2, at random (MINUTES=20)
	@deploy/setup/need.sh mosquitto cc
	@deploy/influxd/build.sh
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(ARGS)

bench: setup ## every figure of docs/performance.md beside its peer, under 30 minutes (ARGS="--only agent_wire")
	@deploy/setup/need.sh mosquitto openssl strace ip || echo "bench: goes on with what there is"
	@deploy/influxd/build.sh || echo "bench: goes on without InfluxDB"
	@deploy/thingsboard/install.sh || echo "bench: goes on without the ThingsBoard gateway"
	@deploy/telegraf/build.sh || echo "bench: goes on without Telegraf"
	@$(BIN)/python -m bench --out bench/results $(ARGS)

fuzz: setup ## a million hostile inputs into everything that takes bytes from outside (COUNT=1000000)
	@$(BIN)/python -m bench.fuzz --count $(COUNT) $(ARGS)

sbom: ## what gateways and the server have installed, as CycloneDX in build/
	@deploy/supply/sbom.sh build

audit: ## known faults of everything that is locked, where their data can be had
	@deploy/supply/audit.sh

lock: ## requirements/*.txt again from pyproject.toml (LOCK_ARGS=--upgrade for newer ones)
	@deploy/setup/lock.sh

clean: ## remove the environment and every cache
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
