# Everything that is done to this repository. Needs Go, git and make; the tools come pinned from tools/ and are built on first use.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory

# A go.work of the developer's would change which versions are built and linted.
export GOWORK := off

TOOL := go tool -modfile=$(CURDIR)/tools/go.mod
# Committed or not, so that a new file is checked before its first commit.
LS := git ls-files --cached --others --exclude-standard --deduplicate
GREP := git grep --untracked --extended-regexp
MODULES = $(or $(wildcard $(shell $(LS) -- '*go.mod')),$(error No go.mod found: this must be a git checkout))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve the example cluster of examples/shop
	go run ./cmd/netpold serve --manifests examples/shop --log-format text

.PHONY: kind
kind: ## Install netpold in a kind cluster and ask it two questions; needs docker, kind, kubectl and helm
	@examples/kind/run.sh

.PHONY: build
build: ## Build bin/netpold, static; its version is the commit's, as the go command stamps it
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -o bin/netpold ./cmd/netpold

.PHONY: test
test: ## Run the tests that need nothing but Go
	go test ./...

.PHONY: test-race
test-race: ## The same under the race detector, which needs a C compiler
	@command -v $$(go env CC | cut -d' ' -f1) >/dev/null || { echo 'The race detector needs a C compiler: install gcc or clang, or run "make test".' >&2; exit 1; }
	CGO_ENABLED=1 go test -race ./...

# The first run builds etcd and the API server, which takes minutes. One package at a time: its servers take the machine as it is.
.PHONY: test-kube
test-kube: ## Run the tests against a real API server, which is built on first use
	@echo '== Building etcd and the API server: 13 minutes from empty caches on two cores, seconds afterwards'; \
	go -C test/kube/servers build -trimpath -ldflags='-s -w' -o ../bin/ ./etcd ./apiserver; \
	echo "== Built after $$SECONDS s. Building the tests: 2 minutes from empty caches"; \
	go -C test/kube test -count=1 -run '^$$' ./... >/dev/null; \
	echo "== Built after $$SECONDS s. Running them, in 6 to 9 minutes"; \
	(cd test/kube && $(TOOL) gotestsum --format testname -- -count=1 -p 1 -timeout 60m ./...); \
	echo "== Done after $$SECONDS s"

# Beside the benchmarks of other evaluators: that all agree, and where they are known to differ.
.PHONY: test-peers
test-peers: ## Run the tests of bench/peers
	go test -C bench/peers ./...
	go test -C bench/peers/kube ./...

.PHONY: test-load
test-load: ## Run the tests of bench/load, which drive netpold at a few calls a second
	go test -C bench/load ./...

# Without the services that build.sh builds: netpold, and OPA as a library.
.PHONY: test-services
test-services: ## Run the tests of bench/services: that services asked beside netpold are told the same cluster
	go test -C bench/services ./...

# Each runs in both address families, with Pods on one Node and on two.
.PHONY: test-conformance
test-conformance: ## Run the conformance suites of sigs.k8s.io/network-policy-api
	go test -C test/conformance ./...
	go test -C test/conformance/anp ./...

# Without a browser the tests are skipped, and pass.
.PHONY: test-report
test-report: ## Run the tests of the HTML report in a headless Chromium
	go test -C test/report -count=1 ./...
	@for name in chromium chromium-browser google-chrome chrome; do \
		if command -v $$name >/dev/null; then exit; fi; \
	done; \
	echo '*** THE HTML REPORT IS NOT TESTED: there is no browser. Install chromium. ***' >&2

# Caddy is built on first use, Envoy is a download of 37 MB. What cannot be had is said, and its tests are skipped.
.PHONY: test-proxies
test-proxies: ## Run real proxies with the files of deploy/examples: Envoy, nginx, Caddy, HAProxy
	@test/proxies/fetch.sh
	go test -C test/proxies -count=1 ./...

# The bounds on time are of a machine with two cores that has little else to do.
.PHONY: test-hostile
test-hostile: ## Attack netpold as callers may, at the limits of the Helm chart, while an innocent one asks; needs Linux
	go test -C test/hostile -count=1 ./...

# Every pair of ends is asked about and opened for real. What it needs and this machine lacks is said last, where it is seen.
REALITY_TOOLS := ip iptables ip6tables ipset nsenter unshare
.PHONY: test-reality
test-reality: ## Compare netpold with real packets under a real network plugin; needs root, iproute2, iptables, ipset
	go test -C test/reality -count=1 -timeout 30m -v ./... | grep -vE '^=== '
	@missing=; for name in $(REALITY_TOOLS); do command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	[ "$$(id -u)" = 0 ] || missing="$$missing root"; \
	[ -n "$$missing" ] || unshare --net true 2>/dev/null || missing=' the right to make network namespaces'; \
	[ -z "$$missing" ] || echo "*** NOT TESTED AGAINST REAL PACKETS: missing$$missing." \
		'Be root and install iproute2, iptables, ipset and util-linux. ***' >&2

.PHONY: check
check: generate-diff lint test-race test-peers test-load test-services test-conformance test-report test-proxies test-hostile test-kube test-reality ## All that CI runs

# What is generated: Go from the .proto files, the kustomize bases from the Helm chart, the chart's settings from the flags.
GENERATED := proto/*.pb.go deploy/kustomize/* deploy/helm/netpold/values.schema.json
define write-generated
	$(TOOL) buf generate -o "$$tmp"; \
	go -C test/kube run ./cmd/generate $(CURDIR) "$$tmp"
endef

.PHONY: generate
generate: ## Write the generated files anew: Go of the .proto files, kustomize bases, settings of the chart
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	$(TOOL) buf generate -o "$$tmp" && find proto -name '*.pb.go' -delete && cp -R "$$tmp"/. . && \
	go -C test/kube run ./cmd/generate $(CURDIR) "$$tmp" && rm -rf deploy/kustomize && cp -R "$$tmp"/. .

# Compares with a fresh copy outside the tree, so it neither changes the tree nor asks it to be committed.
.PHONY: generate-diff
generate-diff: ## Fail when generated files are not what "make generate" writes
	@tmp=$$(mktemp -d); now=$$(mktemp -d); trap 'rm -rf "$$tmp" "$$now"' EXIT; \
	$(write-generated); \
	find $(wildcard proto deploy/kustomize deploy/helm/netpold) -type f \( $(foreach path,$(GENERATED),-path '$(path)' -o) -false \) \
		| tar -cf - -T - | tar -xf - -C "$$now"; \
	diff -ru "$$now" "$$tmp" || { echo 'Generated files are out of date: run "make generate" and commit what it changes.' >&2; exit 1; }

.PHONY: lint
lint: lint-go lint-mod lint-proto lint-vuln ## Lint Go, modules and proto, look for known vulnerabilities; "make fix" mends what can be mended

# Every module but the tools, which have no code.
.PHONY: lint-go
lint-go:
	@for mod in $(MODULES); do \
		dir=$$(dirname $$mod); \
		[ -n "$$(go -C $$dir list -e -f '{{range .GoFiles}}x{{end}}{{range .TestGoFiles}}x{{end}}{{range .XTestGoFiles}}x{{end}}' ./... )" ] || continue; \
		echo "golangci-lint $$dir"; \
		(cd $$dir && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || failed=1; \
	done; \
	[ -z "$${failed-}" ]

.PHONY: lint-mod
lint-mod:
	@for mod in $(MODULES); do \
		echo "go mod tidy $$(dirname $$mod)"; \
		go -C $$(dirname $$mod) mod tidy -diff | sed -n 1,40p || { echo "$$mod is not tidy: run \"make fix\"." >&2; failed=1; }; \
	done; \
	[ -z "$${failed-}" ]

# A caller's client of yesterday must keep working. The yardstick is the main branch as published; on main itself, the commit before.
.PHONY: lint-proto
lint-proto:
	@echo 'buf lint'; \
	$(TOOL) buf lint; \
	base=; \
	for ref in origin/main main; do \
		base=$$(git rev-parse --verify --quiet "$$ref^{commit}") && break || true; \
	done; \
	if [ -n "$$base" ] && [ "$$base" = "$$(git rev-parse HEAD)" ] && git diff --quiet HEAD -- proto; then \
		base=$$(git rev-parse --verify --quiet HEAD^ || true); \
	fi; \
	if [ -z "$$base" ] || ! git cat-file -e "$$base:proto" 2>/dev/null || ! git cat-file -e "$$base:buf.yaml" 2>/dev/null; then \
		echo 'buf breaking: no earlier commit has the proto'; exit 0; \
	fi; \
	echo "buf breaking $$(git rev-parse --short $$base)"; \
	tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	git archive "$$base" buf.yaml proto | tar -x -C "$$tmp"; \
	$(TOOL) buf breaking --against "$$tmp"

# What netpold calls and is known to be vulnerable. GOVULNDB names another database than the one of the Go project.
.PHONY: lint-vuln
lint-vuln:
	@echo govulncheck
	@rc=0; found=$$($(TOOL) govulncheck -db "$${GOVULNDB:-https://vuln.go.dev}" ./... 2>&1) || rc=$$?; \
	case "$$rc:$$found" in \
	0:*) ;; \
	1:*'fetching vulnerabilities'*) \
		printf '%s\n' "$$found" '*** NOT LOOKED FOR KNOWN VULNERABILITIES: their database cannot be had. GOVULNDB may name a copy. ***' >&2;; \
	*) printf '%s\n' "$$found" >&2; exit 1;; \
	esac

.PHONY: fix
fix: ## Format, tidy and apply the fixes that linters know
	@for mod in $(MODULES); do \
		dir=$$(dirname $$mod); \
		go -C $$dir mod tidy; \
		[ -n "$$($(LS) -- "$$dir/*.go")" ] || continue; \
		(cd $$dir && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml --fix ./...) || failed=1; \
	done; \
	[ -z "$${failed-}" ]

# Six runs are the fewest from which benchstat gives a 95% interval.
COUNT ?= 6
BENCH ?= .
# A saved bin/bench.txt to compare with.
BASE ?=
.PHONY: bench
bench: ## Run the benchmarks COUNT times (BENCH=regexp selects, BASE=file compares)
	@dirs=$$($(GREP) -l '^func Benchmark[A-Z]' -- '*_test.go' ':!bench/peers' | xargs -r -n1 dirname | sort -u || true); \
	[ -n "$$dirs" ] || { echo 'No benchmarks yet.'; exit 0; }; \
	mkdir -p bin; \
	for dir in $$dirs; do \
		go -C $$dir test -run '^$$' -bench '$(BENCH)' -benchmem -count=$(COUNT) .; \
	done | tee bin/bench.txt; \
	$(TOOL) benchstat $(BASE) bin/bench.txt

# A million Pods and 100,000 policies beside the usual sizes; 6 GB of memory and some minutes.
.PHONY: bench-large
bench-large: ## Run the engine's benchmarks of decisions, builds and changes up to a million Pods
	NETPOLD_BENCH_LARGE=1 go test ./engine -run '^$$' -bench '^Benchmark(Allowed|IPv6|Build|Apply|Memory)$$/$(BENCH)' -benchmem -timeout 60m

# Once each: the largest take seconds to minutes.
.PHONY: bench-audit
bench-audit: ## Run the benchmarks of lists and lints once
	go test ./audit -run '^$$' -bench '$(BENCH)' -benchmem -benchtime 1x -timeout 60m

# In processes of their own, one after another; minutes. PEERS_FLAGS="-sizes 10kPods-1kPolicies" measures less, "-help" lists the flags.
PEERS_FLAGS ?=
.PHONY: bench-peers
bench-peers: ## Print the table of netpold beside other evaluators of NetworkPolicy
	@mkdir -p bin; \
	go -C bench/peers build -o $(CURDIR)/bin/bench-peers ./table; \
	bin/bench-peers $(PEERS_FLAGS)

# The first run builds the services, which takes tens of minutes; then some minutes, on the loopback, with nothing else beside.
# SERVICES_FLAGS="-size 10kPods-1kPolicies" has a larger cluster, "-help" lists the flags.
SERVICES_FLAGS ?=
.PHONY: bench-services
bench-services: build ## Print the tables of netpold beside services that decide about authorization in general
	@bench/services/build.sh; \
	go -C bench/services build -o $(CURDIR)/bin/bench-services .; \
	bin/bench-services $(SERVICES_FLAGS)

# Two minutes, on the loopback; nothing else should run beside. LOAD_FLAGS="-size 10kPods-1kPolicies" has a larger cluster, "-help" lists the flags.
LOAD_FLAGS ?=
.PHONY: loadtest
loadtest: build ## Print what a server on this machine bears: calls, latencies, CPU and memory at rising rates
	@go -C bench/load build -o $(CURDIR)/bin/bench-load .; \
	bin/bench-load $(LOAD_FLAGS)

# go test fuzzes one target at a time.
FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, one by one
	@targets=$$($(GREP) -o '^func Fuzz[A-Z0-9_][A-Za-z0-9_]*' -- '*_test.go' | sort || true); \
	[ -n "$$targets" ] || { echo 'No fuzz targets yet.'; exit 0; }; \
	while IFS=: read -r file func; do \
		name=$${func#func }; \
		echo "$$file $$name"; \
		go -C $$(dirname $$file) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x . </dev/null; \
	done <<<"$$targets"

.PHONY: clean
clean: ## Remove what the targets above built
	rm -rf bin
