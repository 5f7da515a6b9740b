#!/bin/bash
# fuzz.sh TIME: runs every fuzz target of the module for TIME each.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while IFS=: read -r file target; do
	found=1
	echo "fuzzing $target in ${file%/*} for $1"
	go test "./${file%/*}" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x
done < <(grep -RoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|^\./||; s|func ||')
if [ "$found" = 0 ]; then
	echo "no fuzz target found" >&2
	exit 1
fi
