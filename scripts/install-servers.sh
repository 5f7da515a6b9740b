#!/bin/bash
# install-servers.sh [NAME...]: has the programs that Debian does not have, or
# not alone, and that tests run against: versitygw (S3), fake-gcs-server (Google
# Cloud Storage), azurite (Azure Blob), and promtool, which reads Prometheus'
# rules and metrics; without a name all of them. They are built or installed
# once, pinned, into $PGVAULT_TEST_CACHE, by default ~/.cache/pgvault-test. What is there in the right version is left alone, and
# no network is used then. Each appears whole or not at all; a second call waits
# for the first.
set -euo pipefail
azurite_files=$(cd "$(dirname "$0")/azurite" && pwd)
cache=${PGVAULT_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pgvault-test}

versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
fake_gcs_server=github.com/fsouza/fake-gcs-server@v1.56.1

mkdir -p "$cache/bin"
exec 9>"$cache/.lock"
flock 9
rm -rf "$cache"/.work-* # of a call that was killed
work=$(mktemp -d "$cache/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT

# A Go program says itself which version of its module it was built from.
go_program() { # NAME PACKAGE@VERSION
	local at=$cache/bin/$1 version=${2#*@} module=${2%@*} built
	module=${module%/cmd/*}
	built=$(go version -m "$at" 2>/dev/null || true)
	if [[ $built == *$'\tmod\t'"$module"$'\t'"$version"$'\t'* ]]; then
		return
	fi
	echo "building $1 $version, once, into $cache" >&2
	# Outside of this module, whose settings do not hold there.
	(cd "$work" && env -u GOOS -u GOARCH -u GOWORK GOBIN="$work" CGO_ENABLED=0 \
		GOFLAGS="$(go env GOFLAGS | tr ' ' '\n' | grep -v '^-mod' | tr '\n' ' ')" go install -trimpath "$2")
	mv -f "$work/$1" "$at"
}

azurite() {
	local at=$cache/azurite want
	if [ -x "$at/node_modules/.bin/azurite-blob" ] && cmp -s "$azurite_files/package-lock.json" "$at/package-lock.json"; then
		return
	fi
	want=$(sed -n 's/.*"azurite": "\([0-9.]*\)".*/\1/p' "$azurite_files/package.json")
	echo "installing azurite $want, once, into $cache" >&2
	mkdir "$work/azurite"
	cp "$azurite_files"/package*.json "$work/azurite"
	# Exactly what the lock file names, each package compared with its digest.
	if ! (cd "$work/azurite" && npm ci --ignore-scripts --omit=dev --no-audit --no-fund) >"$work/log" 2>&1; then
		tail -n 20 "$work/log" >&2
		return 1
	fi
	if [ "$("$work/azurite/node_modules/.bin/azurite-blob" --version)" != "$want" ]; then
		echo "azurite does not run with $(command -v node) $(node --version)" >&2
		return 1
	fi
	if [ -e "$at" ]; then mv "$at" "$work/old"; fi
	mv "$work/azurite" "$at"
}

# Debian has promtool only together with Prometheus, a service that would start
# here: it is taken out of the package, which apt compares with what is signed.
promtool() {
	local at=$cache/bin/promtool
	if [ -x "$at" ] || type -P promtool >/dev/null; then
		return
	fi
	echo "taking promtool out of Debian's package prometheus, once, into $cache" >&2
	mkdir "$work/prometheus"
	if ! (cd "$work/prometheus" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }) >"$work/log" 2>&1; then
		tail -n 20 "$work/log" >&2
		echo "install promtool by hand, where PATH finds it" >&2
		return 1
	fi
	dpkg-deb --extract "$work"/prometheus/prometheus_*.deb "$work/prometheus"
	"$work/prometheus/usr/bin/promtool" --version >/dev/null
	mv -f "$work/prometheus/usr/bin/promtool" "$at"
}

[ $# -gt 0 ] || set -- versitygw fake-gcs-server azurite promtool
for name in "$@"; do
	case $name in
	versitygw) go_program versitygw "$versitygw" ;;
	fake-gcs-server) go_program fake-gcs-server "$fake_gcs_server" ;;
	azurite) azurite ;;
	promtool) promtool ;;
	*)
		echo "usage: install-servers.sh [versitygw|fake-gcs-server|azurite|promtool]..." >&2
		exit 64
		;;
	esac
done
