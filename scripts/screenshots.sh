#!/bin/bash
# screenshots.sh: pictures of the main screens for the README, taken from the
# program itself. A demo gives the server and the vault; three small databases
# are added; keys are pressed in tmux, and what is on the screen is drawn by
# aha and a headless Chromium into docs/pictures/*.png.
#
# The pictures name no machine: all runs in a UTS namespace with the host name
# db1. bin/pgvault must be built (make screenshots does).
#   PICTURES_SIZE=100MB  the demo's sample: larger where a backup of it ends before
#                        the picture of the running job is taken
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${PGVAULT_PICTURES-}" != db1 ]; then
	# shellcheck disable=SC2016 # $0 is for the inner shell
	inside=(env PGVAULT_PICTURES=db1 bash -c 'hostname db1 && exec "$0"' "$0")
	if [ "$(id -u)" = 0 ]; then exec unshare --uts "${inside[@]}"; fi
	exec unshare --user --map-current-user --keep-caps --uts "${inside[@]}"
fi

out=docs/pictures
limit=120000 # bytes of a picture
work=$(mktemp -d --tmpdir=/tmp)
demo=$work/demo
export TZ=UTC COLORTERM=truecolor LC_ALL=C.UTF-8 STATE_DIRECTORY=$demo/state
unset TMUX SSH_TTY NO_COLOR

tmux() { command tmux -S "$work/tmux" -f /dev/null "$@"; }
cleanup() {
	tmux send-keys -t demo q 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		tmux has-session -t demo 2>/dev/null || break
		sleep 0.1
	done
	tmux kill-server 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

open() { # NAME PROGRAM ARGS...
	local name=$1
	shift
	tmux new-session -d -s "$name" -x 100 -y 29 "$@"
}
look() { tmux capture-pane -p -t "$1"; }
screen=screen # the one that keys go to
keys() { tmux send-keys -t "$screen" "$@"; }
# shows waits until a screen matches: a demo on a slow machine takes a while.
shows() { # NAME REGEXP
	local i
	for ((i = 0; i < 900; i++)); do
		if look "$1" | grep -qE "$2"; then return; fi
		sleep 0.1
	done
	echo "screenshots: no screen with $2:" >&2
	look "$1" >&2
	return 1
}
# press KEY REGEXP: presses a key and waits for what it brings.
press() {
	keys "$1"
	shows screen "$2"
}

# forward takes a guide to its next step, when it is not looking at something.
forward() { # REGEXP
	local i
	for ((i = 0; i < 900; i++)); do
		look "$screen" | grep -q ' \.\.\.$' || break
		sleep 0.1
	done
	keys Enter
	for ((i = 0; i < 900; i++)); do
		if look "$screen" | grep -qE "$1"; then return; fi
		if look "$screen" | grep -q '^ ! wait: '; then keys Enter; fi
		sleep 0.1
	done
	shows "$screen" "$1"
}
# choose moves down from the first row of a list to the one that matches.
choose() { # REGEXP
	local i
	keys G
	press g '^ > '
	for ((i = 0; i < 20; i++)); do
		if look screen | grep -qE "^ > $1"; then return; fi
		keys Down
		sleep 0.2
	done
	shows screen "^ > $1"
}

# shot draws the screen as it stands now.
shot() { # NAME
	local png=$out/$1.png
	{
		echo '<!doctype html><meta charset="utf-8"><style>body{margin:0;background:#12161b;color:#d8dee9}'
		echo 'pre{margin:12px 16px;font:13px/17px "DejaVu Sans Mono",monospace}</style><pre>'
		tmux capture-pane -e -p -t "$screen" | aha --no-header --black
		echo '</pre>'
	} >"$work/page.html"
	chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --user-data-dir="$work/chromium" --hide-scrollbars \
		--window-size=816,517 --screenshot="$PWD/$png" "file://$work/page.html" >"$work/chromium.log" 2>&1 ||
		{ cat "$work/chromium.log" >&2; return 1; }
	if [ "$(stat -c %s "$png")" -gt "$limit" ]; then
		echo "screenshots: $png is larger than $limit bytes" >&2
		return 1
	fi
	echo "$png"
}

# database NAME ROWS: a small shop of its own in the demo's server.
database() {
	psql -qX -d "$server dbname=postgres" -c "CREATE DATABASE $1"
	psql -qX -d "$server dbname=$1" <<-SQL
		CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, since date NOT NULL);
		CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, placed timestamptz NOT NULL, total numeric(10,2) NOT NULL);
		CREATE TABLE order_lines (ord int NOT NULL REFERENCES orders, line int NOT NULL, item text NOT NULL, amount int NOT NULL, PRIMARY KEY (ord, line));
		INSERT INTO customers SELECT i, 'customer ' || i, date '2020-01-01' + i % 2000 FROM generate_series(1, $2 / 10) i;
		INSERT INTO orders SELECT i, 1 + i % ($2 / 10), timestamptz '2026-01-01' + i * interval '7 minutes', i % 997 + 0.5 FROM generate_series(1, $2) i;
		INSERT INTO order_lines SELECT i, l, 'item ' || (i * l) % 4999, 1 + i % 9 FROM generate_series(1, $2) i, generate_series(1, 3) l;
		CREATE INDEX ON orders (placed);
		ANALYZE;
	SQL
}

open demo bin/pgvault demo --size "${PICTURES_SIZE:-100MB}" --keep "$demo"
shows demo '1 Health'
server=$(sed -n 's/^dbname *= *"\(.*\)"$/\1/p' "$demo/config.toml")
config=$demo/pictures.toml
sed 's/"DEMO"/"PROD"/' "$demo/config.toml" >"$config"
for add in 'billing 2h 30000' 'shop 1d 60000' 'wiki 1d 3000'; do
	read -r name max_age rows <<<"$add"
	database "$name" "$rows"
	printf '\n[[database]]\nname = "%s"\nmax_age = "%s"\n' "$name" "$max_age" >>"$config"
done
pgvault=(bin/pgvault -c "$config" -q)
for name in school shop billing shop billing shop; do "${pgvault[@]}" backup "$name"; done
"${pgvault[@]}" verify --level restored -i "$demo/identity-1.txt" latest:shop
"${pgvault[@]}" verify --level readable -i "$demo/identity-2.txt" latest:billing
"${pgvault[@]}" pin "$("${pgvault[@]}" list --plain shop | tail -n 1 | cut -f 1)"

mkdir -p "$out"
open screen bin/pgvault -c "$config" -i "$demo/identity-1.txt"
shows screen 'wiki .*NEVER'
shows screen 'shop .*ok'
shot health

press 2 '\[2 Backups\]'
choose '.* shop .*restored'
shows screen 'proof +restored'
shot backups

press 1 '\[1 Health\]'
choose school
press b 'back up which database'
press Enter 'BACKUP school'
shows screen 'data +.*~[3-7][0-9]%'
shot job
shows screen 'proof'

press 1 '\[1 Health\]'
choose shop
press r 'What opens this backup'
forward 'Which database is it to be written into'
forward 'Can it be restored here'
shows screen 'free space'
forward 'This will be done'
shows screen 'same as'
shot plan
press Enter '3 of 3 tables equal'
shot report

press 4 '\[4 Setup\]'
shows screen 'looked at'
shot setup
keys q

# A second demo's server is the machine that has nothing.
open spare bin/pgvault demo --size 1MB --keep "$work/spare"
shows spare '1 Health'
server=$(sed -n 's/^dbname *= *"\(.*\)"$/\1/p' "$work/spare/config.toml")
signer=$("${pgvault[@]}" recovery-sheet | sed -n 's/^signed by *//p' | head -n 1)
place=$(sed -n 's/^url *= *"\(file:.*\)"$/\1/p' "$config" | head -n 1)
open recovery env STATE_DIRECTORY="$work/spare-state" bin/pgvault -c "$work/fresh/config.toml" \
	recover --from "$place" --server "$server" -i "$demo/identity-1.txt" --database shop --database billing
screen=recovery
shows recovery 'Whose signature'
keys Tab
tmux send-keys -t recovery -l "$signer"
forward 'Which databases'
forward 'Under which names'
forward 'Can all of it come back'
shows recovery 'other check'
forward 'This will be done'
shot recover
tmux send-keys -t spare q
