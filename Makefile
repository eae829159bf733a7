# make run    build, fetch an engine and a small model, and serve it through a strategy
# make test   every check and test
# make demo-ab  two strategies meet on live traffic: the better one is found, put in service and confirmed
# make prove-ab  three such experiments whose ends are known beforehand (twenty minutes)
# make bench  the measurements, side by side with other proxies
#
# Each does all of its own set-up on a machine with Rust, Python 3, Node, gcc and make.

SHELL := /bin/sh
PYTHON ?= python3

.PHONY: run demo-ab prove-ab test bench targets

targets:
	@rustup target list --installed | grep -q '^wasm32-unknown-unknown$$' || rustup target add wasm32-unknown-unknown
	@rustup target list --installed | grep -q '^wasm32-wasip2$$' || rustup target add wasm32-wasip2

run: targets
	cargo build --release --locked --package perfhost
	target/release/perfhost setup
	$(PYTHON) examples/first-run/run.py target/release/perfhost

demo-ab: targets
	cargo build --release --locked --package perfhost
	target/release/perfhost setup
	$(PYTHON) examples/ab/demo.py target/release/perfhost

prove-ab: targets
	cargo build --release --locked --package perfhost
	target/release/perfhost setup
	$(PYTHON) examples/ab/prove.py target/release/perfhost

test: targets
	$(PYTHON) tests/run.py

bench: targets
	cargo build --release --locked --package perfhost
	$(PYTHON) tests/bench/run.py
