#!/bin/bash
# bench.sh: measures bin/pgvault against today's pipelines; see bench/main.go.
#   BENCH_SIZE=1.5GB  uncompressed size of the dump    BENCH_RUNS=5  runs of every case
#   BENCH_BIG=1       memory at 10 times the size too  BENCH_DIR=    keep the cluster there
#   BENCH_ARCHIVES=10000  archives in the vault whose listing is measured
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
args=(-bin-dir "$bin" -size "${BENCH_SIZE:-1.5GB}" -runs "${BENCH_RUNS:-5}" -pgvault bin/pgvault)
[ -z "${BENCH_BIG-}" ] || args+=(-big)
[ -z "${BENCH_DIR-}" ] || args+=(-dir "$BENCH_DIR")
# Listing 10 000 archives: cold, asked again, and from memory.
BENCH_ARCHIVES="${BENCH_ARCHIVES:-10000}" go test ./vault -run '^$' -bench Listing -benchtime 5x
exec go run ./bench "${args[@]}" "$@"
