#!/bin/sh
# All tests of the workspace against the given weir binary: with cargo nextest where it is installed, else cargo test.
set -eu
WEIR_BINARY=$1
export WEIR_BINARY

if cargo nextest --version >/dev/null 2>&1; then
    # .config/nextest.toml limits tests that start servers to two at a time.
    cargo nextest run --workspace --no-fail-fast ${WEIR_LONG:+--profile long}
    # nextest runs no documentation tests.
    cargo test --workspace --doc --quiet
else
    cargo test --workspace --no-fail-fast --exclude weir-tests
    cargo test -p weir-tests --no-fail-fast -- --test-threads 2
fi
