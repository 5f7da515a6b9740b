#!/bin/bash
# install-deps.sh PURPOSE: has what a make target needs beside Go: demo, test,
# lint, bench, matrix or screenshots. When all of it is there, nothing is
# installed and no network is used. Otherwise Debian's packages are installed, as
# root or with a sudo that asks no password; or one line says what to install,
# with status 1.
set -euo pipefail

# A package is missing when the command that it is wanted for is not found.
missing=()
want() { command -v "$2" >/dev/null || missing+=("$1"); }
want_sshd() { [ -x /usr/sbin/sshd ] || want openssh-server sshd; }
want_postgres() {
	local initdb
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
		[ -x "$initdb" ] && return
	done
	want postgresql initdb
}
want_font() {
	[ -e /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf ] || missing+=(fonts-dejavu-core)
}

case ${1-} in
demo)
	want_postgres
	;;
test)
	want_postgres
	want age age
	want age age-keygen
	want zstd zstd
	want bzip2 bzip2
	want openssh-client ssh-keygen
	want tmux tmux
	want procps pkill
	want_sshd
	want nodejs node
	want npm npm
	want systemd systemd-analyze
	;;
lint)
	want shellcheck shellcheck
	;;
bench)
	want_postgres
	want age age
	want zstd zstd
	want openssh-client ssh-keygen
	want_sshd
	want rclone rclone
	;;
matrix)
	want_postgres
	want patchelf patchelf
	;;
screenshots)
	want_postgres
	want postgresql-client psql
	want tmux tmux
	want aha aha
	want chromium chromium
	want_font
	;;
*)
	echo "usage: install-deps.sh demo|test|lint|bench|matrix|screenshots" >&2
	exit 64
	;;
esac
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo -n)
	if ! sudo -n true 2>/dev/null; then missing_why="no root and no sudo without a password"; fi
fi
command -v apt-get >/dev/null || missing_why="no apt-get on this system"
if [ -n "${missing_why-}" ]; then
	echo "$missing_why; please install: ${missing[*]} (on Debian: apt-get install ${missing[*]})" >&2
	exit 1
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null; }

echo "installing from Debian: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Debian's postgresql makes a cluster "main" and starts it. pgvault needs only
# the programs, so that is switched off while the package is being installed.
switch=/etc/postgresql-common/createcluster.d/pgvault-install.conf
policy=/usr/sbin/policy-rc.d
install() {
	apt update && apt install --no-install-recommends ca-certificates || return
	if [[ " ${missing[*]} " == *" postgresql "* ]]; then
		apt install --no-install-recommends postgresql-common || return
		"${as_root[@]}" mkdir -p "${switch%/*}"
		trap 'rm -f "$log"; "${as_root[@]}" rm -f "$switch"' EXIT
		echo "create_main_cluster = false" | "${as_root[@]}" tee "$switch" >/dev/null
	fi
	if [[ " ${missing[*]} " == *" openssh-server "* ]]; then
		keep_sshd_down || return
	fi
	apt install --no-install-recommends "${missing[@]}"
}

# Debian's openssh-server starts a server and lets it start at each boot. Tests
# start their own: the machine's own is neither started nor enabled.
keep_sshd_down() {
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$log"; "${as_root[@]}" rm -f "$switch" "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
		"${as_root[@]}" chmod 755 "$policy"
	fi
	apt install --no-install-recommends openssh-server || return
	"${as_root[@]}" update-rc.d ssh disable
}

if ! install >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "apt-get failed (above); please install: ${missing[*]}" >&2
	exit 1
fi
