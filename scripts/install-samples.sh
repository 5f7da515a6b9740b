#!/bin/bash
# install-samples.sh [MAJOR]: has the published sample database that tests load:
# PostgreSQL's own regression tests, which leave a database of several schemas
# with nearly every kind of object behind. They come from Debian's source
# package of the newest installed PostgreSQL, or of MAJOR, in the newest version
# that a mirror of this machine's apt gives now, and are kept in
# $PGVAULT_TEST_CACHE, by default ~/.cache/pgvault-test. What is there is left
# alone, and no network is used then. It appears whole or not at all; a second
# call waits for the first.
set -euo pipefail
cache=${PGVAULT_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pgvault-test}

major=${1-}
if [ -z "$major" ]; then
	major=$(for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
		[ ! -x "$initdb" ] || "$initdb" --version | sed -n 's/.* \([0-9]*\).*/\1/p'
	done | sort -n | tail -n 1)
fi
if ! [[ $major =~ ^[0-9]+$ ]]; then
	echo "usage: install-samples.sh [MAJOR]; without MAJOR a PostgreSQL must be installed" >&2
	exit 64
fi
at=$cache/regress-$major
[ ! -e "$at/parallel_schedule" ] || exit 0
for need in apt-get tar bzip2; do
	command -v "$need" >/dev/null || { echo "install-samples.sh: $need is missing" >&2; exit 1; }
done

mkdir -p "$cache"
exec 9>"$cache/.lock-samples"
flock 9
[ ! -e "$at/parallel_schedule" ] || exit 0
rm -rf "$cache"/.samples-* # of a call that was killed
work=$(mktemp -d "$cache/.samples-XXXXXX")
trap 'rm -rf "$work"' EXIT

# An apt of its own, that asks the mirrors of Debian which this machine's apt
# has for their sources: most machines have only binary packages listed. The
# options come after the machine's configuration, so a proxy set there is used.
mkdir -p "$work"/etc "$work"/state/lists/partial "$work"/cache/archives/partial
: >"$work/status"
# shellcheck disable=SC2016 # apt fills in the names
apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
	grep -E '/debian(-security)?/? ' | sort -u |
	sed 's|.*|deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & main|' >"$work/etc/sources.list"
if [ ! -s "$work/etc/sources.list" ]; then
	echo "install-samples.sh: no mirror of Debian among apt's sources" >&2
	exit 1
fi
options=()
for option in "Dir::Etc=$work/etc" Dir::Etc::sourceparts=- "Dir::State=$work/state" "Dir::State::status=$work/status" \
	"Dir::Cache=$work/cache" APT::Sandbox::User= Acquire::Languages=none; do
	options+=(-o "$option")
done
echo "fetching the regression tests of PostgreSQL $major, once, into $cache" >&2
apt-get -qq "${options[@]}" update >&2
# Newest first: a mirror may list a version and not keep its source.
versions=$(apt-cache "${options[@]}" showsrc --only-source "postgresql-$major" 2>/dev/null | sed -n 's/^Version: //p' | sort -rVu)
tar=
for version in $versions; do
	if (cd "$work" && apt-get -qq "${options[@]}" --tar-only --only-source source "postgresql-$major=$version") >"$work/log" 2>&1; then
		tar=$(find "$work" -maxdepth 1 -name "postgresql-${major}_*.orig.tar.*" | head -n 1)
		break
	fi
done
if [ -z "$tar" ]; then
	[ ! -e "$work/log" ] || tail -n 5 "$work/log" >&2
	echo "install-samples.sh: no mirror gave the source of postgresql-$major" >&2
	exit 1
fi

mkdir "$work/all"
tar -xf "$tar" -C "$work/all" --strip-components=1 --wildcards '*/COPYRIGHT' '*/src/test/regress/*'
mkdir "$work/new"
mv "$work/all/COPYRIGHT" "$work"/all/src/test/regress/{sql,data,parallel_schedule} "$work/new"
basename "$tar" >"$work/new/FROM"
chmod -R go+rX "$work/new"
rm -rf "$at"
mv "$work/new" "$at"
