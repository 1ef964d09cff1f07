# `make demo` and `make test` work on a fresh Debian or Ubuntu with Rust; scripts/prepare.sh installs what is missing.

SCENARIO ?= ecommerce
RATE ?= 1
export PATH := $(HOME)/.cargo/bin:$(PATH)
SCENARIOS = ecommerce fraud finance leaderboard onebox

# In CI the build is cached outside the clone.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(HOME)/.cache/weir-target
endif
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo demo-check demo-check-long test test-long test-drivers test-regress test-majors test-triggers test-browser docker-check lint unit bench bench-tpch \
	bench-scenarios prepare

help:
	@echo "make demo [SCENARIO=$(SCENARIO)] [RATE=1]  live view of a scenario: $(SCENARIOS)"
	@echo "make demo-check [SCENARIO=name]            every answer compared with Postgres, about 20 s per scenario"
	@echo "make demo-check-long [SCENARIO=name]       the same for two minutes per scenario"
	@echo "make test                                  what CI runs"
	@echo "make test-long                             the same tests with thousands of rounds, drivers, Postgres 18, triggers, browser: two hours"
	@echo "make test-drivers                          client drivers and their own tests, through Weir and directly"
	@echo "make test-regress                          PostgreSQL's own regression SQL, through Weir and directly"
	@echo "make test-majors [MAJORS=\"14 18\"]         the tests of the other Postgres majors"
	@echo "make test-triggers                         tests that depend on the capture, with capture by triggers"
	@echo "make test-browser                          the dashboards in a headless Chromium"
	@echo "make docker-check                          is demo/docker-compose.yml what Compose understands"
	@echo "make bench                                 the measurements in bench/results"
	@echo "make bench-scenarios                       finance, risk_scores, 500 tables, windows, memory, Nexmark, scans, capture"
	@echo "make bench-tpch                            refreshes of TPC-H's 22 queries against the queries themselves"

prepare:
	@scripts/prepare.sh

demo: prepare
	cargo build --release -p weir-proxy -p weir-demo
	@WEIR_BINARY=$(abspath $(TARGET))/release/weir $(TARGET)/release/weir-demo run --scenario $(SCENARIO) --rate $(RATE)

# Without SCENARIO on the command line: all of them.
demo-check: prepare
	cargo build -p weir-proxy -p weir-demo
	@WEIR_BINARY=$(abspath $(TARGET))/debug/weir $(TARGET)/debug/weir-demo check $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(filter command line environment,$(origin SCENARIO)),--scenario $(SCENARIO))

demo-check-long: SECONDS = 120
demo-check-long: demo-check

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

unit: prepare
	cargo build -p weir-proxy
	@scripts/run-tests.sh $(abspath $(TARGET))/debug/weir

test: prepare lint unit demo-check

# Two hours on two idle cores. Of the other majors the newest; `make test-majors` has all of them.
test-long: export WEIR_LONG = 1
test-long: export MAJORS ?= 18
test-long: prepare lint unit demo-check-long test-drivers test-regress test-majors test-triggers test-browser docker-check

# Every client driver prints through Weir what it prints directly; WEIR_DRIVERS=psycopg,pgjdbc: only these. About 10 minutes.
test-drivers: prepare
	@scripts/prepare-drivers.sh
	cargo build -p weir-proxy
	WEIR_BINARY=$(abspath $(TARGET))/debug/weir cargo test -p weir-tests --test drivers -- --ignored --nocapture

# PostgreSQL's own regression SQL through Weir and directly, on 15 and 18; about 5 minutes each.
test-regress: prepare
	cargo build -p weir-proxy
	WEIR_BINARY=$(abspath $(TARGET))/debug/weir cargo test -p weir-tests --test postgres_regression -- \
		--ignored --test-threads 1 --nocapture

# What reads and writes under load, on servers from whose WAL nothing can be captured. In test-long in as many rounds as `make test`
# has, like the other majors, or that would take half a night; `WEIR_LONG=1 make test-triggers` has thousands.
IN_SHORT = $(if $(filter test-long,$(MAKECMDGOALS)),env -u WEIR_LONG)
test-triggers: export WEIR_TEST_CAPTURE = trigger
test-triggers: prepare
	cargo build -p weir-proxy
	$(IN_SHORT) cargo test -p weir-proxy --test maintain
	$(IN_SHORT) WEIR_BINARY=$(abspath $(TARGET))/debug/weir cargo test -p weir-tests --no-fail-fast --test oracle_scenarios --test oracle_fuzz \
		--test read_your_writes --test consistency --test cursors --test transactions --test failure --test privileges --test session \
		--test seeds --test domains --test hidden_views --test limits --test clock --test known_bugs --test partitions -- --test-threads 2

# The dashboards in a headless Chromium, against what Postgres says. WEIR_PICTURES=docs/images: also the documentation's pictures.
test-browser: export WEIR_PICTURES := $(if $(WEIR_PICTURES),$(abspath $(WEIR_PICTURES)))
test-browser:
	@scripts/prepare.sh browser
	cargo build -p weir-proxy
	WEIR_BINARY=$(abspath $(TARGET))/debug/weir cargo test -p weir-demo --test browser -- --ignored --test-threads 1 --nocapture

# MAJORS="14 18": only these.
test-majors: prepare
	cargo build -p weir-proxy
	@scripts/test-majors.sh $(abspath $(TARGET))/debug/weir

# Needs no Docker; that the containers run is not checked anywhere.
docker-check:
	@scripts/check-compose.sh

bench:
	@scripts/prepare.sh bench
	cargo build --release -p weir-proxy -p weir-bench
	WEIR_BINARY=$(abspath $(TARGET))/release/weir $(TARGET)/release/weir-bench

bench-tpch: prepare
	cargo build --release -p weir-proxy -p weir-bench
	WEIR_BINARY=$(abspath $(TARGET))/release/weir $(TARGET)/release/weir-bench --parts tpch

bench-scenarios: prepare
	cargo build --release -p weir-proxy -p weir-bench
	WEIR_BINARY=$(abspath $(TARGET))/release/weir $(TARGET)/release/weir-bench --parts finance,risk,many,order,memory,nexmark,scans,capture
