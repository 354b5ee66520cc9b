# `make help` lists what can be made. Needs Rust (rustup's), a C compiler, for the panel Node with npm, and for the tests Python.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The steps of `make test` share one target folder and two cores: one after the other, the cheap ones first.
.NOTPARALLEL:

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(TARGET)/tools/bin/cargo-deny
# Arguments for `agp` in `make run`, such as ARGS="--listen 127.0.0.1:9000".
ARGS ?=

# The panel is built where there is a Node that can do it; everything else works without.
NODE := $(shell node --eval 'const [a, b] = process.versions.node.split("."); if (a > 20 || a == 20 && b >= 19) console.log("yes")' 2>/dev/null)
PANEL_SOURCES := $(shell find frontend/src frontend/scripts -type f) $(addprefix frontend/,index.html package.json tsconfig.json vite.config.ts)

.PHONY: help run panel test bench screenshots audit tools fmt lint doc unit sdk deny frontend browser

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(if $(NODE),panel) ## build, then `agp serve` where there is an agp.toml, else `agp demo`
	@if [[ -e agp.toml ]]; then command=serve; else command=demo; fi; \
	exec $(CARGO) run --locked -- "$$command" $(ARGS)

panel: frontend/dist/index.html ## build the admin panel where it is not up to date

test: tools fmt deny lint doc frontend unit sdk browser ## install what the tests need, then run all of them
	@echo "all tests passed"

bench: ## measure against nginx (installs nginx where it is missing)
	bash benches/run.sh

screenshots: tools panel ## picture every view of the panel for docs/img/panel
	$(CARGO) build --locked
	cd frontend && AGP_BIN="$(abspath $(TARGET))/debug/agp" npm run --silent screenshots

audit: $(CARGO_DENY) ## known vulnerabilities in dependencies; downloads the list of them
	$(CARGO_DENY) --locked check --hide-inclusion-graph

# The parts of `make test`.

tools:
	@[[ -n "$(NODE)" ]] && npm --version >/dev/null || { echo "the tests need Node 20.19 or newer with npm" >&2; exit 1; }
	@command -v curl >/dev/null || { apt-get update && apt-get install -y --no-install-recommends curl; }
	@# Without it the test against the age tool says that it is skipped.
	@command -v age >/dev/null || { apt-get update && apt-get install -y --no-install-recommends age; } || true
	@command -v chromium >/dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) fetch --locked

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

unit:
	$(CARGO) test --locked

# The official SDKs against the built binary.
sdk:
	$(CARGO) build --locked
	AGP_BIN="$(abspath $(TARGET))/debug/agp" bash tests/sdk/run.sh

# Types, style, messages and size of the panel.
frontend: panel
	cd frontend && npm run --silent check && npm run --silent size

# The panel in Chromium against the built binary.
browser: panel
	$(CARGO) build --locked
	cd frontend && AGP_BIN="$(abspath $(TARGET))/debug/agp" npm test --silent

# The stamps lie in folders that git ignores.
frontend/node_modules/.stamp: frontend/package-lock.json
	cd frontend && npm ci --silent
	touch $@

frontend/dist/index.html: frontend/node_modules/.stamp $(PANEL_SOURCES)
	cd frontend && npm run --silent build -- --logLevel warn
	@# Release builds hold a copy: cargo must see that there is another one.
	touch $@ src/server/assets.rs

# Licences, banned crates and sources, by .deny.toml. Crates that stand in several versions are shown by `make audit` only.
deny: $(CARGO_DENY)
	$(CARGO_DENY) -L error --locked --offline check --hide-inclusion-graph licenses bans sources

# Built without optimisation, which takes a third of the time and is fast enough. The version is part of the rule: another
# one is built when the Makefile changes.
$(CARGO_DENY): Makefile
	@if [[ "$$($@ --version 2>/dev/null)" == "cargo-deny $(CARGO_DENY_VERSION)" ]]; then touch $@; else \
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 $(CARGO) install --locked --debug --force \
	  --root "$(TARGET)/tools" --target-dir "$(TARGET)/tools/build" cargo-deny --version $(CARGO_DENY_VERSION); \
	rm -rf "$(TARGET)/tools/build"; fi
