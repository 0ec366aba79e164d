# Pilot registry. `make help` lists the targets.

GO       ?= go
BIN      := bin
DATA     ?= data
PKGS     := ./integration/... ./...

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build pilot-registry and pilotctl into bin/
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

.PHONY: release-binaries
release-binaries: ## build the programs of a released version into dist/ (VERSION=0.1.0)
	GO=$(GO) deploy/release-binaries.sh $(VERSION)

.PHONY: run
run: build ## start a three-member cluster on this machine (Ctrl-C stops it)
	$(BIN)/pilot-registry dev --members 3 --data-dir $(DATA) --base-port 9000 --admin-token-file $(DATA)/admin-token --ready-file $(DATA)/ready.json

.PHONY: test
test: build check ## everything a change must pass, under 8 minutes on two cores (check has run go vet)
	$(GO) test -timeout 15m -vet=off $(PKGS)
	$(GO) test -tags raftwal -timeout 2m ./cluster/base/store

.PHONY: race
race: ## all tests under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 40m $(PKGS)

.PHONY: e2e
e2e: ## the product page's examples, the search for secrets and longer upgrades, with real receivers and providers
	GO=$(GO) integration/e2e.sh

.PHONY: check-deploy
check-deploy: ## what deploy/ holds, with the tools it is made for: Helm, Compose, dpkg and others
	cd deploy/check && GOWORK=off $(GO) test -count=1 .

.PHONY: lint
lint: ## formatting, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run: gofmt -w .'; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)

.PHONY: check
check: lint ## lint, and what is generated is up to date
	$(GO) run ./docs/gen -check
	$(GO) test -run 'TestHelp|TestManPages' ./cmd/pilotctl ./cmd/pilot-registry

.PHONY: generate
generate: ## write the generated references under docs/, the help and the manual pages
	$(GO) run ./docs/gen
	$(GO) test -run TestHelp ./cmd/pilotctl -update
	$(GO) test -run TestManPages ./cmd/pilotctl -update
	$(GO) test -run TestManPages ./cmd/pilot-registry -update

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list $(PKGS)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; done; done

.PHONY: bench
bench: build ## the benchmark table of a three-member cluster on this machine
	$(GO) run ./integration/bench -registry $(BIN)/pilot-registry

SOAK ?= 10m
export SOAK
.PHONY: soak
soak: ## real processes under load and faults for SOAK (SOAK_SEED=1,2,5-9 picks and resumes seeds)
	$(GO) run ./integration/fault/soak/run

.PHONY: planted
planted: ## plant bugs into a copy of the source and see that the tests notice each
	$(GO) run ./integration/planted

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
