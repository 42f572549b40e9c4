# What people type. Each target says what it needs; `make test` installs what the tests need by itself.

CARGO ?= cargo
SECONDS_EACH ?= 30

.PHONY: help demo build bench test lint doc deny fuzz clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## the main job in one minute, with nothing else installed
	@echo "building (a minute or two, the first time) …"
	@$(CARGO) run --quiet --locked --example demo

build: ## the binary, target/release/regferry
	$(CARGO) build --release --locked

bench: build ## regferry beside skopeo on the same faults, and what a large plan costs: a few minutes
	@scripts/install-test-tools
	$(CARGO) run --release --quiet --locked --example faults
	$(CARGO) run --release --quiet --locked --example plan

test: ## lint and all tests, against real registries too
	@scripts/install-test-tools
	@$(MAKE) --no-print-directory lint
	$(CARGO) nextest run --workspace --locked

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

doc: ## the documentation of the code, opened
	$(CARGO) doc --workspace --no-deps --open

deny: ## licences, bans and sources of the dependencies; advisories where their database can be had
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --workspace check licenses bans sources
	@if $(CARGO) deny fetch db; then $(CARGO) deny --workspace check advisories; \
	else echo "advisories: their database cannot be had from here, so they are not checked"; fi

fuzz: ## every parser against inputs made to break it; minutes to build, then SECONDS_EACH=30 each
	@SECONDS_EACH=$(SECONDS_EACH) scripts/fuzz

clean: ## what was built
	$(CARGO) clean
