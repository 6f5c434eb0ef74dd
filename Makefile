PYTHON ?= python3
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help up down demo test test-openstack bench figures faults faults-selftest kills e2e-kind lint crds venv

help: ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

up: venv ## control plane, CRDs, moto and operator in the background; CLOUDS=openstack brings OpenStack up too
	@CLOUDS="$(CLOUDS)" $(VENV)/python -m devenv up

down: ## end what `make up` started, and forget its cluster and its simulated clouds
	@$(PYTHON) -m devenv down

demo: venv ## a virtual cluster across two clouds, from nothing: created, scaled, healed, deleted
	@$(VENV)/python -m devenv.demo

test: venv ## all tests, unit to end-to-end
	@$(VENV)/python -m devenv tools
	@$(VENV)/pytest -n auto --dist worksteal tests/unit; units=$$?; $(VENV)/pytest --ignore=tests/unit && exit $$units

test-openstack: venv ## the tests on OpenStack's real services, which are installed into the cache; takes a while
	@$(VENV)/python -m devenv tools
	@$(VENV)/python -m devenv.openstack_toolchain
	@$(VENV)/pytest -m openstack tests

bench: venv ## what 10,000 VMs cost, in seven measurements; SCALE=100 takes a minute or two
	@$(VENV)/python -m bench $(SCALE)

figures: venv ## launches a second and calls per VM of each provider at its test server; PROVIDERS, N=100, OPENSTACK=1
	@$(VENV)/python -m tests.figures $(PROVIDERS)

faults: venv ## fault injection on virtual time; SEEDS=1000 for each case, SEED_START, CASES and MINUTES choose
	@$(VENV)/python -m tests.faults

faults-selftest: venv ## the same with known bugs planted one by one, each of which must be found
	@$(VENV)/python -m tests.faults.selftest

kills: venv ## SIGKILL to operators at random moments, on a real control plane and EC2's protocol; KILLS=100, SEED
	@$(VENV)/python -m tests.kills

e2e-kind: venv ## the end-to-end tests on a kind cluster; needs a Docker engine
	@$(VENV)/python -m devenv kind

lint: venv ## ruff, mypy and the import rules
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

crds: venv ## write crds/ anew from the models
	@$(VENV)/python -m devenv.crds

venv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m devenv.venv
