package config

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const systemFile = "/etc/pgvault/config.toml"

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

// StateDir is where runs, locks and the like are kept: the first of
// $STATE_DIRECTORY, which systemd sets; /var/lib/pgvault for root; else
// pgvault in $XDG_STATE_HOME or ~/.local/state.
func StateDir() string { return stateDir(os.Geteuid(), os.Getenv) }

func stateDir(uid int, getenv func(string) string) string {
	if first, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(first) {
		return first
	}
	if uid == 0 {
		return "/var/lib/pgvault"
	}
	return userDir(getenv, "XDG_STATE_HOME", ".local/state")
}

// userDir follows the XDG base directories: a path that is not absolute
// counts as not set.
func userDir(getenv func(string) string, xdg, fallback string, more ...string) string {
	base := getenv(xdg)
	if !filepath.IsAbs(base) {
		base = filepath.Join(getenv("HOME"), fallback)
	}
	return filepath.Join(append([]string{base, "pgvault"}, more...)...)
}
