# `make help` lists the targets.
SHELL := /bin/bash
GO    ?= go
# Building inside a checkout that another user owns must not fail on asking git about it.
export GOFLAGS += -buildvcs=false

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/signalbox, bin/quantum and bin/demo
	@mkdir -p bin
	$(GO) build -o bin/ ./cmd/... ./tests/demo

.PHONY: demo
demo: root install build ## three hosts, VMs, a router, a floating IP reached from outside; leaves it all running
	@bin/demo up

.PHONY: demo-down
demo-down: root build ## end the demo
	@bin/demo down

.PHONY: test
test: root install ## everything: units, real switches, packets (needs root; minutes)
	$(GO) test -tags integration -p 2 -timeout 30m ./...

.PHONY: unit
unit: ## what needs neither root nor Open vSwitch nor PostgreSQL (seconds)
	$(GO) test ./...

.PHONY: bench
bench: root install build ## the figures, each beside its yardstick
	$(GO) run ./tests/bench

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags integration ./...
	$(GO) tool staticcheck -tags integration ./...

.PHONY: fuzz
fuzz: ## every fuzz target, five seconds each
	@GO=$(GO) tests/fuzz.sh 5s

.PHONY: goldens
goldens: ## rewrite the golden flows and the generated documents; review the difference
	$(GO) test -tags integration ./flowpipeline ./cmd/quantum -update
	$(GO) test ./apiserver -run TestReference -update

.PHONY: install
install: ## install what demo and test stand on, where it is missing (apt)
	@tests/setup/install.sh

.PHONY: root
root:
	@[ "$$(id -u)" = 0 ] || { echo "This makes network namespaces and needs root: sudo env PATH=\"$$PATH\" make $(MAKECMDGOALS)" >&2; exit 1; }
