#!/bin/bash
# get-postgres.sh SUITE MAJOR DIR: server and client programs of PostgreSQL MAJOR
# as Debian's release SUITE has them, below DIR, beside whatever this machine has
# installed. The last line of the output is the folder of the programs.
#
# The packages are unpacked, never installed, so nothing outside DIR changes and
# root is not needed. Each program is told to use the C library and the other
# libraries of its own release: that is what patchelf is for. Bullseye has 13,
# trixie 17, forky 18.
set -euo pipefail
umask 022 # a server may run as another user than the one who unpacks it

if [ $# -ne 3 ]; then
	echo "usage: get-postgres.sh SUITE MAJOR DIR" >&2
	exit 64
fi
suite=$1 major=$2
mkdir -p "$3"
dir=$(cd "$3" && pwd)
programs=$dir/root/usr/lib/postgresql/$major/bin

if "$programs/postgres" --version >/dev/null 2>&1; then
	echo "$programs"
	exit 0
fi
for need in apt-get dpkg-deb patchelf; do
	command -v "$need" >/dev/null || { echo "get-postgres.sh: $need is missing" >&2; exit 1; }
done

# The mirror is the one that this machine's apt has for Debian itself.
# shellcheck disable=SC2016 # apt fills in $(REPO_URI)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | sort -u | head -n 1 || true)
if [ -z "$mirror" ]; then
	echo "get-postgres.sh: no mirror of Debian among apt's sources" >&2
	exit 1
fi

# An apt of its own, with no installed package and no other source. The options
# come after the machine's configuration, so a proxy set there is used.
own=$dir/apt
rm -rf "$own" "$dir/root.new"
mkdir -p "$own"/etc "$own"/state/lists/partial "$own"/cache/archives/partial
: >"$own/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$own/etc/sources.list"
options=()
for option in "Dir::Etc=$own/etc" Dir::Etc::sourceparts=- "Dir::State=$own/state" "Dir::State::status=$own/status" \
	"Dir::Cache=$own/cache" APT::Sandbox::User= APT::Install-Recommends=false Acquire::Languages=none; do
	options+=(-o "$option")
done
apt-get -qq "${options[@]}" update >&2
apt-get -qq "${options[@]}" --download-only install "postgresql-$major" "postgresql-client-$major" libc6 >&2

# Everything is prepared in root.new and renamed in the end: a folder "root" is
# always a whole one.
new=$dir/root.new
mkdir "$new"
for deb in "$own"/cache/archives/*.deb; do
	case $(basename "$deb") in
	# what only the installation of a package needs, and the JIT compiler
	adduser_* | cron* | debconf* | dpkg_* | libllvm* | libperl* | libz3-* | locales* | logrotate_* | passwd_* | perl* | \
		postgresql-client-common_* | postgresql-common* | sensible-utils_* | ssl-cert_* | tar_* | ucf_*) ;;
	*) dpkg-deb -x "$deb" "$new" ;;
	esac
done
rm -rf "$new"/usr/share/{doc,lintian,locale,man} "$own"
# With the JIT provider but without its compiler, a costly query would fail;
# without both the server runs it uncompiled.
rm -rf "$new/usr/lib/postgresql/$major/lib"/{llvmjit*,bitcode}

# Older releases keep the C library and its loader in /lib, newer ones in
# /usr/lib; a link in /lib64 would lead out of the folder.
final() { echo "$dir/root${1#"$new"}"; }
folder_of() { dirname "$(find "$new/lib" "$new/usr/lib" -name "$1" 2>/dev/null | head -n 1)"; }
libc=$(folder_of libc.so.6)
loader=$(find "$libc" -name 'ld-linux*.so.*' | head -n 1)
libraries=$(final "$libc"):$(final "$(folder_of libpq.so.5)")
is_elf() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }
for file in "$new/usr/lib/postgresql/$major"/bin/* "$new/usr/lib/postgresql/$major"/lib/*.so; do
	is_elf "$file" || continue
	patchelf --force-rpath --set-rpath "$libraries" "$file"
	case $file in */bin/*) patchelf --set-interpreter "$(final "$loader")" "$file" ;; esac
done
rm -rf "$dir/root"
mv "$new" "$dir/root"

"$programs/postgres" --version >&2
"$programs/pg_dump" --version >&2
echo "$programs"
