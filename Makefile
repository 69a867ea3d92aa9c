# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv once.
PYTHON ?= python3
BIN := .venv/bin
PLANTS600 ?= $(HOME)/.cache/fedad/plants600
SETS ?= $(HOME)/.cache/fedad/sets
SYSTEMS := $(BIN)/fedad compare configs/compare/systems.yaml

.PHONY: demo test reliability redteam privacy systems federation knobs lock lint audit clean

demo: .venv/installed
	$(BIN)/fedad demo

# A file of tests at a time on each core, on four at most: each may take a gigabyte and a half. One
# thread each, since several that share a core wait for one another.
test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs -n auto --maxprocesses 4 --dist loadfile

# All that docker/compose.yaml starts, without Docker, and one run on it; needs nginx.
federation: .venv/installed
	$(BIN)/fedad federation

# What kills processes, fills disks and loads the server: an hour and a half on two cores, and after
# three it is stopped as by Ctrl-C, which ends every process that a test has started.
reliability: .venv/installed
	timeout --foreground --signal=INT --kill-after=5m 3h $(BIN)/pytest -m reliability -rs

# What a hostile server, a hostile site and strangers try, on the loopback: some ten minutes.
redteam: .venv/installed
	$(BIN)/pytest -m "reliability or not reliability" -rs tests/redteam tests/test_policy.py \
	    tests/test_what_leaves.py tests/reliability/test_policy.py

# What is left of federation under differential privacy: draws 600 images a plant and product first,
# into ~/.cache/fedad, and takes one to two hours on two cores.
privacy: .venv/installed
	test -d $(PLANTS600) || $(BIN)/fedad data draw plants $(PLANTS600) --images 600 --good 100 \
	    --defective 100 --seed 11
	$(BIN)/python benchmarks/private_gain.py $(PLANTS600)

# Every method on the demo plants, on drawn LOCO-like parts and textures (into SETS), and on a folder
# of public parts in AutoVI's layout where PARTS names one. Stop it at any time: the same command
# goes on with what is missing.
systems: .venv/installed
	$(SYSTEMS)
	test -d $(SETS)/loco || $(BIN)/fedad data draw loco $(SETS)/loco
	$(SYSTEMS) -c data.dataset=mvtec_loco -c data.dir=$(SETS)/loco --out comparisons/systems-loco
	test -d $(SETS)/textures || $(BIN)/fedad data draw textures $(SETS)/textures
	$(SYSTEMS) -c data.dataset=autovi -c data.dir=$(SETS)/textures --out comparisons/systems-textures
	test -z "$(PARTS)" || $(SYSTEMS) -c data.dataset=autovi -c data.dir=$(PARTS) \
	    --out comparisons/systems-parts

# After a plug-in with knobs of its own was added: list them in pyproject.toml, for Flower.
knobs: .venv/installed
	$(BIN)/python -m fedad.running.knobs

# Both locks anew, after pyproject.toml asks for something else, or for all that is newer with
# `make lock UPGRADE=1`; needs uv, and the network.
lock:
	.ci/lock

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive fedad server_app client_app

# Known vulnerabilities of what is installed, where pip-audit and an advisory service are there.
audit: .venv/installed
	$(BIN)/python .ci/audit.py

.venv/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv runs
