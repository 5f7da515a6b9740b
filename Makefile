# What a newcomer runs is `make demo` and `make test`; Go, make and git are all
# that has to be there before. Every target installs what else it needs.

SHELL   := /bin/bash
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || echo unversioned)
STAMP   := -X pgvault/cli.Version=$(VERSION)

# The binary is static: no C compiler to build it, no library to run it.
export CGO_ENABLED := 0

# More arguments for `go test`, as in: make test TESTFLAGS='-run Restore -v'
TESTFLAGS ?=
FUZZTIME  ?= 20s

.PHONY: build demo test lint bench test-matrix fuzz screenshots clean

build:
	go build -trimpath -buildvcs=false -ldflags '-s -w $(STAMP)' -o bin/pgvault .

demo:
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	@if [ -t 0 ] && [ -t 1 ]; then exec bin/pgvault demo; else exec bin/pgvault demo --no-tui; fi

test:
	@scripts/install-deps.sh test
	@scripts/install-servers.sh
	@scripts/install-samples.sh
	go test -timeout 30m $(TESTFLAGS) ./...

lint:
	@scripts/install-deps.sh lint
	@scripts/lint.sh

bench:
	@scripts/install-deps.sh bench
	@scripts/install-servers.sh versitygw
	@$(MAKE) --no-print-directory build
	@scripts/bench.sh

test-matrix:
	@scripts/install-deps.sh matrix
	@scripts/test-matrix.sh

fuzz:
	@scripts/fuzz.sh $(FUZZTIME)

screenshots:
	@scripts/install-deps.sh screenshots
	@$(MAKE) --no-print-directory build
	@scripts/screenshots.sh

clean:
	rm -rf bin
