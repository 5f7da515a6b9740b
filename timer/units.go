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
	EnvFile       string // is read by systemd if it is there
	// CronEnv is EnvFile where it is there: a crontab's lines read it, as a shell
	// does. Empty: there is none.
	CronEnv string

	// Restores tells that backups are proven by a restore, each by itself.
	Restores bool

	Drill *Drill // nil: this host has no restore drill
}

// Drill is when proofs by restore are looked for, see the drill of the
// configuration.
type Drill struct {
	Schedule   *schedule.Schedule
	Credential string // name of the one that holds the identity; empty: a file does
}

// hourly wakes the runner for what the schedules' own times leave out.
const hourly = "*-*-* *:00:00"

// Service is the text of the service unit of backups.
func (p Plan) Service() string {
	return p.service("back up what is due", p.backup(), p.Credentials, p.Restores, "Nice=5\nCPUSchedulingPolicy=batch\nIOSchedulingClass=best-effort\nIOSchedulingPriority=6")
}

// AllCredentials names those of the places and of the drill.
func (p Plan) AllCredentials() []string {
	if p.Drill == nil || p.Drill.Credential == "" {
		return p.Credentials
	}
	return append(p.Credentials[:len(p.Credentials):len(p.Credentials)], p.Drill.Credential)
}

// DrillService is the text of the service unit of the restore drill. It gives
// way to everything else. One that was killed is started again: it goes on
// where it was.
func (p Plan) DrillService() string {
	return p.service("prove by restore what is due", p.drill(), p.AllCredentials(), true, "Nice=19\nIOSchedulingClass=idle\nCPUWeight=idle\nRestart=on-abnormal\nRestartSec=10min")
}

func (p Plan) service(does string, words, credentials []string, restores bool, priority string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(written + ", which writes it anew. pgvault timer remove removes it.")
	line("[Unit]\nDescription=pgvault: %s\nWants=network-online.target\nAfter=network-online.target postgresql.service\n", does)
	line("[Service]\nType=notify\nNotifyAccess=main")
	line("ExecStart=%s", command(words))
	if p.EnvFile != "" {
		line("EnvironmentFile=-%s", escape(p.EnvFile))
	}
	for _, name := range credentials {
		line("LoadCredential=%s:%s", escape(name), escape(filepath.Join(p.CredentialDir, name)))
	}
	line("# It is told to end cleanly, and leaves nothing half-made.\nKillMode=mixed\nTimeoutStopSec=2min")
	line("%s\nUMask=0077\n", priority)
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
	if p.User == "root" && restores {
		line("# As root it starts servers for proofs by restore as another user.\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_KILL")
	} else {
		switch p.User {
		case "":
		case "root":
			line("# Keys and places may belong to others.\nCapabilityBoundingSet=CAP_DAC_OVERRIDE")
		default:
			line("CapabilityBoundingSet=")
		}
		line("SystemCallFilter=~@privileged @resources")
		line("# A proof by restore gives way to others.\nSystemCallFilter=setpriority ioprio_set")
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

// Timer is the text of the timer unit of backups.
func (p Plan) Timer() string { return timer("wake up when a backup is due", p.Schedules) }

// DrillTimer is the text of the timer unit of the restore drill.
func (p Plan) DrillTimer() string {
	return timer("wake up when a restore drill is due", []*schedule.Schedule{p.Drill.Schedule})
}

func timer(does string, schedules []*schedule.Schedule) string {
	var b strings.Builder
	b.WriteString(written + ", which writes it anew. pgvault timer remove removes it.\n" +
		"[Unit]\nDescription=pgvault: " + does + "\n\n[Timer]\n")
	every := false
	for _, s := range schedules {
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

func (p Plan) words(verb ...string) []string {
	return append(append(append([]string{p.Program}, p.Args...), "--no-input"), verb...)
}

func (p Plan) backup() []string { return p.words("backup", "--due") }
func (p Plan) drill() []string  { return p.words("verify", "--due") }

// command is a call as systemd reads it.
func command(words []string) string {
	var out []string
	for _, w := range words {
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
	env := ""
	if p.CronEnv != "" {
		file := cronWord(p.CronEnv)
		env = "set -a; [ ! -r " + file + " ] || . " + file + "; " // a shell ends where it cannot read it
	}
	out := cronLines(env, p.backup(), p.Schedules)
	if p.Drill != nil {
		out = append(out, cronLines(env+"nice -n 19 ", p.drill(), []*schedule.Schedule{p.Drill.Schedule})...)
	}
	return out
}

func cronLines(before string, call []string, schedules []*schedule.Schedule) []string {
	var words []string
	for _, w := range append([]string{call[0], "--quiet"}, call[1:]...) {
		words = append(words, cronWord(w))
	}
	command := before + strings.Join(words, " ")
	var out []string
	every := len(schedules) == 0 // nothing is to be started
	for _, s := range schedules {
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

// cronWord writes s as one word of a crontab's command, in which a percent
// sign is the end of a line.
func cronWord(s string) string { return strings.ReplaceAll(shell(s), "%", `\%`) }

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
