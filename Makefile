# Everything runs on a machine that has Rust, Go, make and git. `make help` lists the targets.
SHELL := /bin/sh
CLUSTER := .local/bin/cluster
DIR ?= .local/cluster
NODES ?= 0
FROM ?=
RELEASE := target/release/rempart
MDBOOK_VERSION := 0.5.4
MDBOOK := .local/mdbook-$(MDBOOK_VERSION)/bin/mdbook

.PHONY: help build test fmt lint unit integration rights compat gitops upgrade otel soak bench sbom crds chart reference docs demo cluster-up cluster-down operator-up operator-down

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## target/release/rempart
	cargo build --release --locked

demo: build $(CLUSTER) ## from nothing to refusals on one screen, in a cluster of its own; KEEP=1 leaves it running
	@scripts/demo

test: fmt lint integration ## format, lints, and all tests on Kubernetes 1.36; CI runs `compat` after it

fmt:
	cargo fmt --check
	@test -z "$$(gofmt -l tests/cluster)" || { gofmt -l tests/cluster; echo 'run gofmt -w on these' >&2; exit 1; }

lint:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features otel -- -D warnings
	go vet -C tests/cluster .
	go test -C tests/cluster .

unit: ## what needs no cluster
	cargo test --locked --lib

# One run of the test runner, so that its summary counts everything; then what only the whole of it can show.
integration: $(CLUSTER)
	@$(CLUSTER) build
	@for tool in helm promtool kstatus; do $(CLUSTER) $$tool >/dev/null || exit; done
	@rm -rf target/tmp/rights
	cargo test --locked --lib --test it
	@$(MAKE) --no-print-directory rights

rights: ## compare the rights in deploy/ with what the operator used in the last run of all tests
	cargo test --locked --test it -- --ignored --exact rights::the_operator_has_the_rights_that_it_uses_and_no_other

# Before 1.36 the webhook does what mutating policies do, and the tables of cases are tried with it in their place.
EVERYWHERE := operator::placed operator::dead operator::trust_ends operator::volumes operator::webhook
BEFORE_1_36 := guard::older operator::unguarded
SINCE_1_36 := guard::closed guard::open guard::stores operator::storage

compat: $(CLUSTER) ## what must hold on the other versions of Kubernetes as well; each is compiled once, in about six minutes
	@for version in 1.35.4 1.37.2; do KUBERNETES_VERSION=$$version $(CLUSTER) build || exit; done
	KUBERNETES_VERSION=1.35.4 cargo test --locked --test it -- $(EVERYWHERE) $(BEFORE_1_36)
	KUBERNETES_VERSION=1.37.2 cargo test --locked --test it -- $(EVERYWHERE) $(SINCE_1_36)

gitops: $(CLUSTER) ## the recipes of the book by the tools themselves, which are compiled first
	@$(CLUSTER) build
	@for tool in flux argocd; do $(CLUSTER) $$tool >/dev/null || exit; done
	cargo test --locked --test it -- --ignored gitops_

upgrade: $(CLUSTER) ## from revision FROM to what is here, back and forward, under fire; if not said, from the newest tag, else from before the last change of charts, CRDs or policies
	@$(CLUSTER) build
	@$(CLUSTER) helm >/dev/null
	@scripts/upgrade $(FROM)

otel: $(CLUSTER) ## the test of the feature otel, which is not in the default build
	@$(CLUSTER) build
	cargo test --locked --features otel --test it -- operator::traces

soak: $(CLUSTER) otel ## what takes long: every test that `make test` leaves out or samples; about an hour
	@$(CLUSTER) build
	cargo test --locked --lib --test it -- --ignored --nocapture soak_

bench: $(CLUSTER) ## what Rempart costs and how fast it is, into benches/results/; on a machine that does nothing else
	@$(CLUSTER) build
	@KUBERNETES_VERSION=1.35.4 $(CLUSTER) build
	@scripts/bench

sbom: ## what is in the program, as CycloneDX: target/release/rempart_bin.cdx.json
	cargo install --quiet --locked --root .local --version 0.5.9 cargo-cyclonedx
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .local/bin/cargo-cyclonedx cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps
	mkdir -p target/release && mv rempart_bin.cdx.json target/release/

crds: ## write crds/ from the types
	REMPART_WRITE_CRDS=1 cargo test --locked --lib crds_are_up_to_date

chart: $(CLUSTER) ## write what the chart copies, its table of values, and deploy/rempart.yaml
	@$(CLUSTER) helm >/dev/null
	REMPART_WRITE_CHART=1 cargo test --locked --test it chart::files::what_is_copied_and_made_is_up_to_date

reference: ## write docs/src/reference from the code
	REMPART_WRITE_REFERENCE=1 cargo test --locked --test it docs::reference::the_reference_is_up_to_date

docs: $(MDBOOK) ## the book, into target/book
	$(MDBOOK) build docs

$(MDBOOK):
	cargo install --locked --root .local/mdbook-$(MDBOOK_VERSION) mdbook --version $(MDBOOK_VERSION)

$(CLUSTER): $(wildcard tests/cluster/*.go tests/cluster/manifests/*.yaml) tests/cluster/go.mod
	@mkdir -p $(@D)
	go build -C tests/cluster -o $(abspath $@) .

cluster-up: $(CLUSTER) ## an empty control plane, DIR/kubeconfig for an administrator; NODES=n adds n nodes
	@$(CLUSTER) up --dir $(DIR) --nodes $(NODES)

cluster-down: $(CLUSTER) ## end it
	@$(CLUSTER) down --dir $(DIR)

operator-up: build $(CLUSTER) ## the operator against that control plane, as its ServiceAccount; log in DIR/operator.log
	@scripts/operator-up $(DIR)

operator-down: ## end it
	@scripts/operator-down $(DIR)
