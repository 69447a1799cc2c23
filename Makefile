# Each target installs what it lacks (Debian packages by apt, Python packages into .venv), says what it does,
# and may be repeated. Run as root: the lab boots machines.

PYTHON := .venv/bin/python
SITE ?= examples/site-small.yaml
ROUNDS ?= 3

BASE_PACKAGES := python3-venv
# What `vimha validate` asks: Pacemaker's schema and its scheduler, no daemon.
CLUSTER_PACKAGES := pacemaker-cli-utils pacemaker-common
LAB_PACKAGES := $(CLUSTER_PACKAGES) mmdebstrap systemd-container e2fsprogs iproute2 nftables openipmi openssl procps
# Daemons and validators that the tests run on this machine; they are started by the tests alone.
TEST_PACKAGES := $(LAB_PACKAGES) pacemaker corosync pcs crmsh resource-agents fence-agents haproxy glance-api \
	rabbitmq-server erlang-snmp python3-keystone mariadb-server mariadb-backup socat galera-4 galera-arbitrator-4 rsync lsof libxml2-utils ipmitool snmptrapd smitools qemu-system-x86 busybox-static \
	vagrant chromium chromium-driver

# Install those of the packages $(1) that are missing.
define need
@missing=$$(for p in $(1); do \
	[ "$$(dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || printf '%s ' $$p; done); \
if [ -n "$$missing" ]; then \
	echo "apt: installing $$missing"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing \
		</dev/null >/dev/null; \
fi
endef

.PHONY: help demo test soak unit lint bench docs clean packages-base packages-lab packages-test

help:
	@echo "make demo    boot a three-node lab, pull the plug on the active node and more, print the outages"
	@echo "make test    every test, from nothing (root; installs what it needs)"
	@echo "make soak    clusters of databases and brokers, every way to lose them, and every drill on them (half an hour)"
	@echo "make unit    the quick tests alone"
	@echo "make lint    ruff, mypy, the floors of the house, the Vagrantfile"
	@echo "make bench   the figures: failover, clustered services, monitors, five idle minutes, rendering"
	@echo "make docs    write the generated pages of docs/ anew from the code"
	@echo "make clean   take labs down, remove what was built here (the cached lab image stays)"

packages-base:
	$(call need,$(BASE_PACKAGES))

packages-lab: packages-base
	$(call need,$(LAB_PACKAGES))

packages-test: packages-base
	$(call need,$(TEST_PACKAGES))

.venv/.lab: setup.cfg | packages-base
	@echo "pip: installing vimha into .venv"
	@[ -x $(PYTHON) ] || /usr/bin/python3 -m venv .venv
	@$(PYTHON) -m pip install --quiet --editable '.[lab]'
	@touch $@

.venv/.test: setup.cfg .venv/.lab
	@echo "pip: installing the test tools into .venv"
	@$(PYTHON) -m pip install --quiet --editable '.[lab,alarms,osc,test]'
	@touch $@

demo: packages-lab .venv/.lab
	@mkdir -p reports
	.venv/bin/vimha drill demo --site $(SITE) --report reports/demo.html

test: packages-test .venv/.test
	$(PYTHON) -m pytest --numprocesses 2 tests/unit
	$(PYTHON) -m pytest -m 'not soak' --durations 15 tests/agents tests/lab

soak: packages-test .venv/.test
	$(PYTHON) -m pytest -m soak tests/agents tests/lab

unit: packages-base .venv/.test
	$(PYTHON) -m pytest --numprocesses 2 tests/unit

lint: packages-base .venv/.test
	$(call need,vagrant)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	vagrant validate --ignore-provider

bench: packages-test .venv/.test
	$(call need,keepalived)
	@mkdir -p reports
	@for each in tests/bench/bench_*.py; do echo "== $$each"; $(PYTHON) $$each || status=1; done; exit $${status:-0}

docs: packages-base .venv/.test
	$(PYTHON) docs/generate.py

clean:
	-[ ! -x .venv/bin/vimha ] || .venv/bin/vimha lab down --all
	rm -rf .venv build reports *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
