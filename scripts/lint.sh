#!/bin/bash
# lint.sh: gofmt, go vet, staticcheck (staticcheck.conf) and shellcheck over the
# whole tree. The import directions are a test: deps_test.go.
set -euo pipefail
cd "$(dirname "$0")/.."

# Pinned here and run by its own version, so that go.mod lists only what the
# binary is made of.
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'not as gofmt writes it:\n%s\n' "$unformatted" >&2
	exit 1
fi
go vet ./...
go run "$staticcheck" ./...
shellcheck .ci/run scripts/*.sh
