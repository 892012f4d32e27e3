# One thin line per target: the work is done under infra/native/, and CI calls the same targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export EVENTS FAULTS SEED RUNS ROUNDS ROWS SECONDS STEADY_S PER_SECOND ONLY PEER_FSYNC IDS STATE CACHE ENVIRONMENT PORT_OFFSET FORMAT SERVICE FORCE PROMETHEUS PYTHON

IN_ENV := @infra/native/bootstrap.sh
NATIVE := $(IN_ENV) python -m tillstream_native
IN_AIRFLOW := infra/airflow/bootstrap.sh
CHAOS := $(IN_ENV) env PYTHONPATH=infra/native:tests python -m faults

.PHONY: help up init down status logs demo quarantine partitions dag airflow bench bench-worker bench-ingest figures chaos chaos-canaries fetch-prometheus test test-dags test-rules test-compose test-compose-here check format-check lint types arrows clean
help: ## what one can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
up: ## start the shop on this machine, the sample loaded (STATE=, PORT_OFFSET=, PROMETHEUS=1)
	$(NATIVE) up
init: ## secrets, .env and data/ for `docker compose up` (ENVIRONMENT=production, PORT_OFFSET=)
	@infra/compose/init.sh
down: ## stop it; its state is kept
	$(NATIVE) down
status: ## what runs (FORMAT=json)
	$(NATIVE) status
logs: ## the last lines of every log (SERVICE=etl-worker)
	$(NATIVE) logs
demo: ## post believable live traffic to the stack that runs until Ctrl-C (STATE=, PORT_OFFSET=, ARGS=--help)
	$(NATIVE) run tillstream demo $(ARGS)
quarantine: ## what was refused: look at it, mend it, apply it again (ARGS='list', ARGS=--help)
	$(NATIVE) run tillstream quarantine $(ARGS)
partitions: ## how far each partition is; let a stopped one go on (ARGS='list', ARGS=--help)
	$(NATIVE) run tillstream partitions $(ARGS)
dag: ## run the nightly DAG once on the stack that runs (STATE=, ARGS=--help)
	$(NATIVE) run $(IN_AIRFLOW) python infra/airflow/native.py dag $(ARGS)
airflow: ## Airflow with its UI beside the stack that runs, until Ctrl-C (STATE=)
	$(NATIVE) run $(IN_AIRFLOW) python infra/airflow/native.py standalone
test-dags: ## types and tests of dags/ in an environment with Airflow, on a stack of its own (ARGS=)
	@$(IN_AIRFLOW) sh -c 'MYPYPATH=dags:dags/tests mypy dags && pytest -c dags/tests/pytest.ini dags/tests $(ARGS)'
bench: ## every row beside its peer into docs/benchmarks.md (RUNS=5 EVENTS= ROWS= ONLY='worker sink'), an hour or more
	$(IN_ENV) python bench/rows.py
bench-worker: ## the worker on a backlog beside a raw COPY (EVENTS=1000000 RUNS=5 IDS=random)
	$(IN_ENV) python bench/rows.py --print worker
bench-ingest: ## the door beside a plain Flask service under wrk (RUNS=, SECONDS=, PEER_FSYNC=)
	$(IN_ENV) python bench/rows.py --print ingest
figures: ## the figures of the stack that runs (STATE=, PORT_OFFSET=); it posts some 400,000 events
	$(NATIVE) run python bench/figures.py
chaos: ## break everything on a stack of its own and count (EVENTS=, FAULTS=, SEED=); docs/runbooks/chaos.md
	$(CHAOS) chaos $(ARGS)
chaos-canaries: ## planted bugs, each of which the counting must catch
	$(CHAOS) canaries $(ARGS)
fetch-prometheus: ## Debian's Prometheus into .cache, for PROMETHEUS=1 and its tests
	@infra/native/fetch_prometheus.sh
test: check test-dags test-compose-here ## check, then every test this machine can run (ARGS=…)
	$(IN_ENV) pytest -n logical --maxprocesses 4 --no-loadscope-reorder $(ARGS)
test-compose: ## the same end-to-end tests on `docker compose up`, and what only containers have
	$(IN_ENV) pytest --stack=compose --timeout=600 tests/e2e tests/composed $(ARGS)
test-compose-here:
	@if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then $(MAKE) test-compose ARGS=; else echo "No Docker engine with Compose answers here: the tests in containers were not run."; fi
test-rules: ## what Prometheus is told: names, alerts, recorded series (infra/prometheus)
	$(IN_ENV) pytest infra/prometheus
check: format-check lint types arrows ## format, lint, types, import arrows
format-check:
	$(IN_ENV) ruff format --check --quiet .
lint:
	$(IN_ENV) ruff check --quiet .
types:
	$(IN_ENV) sh -c 'mypy && for service in services/*; do MYPYPATH=$$service mypy $$service/tests || exit 1; done'
arrows:
	$(IN_ENV) lint-imports
clean: ## stop it and delete its state, after a question (FORCE=1)
	$(NATIVE) clean
