#!/bin/bash
# test-matrix.sh [MAJOR...]: runs all tests of pg and pg/dumpfile, and those
# named Matrix elsewhere, against the server and client programs of PostgreSQL
# 13, 17 and 18, or of the majors given. The
# programs are fetched once and kept below MATRIX_DIR.
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
failed=()
for major in "${majors[@]}"; do
	if [ -z "${suite[$major]-}" ]; then
		echo "test-matrix.sh: no release of Debian is known for PostgreSQL $major" >&2
		exit 64
	fi
	bin=$(scripts/get-postgres.sh "${suite[$major]}" "$major" "$dir/postgresql-$major" | tail -n 1)
	echo "== $("$bin/postgres" --version)"
	log=$(mktemp)
	export PGVAULT_TEST_BINDIR=$bin
	if ! { go test -count=1 -timeout 20m ./pg/dumpfile ./pg && go test -count=1 -timeout 20m -v -run Matrix ./vault ./sample; } >"$log" 2>&1; then
		cat "$log"
		failed+=("$major")
	else
		grep -E '^(--- |ok )' "$log"
		# A room whose tests no longer fit the pattern must not pass for a success.
		if grep -q 'no tests to run' "$log"; then failed+=("$major"); fi
	fi
	rm -f "$log"
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed with PostgreSQL: ${failed[*]}" >&2
	exit 1
fi
