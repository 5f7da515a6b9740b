// Package timer has backups started: it writes what systemd or cron need to
// start `pgvault backup --due`, takes out exactly what it wrote, and tells
// what is there.
//
// The runner decides what is due. Timers and crontabs only wake it: at the
// times of the schedules, and every hour, because systemd leaves out a time
// that a forward move of the clock leaves out, and because a machine, a server
// or a place may have been away.
package timer

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pgvault/vault/schedule"
)

// Plan is what is to be started, and when.
type Plan struct {
	Name      string   // of the units, and of the block in a crontab: "pgvault"
	Program   string   // absolute path
	Args      []string // before the verb, such as --config PATH
	Schedules []*schedule.Schedule

	// User is who the service runs as; empty: units of the user who installs
	// them, in whose home folder all lies.
	User string
	// Write are the folders that are written to: state, places on disk.
	Write []string
	// Read are other paths that are needed, of keys and the configuration.
	Read []string
	// Credentials are those that places take from systemd, by name; systemd
	// reads them from files of these names in CredentialDir.
	Credentials   []string
	CredentialDir string
	EnvFile       string // is read if it is there
}

// hourly wakes the runner for what the schedules' own times leave out.
const hourly = "*-*-* *:00:00"

// Service is the text of the service unit.
func (p Plan) Service() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(written + ", which writes it anew. pgvault timer remove removes it.")
	line("[Unit]\nDescription=pgvault: back up what is due\nWants=network-online.target\nAfter=network-online.target postgresql.service\n")
	line("[Service]\nType=notify\nNotifyAccess=main")
	line("ExecStart=%s", p.command())
	if p.EnvFile != "" {
		line("EnvironmentFile=-%s", escape(p.EnvFile))
	}
	for _, name := range p.Credentials {
		line("LoadCredential=%s:%s", escape(name), escape(filepath.Join(p.CredentialDir, name)))
	}
	line("# It is told to end cleanly, and leaves nothing half-made.\nKillMode=mixed\nTimeoutStopSec=2min")
	line("Nice=5\nIOSchedulingClass=best-effort\nIOSchedulingPriority=6\nUMask=0077\n")
	if p.User != "" {
		line("User=%s", escape(p.User))
		line("# It reads everything that its user may read, and writes to these alone.\nProtectSystem=strict")
		for _, path := range p.Write {
			line("ReadWritePaths=%s", word("-"+path))
		}
		line("ProtectHome=%s", p.home())
		b.WriteString(systemSandbox)
	}
	b.WriteString(sandbox)
	if p.User == "root" {
		line("# As root it starts servers for proofs by restore as another user.\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_KILL")
	} else {
		if p.User != "" {
			line("CapabilityBoundingSet=")
		}
		line("SystemCallFilter=~@privileged @resources")
	}
	return b.String()
}

// sandbox is what units of a user can have too.
const sandbox = `NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
`

// systemSandbox needs a manager that runs as root.
const systemSandbox = `PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
PrivateMounts=yes
AmbientCapabilities=
KeyringMode=private
`

// home says how much of home folders is seen: nothing, where nothing of it is
// needed.
func (p Plan) home() string {
	mode := "yes"
	for _, path := range append(append([]string{p.Program, p.EnvFile}, p.Write...), p.Read...) {
		for _, home := range []string{"/home/", "/root/", "/run/user/"} {
			if strings.HasPrefix(path+"/", home) {
				mode = "read-only"
			}
		}
	}
	return mode
}

// Timer is the text of the timer unit.
func (p Plan) Timer() string {
	var b strings.Builder
	b.WriteString(written + ", which writes it anew. pgvault timer remove removes it.\n" +
		"[Unit]\nDescription=pgvault: wake up when a backup is due\n\n[Timer]\n")
	every := false
	for _, s := range p.Schedules {
		fmt.Fprintf(&b, "# %s\n", s)
		for _, e := range s.OnCalendar() {
			fmt.Fprintf(&b, "OnCalendar=%s\n", e)
		}
		every = every || s.String() == "hourly"
	}
	if !every {
		b.WriteString("# For what was slept through, or left out when clocks were moved.\nOnCalendar=" + hourly + "\n")
	}
	b.WriteString("Persistent=true\nAccuracySec=15s\nRandomizedDelaySec=60\nFixedRandomDelay=true\n\n[Install]\nWantedBy=timers.target\n")
	return b.String()
}

func (p Plan) words() []string {
	return append(append([]string{p.Program}, p.Args...), "--no-input", "backup", "--due")
}

// command is the call as systemd reads it.
func (p Plan) command() string {
	var out []string
	for _, w := range p.words() {
		out = append(out, word(strings.ReplaceAll(w, "$", "$$")))
	}
	return strings.Join(out, " ")
}

// escape writes a value in which systemd replaces specifiers.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// word writes one word of a list, with quotes where it needs them.
func word(s string) string {
	s = escape(s)
	if s != "" && !strings.ContainsAny(s, " \t\n\"'\\;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// Crontab gives the lines for a crontab. cron counts on the host's clock:
// where that is not the schedules' own, it looks every ten minutes.
func (p Plan) Crontab() []string {
	var words []string
	for _, w := range append([]string{p.Program, "--quiet"}, p.words()[1:]...) {
		words = append(words, strings.ReplaceAll(shell(w), "%", `\%`)) // a percent sign is a line end to cron
	}
	command := strings.Join(words, " ")
	var out []string
	every := false
	for _, s := range p.Schedules {
		if !sameClock(s.Zone()) {
			return []string{"*/10 * * * * " + command}
		}
		out = append(out, s.Crontab()+" "+command)
		every = every || s.String() == "hourly"
	}
	if !every {
		out = append(out, "0 * * * * "+command)
	}
	return out
}

// shell writes s as one word of a shell.
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// sameClock tells that the host's clocks show the same as those of zone, now
// and after each move of them.
func sameClock(zone *time.Location) bool {
	if zone == time.Local {
		return true
	}
	for t := time.Date(2025, 1, 1, 0, 30, 0, 0, time.UTC); t.Year() < 2035; t = t.Add(7 * 24 * time.Hour) {
		_, a := t.In(zone).Zone()
		_, b := t.In(time.Local).Zone()
		if a != b {
			return false
		}
	}
	return true
}
