# make test needs Go and nothing else; as root on Debian it installs what the
# end-to-end tests use, elsewhere it says what is missing and skips them.

SHELL     := bash
TOOLS     := $(CURDIR)/build/tools
GOFILES    = $(shell find . -name '*.go' -not -path '*/node_modules/*')
FRUGAL     = $(shell grep -rl --include='*_test.go' --exclude-dir=node_modules 'func Test.*Allocate' . | xargs -n 1 dirname | sort -u)
FUZZTIME  ?= 30s
BENCHTIME ?= 1s

.PHONY: build test lint deps fuzz soak bench clean

## build: the program, as build/gatecast
build:
	go build -o build/gatecast ./cmd/gatecast

## test: everything that CI checks
test: deps lint
	set -o pipefail; (go test -race -vet=off -count=1 -timeout 20m -json ./... && \
		go test -vet=off -run Allocate -count=1 -json $(FRUGAL)) | $(TOOLS)/testsum # the race detector allocates

## lint: go vet, staticcheck, gofumpt
lint: $(TOOLS)/.built
	go vet ./...
	$(TOOLS)/staticcheck ./...
	@unformatted=$$($(TOOLS)/gofumpt -l $(GOFILES)); \
	if [ -n "$$unformatted" ]; then echo "not gofumpt-clean:"; echo "$$unformatted"; exit 1; fi

## deps: the Debian and npm packages that the end-to-end tests use
deps:
	@tools/debian-deps

$(TOOLS)/.built: tools/go.mod tools/go.sum $(wildcard tools/testsum/*.go)
	GOBIN=$(TOOLS) go -C tools install honnef.co/go/tools/cmd/staticcheck mvdan.cc/gofumpt ./testsum
	@touch $@

## fuzz: each fuzz test for FUZZTIME
fuzz:
	@set -e; for package in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

## soak: the kill, power-cut and stop tests, GATECAST_SOAK times as many rounds (20), and real clusters
soak: export GATECAST_SOAK ?= 20
soak: deps
	go test -race -count=1 -timeout 4h -v -run 'Survives|PowerCut|Stop' ./e2e
	go test -race -count=1 -timeout 4h -v -run Cluster ./internal/bucket ./internal/ledger ./internal/app

## bench: all benchmarks
bench:
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

clean:
	rm -rf build e2e/stock/node/node_modules
