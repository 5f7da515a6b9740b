#!/bin/bash
# test-matrix.sh [MAJOR...]: runs all tests of pg and pg/dumpfile, those named
# Matrix elsewhere, and what depends most on the server's version, against the server
# and client programs of PostgreSQL 13, 17 and 18, or of the majors given; then
# those named Chain, which go from each of these versions, and those that
# are installed, to every newer one. The programs are fetched once and kept
# below MATRIX_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A suite=([13]=bullseye [17]=trixie [18]=forky)
if [ "$(id -u)" -eq 0 ]; then
	# Tests started by root run the server as another user, who must be able to
	# enter the folder; root's own cache is closed to others.
	dir=${MATRIX_DIR:-/var/cache/pgvault}
else
	dir=${MATRIX_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pgvault}
fi

majors=("$@")
[ $# -gt 0 ] || majors=(13 17 18)
versions='Matrix|Switch(AndUndo|Believes|Killed|Fails)|IntoSchema|^TestTables|Partitions|RolesAs|Globals|^TestRecover|^TestPlan|Unmade|UnfitSetting|GoneExt'
chain=() # MAJOR:FOLDER of the programs
for bin in /usr/lib/postgresql/*/bin; do
	if [ -x "$bin/postgres" ]; then
		major=${bin#/usr/lib/postgresql/}
		chain+=("${major%/bin}:$bin")
	fi
done
failed=()
for major in "${majors[@]}"; do
	if [ -z "${suite[$major]-}" ]; then
		echo "test-matrix.sh: no release of Debian is known for PostgreSQL $major" >&2
		exit 64
	fi
	bin=$(scripts/get-postgres.sh "${suite[$major]}" "$major" "$dir/postgresql-$major" | tail -n 1)
	chain+=("$major:$bin")
	echo "== $("$bin/postgres" --version)"
	log=$(mktemp)
	export PGVAULT_TEST_BINDIR=$bin
	if ! { go test -count=1 -timeout 20m ./pg/dumpfile ./pg && go test -count=1 -timeout 20m -v -run "$versions" ./vault ./sample; } >"$log" 2>&1; then
		cat "$log"
		failed+=("$major")
	else
		grep -E '^(--- |ok )' "$log"
		# A room whose tests no longer fit the pattern must not pass for a success.
		if grep -q 'no tests to run' "$log"; then failed+=("$major"); fi
	fi
	rm -f "$log"
done
unset PGVAULT_TEST_BINDIR
mapfile -t chain < <(printf '%s\n' "${chain[@]}" | sort -n -u)
PGVAULT_TEST_CHAIN=$(IFS=$'\n' && echo "${chain[*]#*:}" | paste -s -d :)
export PGVAULT_TEST_CHAIN
echo "== from each to every newer: ${chain[*]%%:*}"
log=$(mktemp)
if ! go test -count=1 -timeout 20m -v -run '^TestChain(OfVersions|Import|Recover|Locale|Unfit)' ./vault >"$log" 2>&1 || grep -q 'no tests to run' "$log"; then
	cat "$log"
	failed+=(chain)
else
	grep -E '^(--- |    --- |ok )' "$log"
fi
rm -f "$log"
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed with PostgreSQL: ${failed[*]}" >&2
	exit 1
fi
