package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The folders of system mode, as scripts/system-mode.sh makes them: the
// configuration is root's and readable by the group pgvault, the state
// belongs to the user pgvault.
const (
	systemFile  = "/etc/pgvault/config.toml"
	systemState = "/var/lib/pgvault"
)

// DefaultPath is the configuration that is used when none is named:
// /etc/pgvault/config.toml for root and for everybody who can read it, else
// pgvault/config.toml in $XDG_CONFIG_HOME or ~/.config.
func DefaultPath() string {
	return defaultPath(os.Geteuid(), os.Getenv, unix.Access(systemFile, unix.R_OK) == nil)
}

func defaultPath(uid int, getenv func(string) string, readable bool) string {
	if uid == 0 || readable {
		return systemFile
	}
	return userDir(getenv, "XDG_CONFIG_HOME", ".config", "config.toml")
}

// StateDir is where runs, locks and the like are kept for the configuration
// at file (empty: none): the first of $STATE_DIRECTORY, which systemd sets;
// /var/lib/pgvault for the system's configuration, whoever looks, and for
// root unless it belongs to another user; else pgvault in $XDG_STATE_HOME or
// ~/.local/state.
func StateDir(file string) string { return stateDir(os.Geteuid(), os.Getenv, file, owner(systemState)) }

// nobody owns a folder that is not there.
const nobody = -1

func owner(folder string) int {
	var st unix.Stat_t
	if unix.Stat(folder, &st) != nil {
		return nobody
	}
	return int(st.Uid)
}

func stateDir(uid int, getenv func(string) string, file string, owner int) string {
	if first, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(first) {
		return first
	}
	switch {
	case file == systemFile && owner != nobody, uid == 0 && (owner == nobody || owner == 0):
		return systemState
	}
	return userDir(getenv, "XDG_STATE_HOME", ".local/state")
}

// Closed tells whether there is a configuration of the system that this user
// may not read: the vault is somebody else's.
func Closed() bool { return errors.Is(unix.Access(systemFile, unix.R_OK), unix.EACCES) }

// userDir follows the XDG base directories: a path that is not absolute
// counts as not set.
func userDir(getenv func(string) string, xdg, fallback string, more ...string) string {
	base := getenv(xdg)
	if !filepath.IsAbs(base) {
		base = filepath.Join(getenv("HOME"), fallback)
	}
	return filepath.Join(append([]string{base, "pgvault"}, more...)...)
}
