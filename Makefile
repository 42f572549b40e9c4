# What people type. Each target says what it needs; `make test` installs what the tests need by itself.

CARGO ?= cargo
SECONDS_EACH ?= 30
SOAK_SECONDS ?= 1800
ROUNDS ?= 3
# Many tests wait for what they have started: one more than there are cores.
TEST_THREADS ?= $(shell expr $$(nproc) + 1)
COUNT ?= 10000
RULES ?= 50
REPLICAS ?= 3

.PHONY: help demo build man image unit bench faults scale test soak screenshots lint doc deny fuzz clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## the main job in one minute, with nothing else installed
	@echo "building (a minute or two, the first time) …"
	@$(CARGO) run --quiet --locked --example demo

build: ## the binary, target/release/regferry
	$(CARGO) build --release --locked

man: ## the manual, a page for each command, in target/man
	$(CARGO) run --quiet --locked --example man -- target/man
	@echo "target/man: man -l target/man/regferry.1"

image: ## the container image localhost/regferry, built and proven; minutes
	@scripts/install-test-tools
	@scripts/install-image-tools
	scripts/make-image
	$(CARGO) nextest run --locked --test image --run-ignored only

unit: ## the systemd unit, under a systemd of its own in a container; a minute or two
	@scripts/install-image-tools
	$(CARGO) build --locked
	scripts/test-unit

bench: build ## regferry beside skopeo, in turn; CASES="a-cold@20 big" ROUNDS=3 DELAY=20 (ms) SEED= ONLY=regferry CONTENDER='crane=…' DOCS=docs
	@scripts/install-test-tools
	$(CARGO) build --release --quiet --locked --package regferry-bench
	target/release/regferry-bench --rounds $(ROUNDS) $(if $(DELAY),--delay $(DELAY)) $(if $(SEED),--seed $(SEED)) \
		$(if $(CONTENDER),--contender '$(CONTENDER)') $(foreach name,$(ONLY),--only $(name)) \
		$(if $(DOCS),--docs $(DOCS)) $(CASES)

faults: build ## regferry beside skopeo on the same faults, and what a large plan costs: a few minutes
	@scripts/install-test-tools
	$(CARGO) run --release --quiet --locked --package regferry-bench --bin faults
	$(CARGO) run --release --quiet --locked --package regferry-bench --bin plan

scale: build ## a cluster's COUNT=10000 image jobs over RULES=50 and REPLICAS=3; a million takes most of an hour
	@scripts/install-test-tools
	$(CARGO) run --release --quiet --locked --package regferry-bench --bin scale -- \
		--count $(COUNT) --rules $(RULES) --replicas $(REPLICAS)

test: ## lint and all tests, against real registries too
	@scripts/install-test-tools
	@$(MAKE) --no-print-directory lint
	$(CARGO) nextest run --workspace --locked --test-threads $(TEST_THREADS)

soak: ## the release build as a daemon under faults for SOAK_SECONDS=1800: does it grow, drift or miss a tick
	@scripts/install-test-tools
	REGFERRY_SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) nextest run --release --locked --test end_to_end --no-capture \
		-E 'test(=soak::a_daemon_that_ticks_every_second_through_faults_neither_grows_nor_drifts_nor_misses_a_tick)'

screenshots: ## the pictures of the status page in docs/, of a state that is made up; a minute or two
	@scripts/install-test-tools
	@scripts/install-packages fonts-inter fonts-jetbrains-mono
	REGFERRY_SCREENSHOTS=$(CURDIR)/docs $(CARGO) nextest run --locked --test browser --run-ignored only

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
