#!/bin/sh
# system-mode.sh [PLACE-FOLDER...]: prepares this host for system mode, in
# which the vault belongs to a user of its own.
#
#   user and group pgvault    made where they are missing; no login, no password
#   /etc/pgvault              root:pgvault 0750; files 0640; signing_key pgvault 0600
#   /var/lib/pgvault          pgvault:pgvault 0750: state, journals, listings
#   /run/pgvault              pgvault:pgvault 0750, also after a reboot (tmpfiles.d)
#   PLACE-FOLDER              pgvault:pgvault, folders 0750, files 0640
#
# Members of the group see everything and change nothing:
#   usermod -aG pgvault NAME
# The owner acts:               sudo -u pgvault pgvault
# root becomes the owner by itself. May be run again at any time; it mends
# owners and modes and removes nothing.
set -eu

die() { printf 'system-mode: %s\n' "$1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die 'only root can prepare system mode; nothing was changed'
for folder; do
	case $folder in /*) ;; *) die "the place must be an absolute path, not $folder; nothing was changed" ;; esac
	if [ ! -d "$folder" ] || [ -L "$folder" ]; then die "$folder is no folder; nothing was changed"; fi
	case $(readlink -f "$folder") in
	/ | /bin* | /boot* | /dev* | /etc* | /home | /lib* | /proc* | /root | /run | /sbin* | /srv | /sys* | /tmp | /usr* | /var | /var/lib | /mnt | /media | /opt)
		die "$folder is a folder of the system, not one for a vault alone; nothing was changed" ;;
	esac
done

getent group pgvault > /dev/null || groupadd --system pgvault
getent passwd pgvault > /dev/null || useradd --system --gid pgvault --home-dir /var/lib/pgvault --no-create-home \
	--shell /usr/sbin/nologin --comment 'pgvault backups' pgvault

# give OWNER:GROUP MODE FOLDER: makes it where it is missing; never through a link
give() {
	[ ! -L "$3" ] || die "$3 is a symbolic link; it was not touched"
	[ -d "$3" ] || mkdir -m 0700 "$3"
	chown "$1" "$3"
	chmod "$2" "$3"
}
# all OWNER:GROUP FOLDER: all below, folders 0750 and files 0640. The modes are
# set as the owner: root must not follow a link that the owner slips in.
all() {
	chown -R -h -P "$1" "$2"
	runuser -u "${1%%:*}" -- find -P "$2" -xdev -mindepth 1 -type d -exec chmod 0750 {} +
	runuser -u "${1%%:*}" -- find -P "$2" -xdev -type f -exec chmod 0640 {} +
}
give root:pgvault 0750 /etc/pgvault
all root:pgvault /etc/pgvault
key=/etc/pgvault/signing_key
if grep -q 'PRIVATE KEY' "$key" 2> /dev/null; then # it may be the public half of an agent's key
	chmod 0600 "$key"
	if [ ! -f "$key.pub" ]; then
		ssh-keygen -y -f "$key" > "$key.pub"
		chmod 0640 "$key.pub"
		chown root:pgvault "$key.pub"
	fi
	chown pgvault:pgvault "$key"
fi
give pgvault:pgvault 0750 /var/lib/pgvault
all pgvault:pgvault /var/lib/pgvault
for lock in locks audit.lock; do # a member must not hold them up
	[ ! -e "/var/lib/pgvault/$lock" ] || runuser -u pgvault -- find -P "/var/lib/pgvault/$lock" -type f -exec chmod 0600 {} +
done
give pgvault:pgvault 0750 /run/pgvault
if [ -d /usr/lib/tmpfiles.d ]; then
	mkdir -p /etc/tmpfiles.d
	printf 'd /run/pgvault 0750 pgvault pgvault -\n' > /etc/tmpfiles.d/pgvault.conf
fi
for folder; do
	give pgvault:pgvault 0750 "$folder"
	all pgvault:pgvault "$folder"
done
printf 'system mode is ready: /etc/pgvault, /var/lib/pgvault and /run/pgvault belong to pgvault\n'
