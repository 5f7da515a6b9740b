package timer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/schedule"
)

func plan(t *testing.T, schedules ...string) Plan {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Name: "pgvault", Program: "/bin/true", Args: []string{"--config", "/etc/pg vault/100%$HOME.toml"}, User: "daemon",
		Write: []string{"/var/lib/pgvault", "/srv/back up"}, Credentials: []string{"s3"}, CredentialDir: "/etc/pgvault/credentials", EnvFile: "/etc/pgvault/environment"}
	for _, text := range schedules {
		s, err := schedule.Parse(text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		p.Schedules = append(p.Schedules, s)
	}
	return p
}

func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is not installed; run scripts/install-deps.sh test")
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	return string(out), err
}

// TestSystemdTakesTheUnits: every line is known to systemd, and the services
// of a user pgvault, and of root, are exposed at 2.0 at most. Only root that
// starts servers as another user needs more; what a user has not, systemd
// cannot take away, and it judges their units as if root had them.
func TestSystemdTakesTheUnits(t *testing.T) {
	system := drilling(t, "02:00", "Mon 03:30", "0 0 13 * 5", "hourly")
	user, root, restores := drilling(t, "02:00"), drilling(t, "02:00"), drilling(t, "02:00")
	user.User, root.User, restores.User, restores.Restores = "", "root", "root", true
	system.Restores = true
	for name, c := range map[string]struct {
		plan           Plan
		backups, drill string // the thresholds, in tenths
	}{"system": {system, "20", "20"}, "root": {root, "20", "25"}, "root, with restores": {restores, "25", "25"}, "user": {user, "63", "63"}} {
		p, dir := c.plan, t.TempDir()
		units := []string{"verify", "--recursive-errors=yes"}
		for file, text := range map[string]string{"pgvault.service": p.Service(), "pgvault.timer": p.Timer(), "pgvault-drill.service": p.DrillService(), "pgvault-drill.timer": p.DrillTimer()} {
			units = append(units, filepath.Join(dir, file))
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := analyze(t, units...); err != nil || out != "" {
			t.Errorf("%s: %v\n%s\n%s%s", name, err, out, p.Service(), p.Timer())
		}
		for file, threshold := range map[string]string{"pgvault.service": c.backups, "pgvault-drill.service": c.drill} {
			if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+threshold, filepath.Join(dir, file)); err != nil {
				t.Errorf("%s, %s is exposed too much: %v\n%s", name, file, err, out)
			}
		}
	}
	broken := system.Service() + "ProtectEverything=yes\n"
	path := filepath.Join(t.TempDir(), "pgvault.service")
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := analyze(t, "verify", "--recursive-errors=yes", path); err == nil {
		t.Error("systemd-analyze does not notice a key that it does not know")
	}
}

func TestUnits(t *testing.T) {
	p := plan(t, "02:00", "Mon 03:30")
	for _, want := range []string{
		`ExecStart=/bin/true --config "/etc/pg vault/100%%$$HOME.toml" --no-input backup --due` + "\n",
		"User=daemon\n", "ReadWritePaths=-/var/lib/pgvault\n", `ReadWritePaths="-/srv/back up"` + "\n", "LoadCredential=s3:/etc/pgvault/credentials/s3\n",
		"EnvironmentFile=-/etc/pgvault/environment\n", "ProtectHome=yes\n", "CapabilityBoundingSet=\n",
	} {
		if !strings.Contains(p.Service(), want) {
			t.Errorf("no %s in\n%s", want, p.Service())
		}
	}
	for _, want := range []string{"OnCalendar=*-*-* 02:00:00 Europe/Berlin\n", "OnCalendar=Mon *-*-* 03:30:00 Europe/Berlin\n", "OnCalendar=*-*-* *:00:00\n", "Persistent=true\n", "RandomizedDelaySec="} {
		if !strings.Contains(p.Timer(), want) {
			t.Errorf("no %s in\n%s", want, p.Timer())
		}
	}
	p.Write = append(p.Write, "/home/duty/backup")
	if !strings.Contains(p.Service(), "ProtectHome=read-only\n") {
		t.Error("a place below /home, and it is not seen")
	}
	if got := strings.Count(plan(t, "hourly").Timer(), "OnCalendar="); got != 1 {
		t.Errorf("hourly wakes up %d times an hour", got)
	}
}

func TestCrontabLines(t *testing.T) {
	p := plan(t, "02:00", "Mon 03:30")
	command := `/bin/true --quiet --config '/etc/pg vault/100\%$HOME.toml' --no-input backup --due`
	old := time.Local
	t.Cleanup(func() { time.Local = old })
	time.Local = p.Schedules[0].Zone()
	if got := strings.Join(p.Crontab(), "\n"); got != "0 2 * * * "+command+"\n30 3 * * 1 "+command+"\n0 * * * * "+command {
		t.Errorf("on the schedules' own clock:\n%s", got)
	}
	time.Local = time.UTC
	if got := strings.Join(p.Crontab(), "\n"); got != "*/10 * * * * "+command {
		t.Errorf("on another clock:\n%s", got)
	}
	p.CronEnv = "/etc/pg vault/environment"
	if got := strings.Join(p.Crontab(), "\n"); got != "*/10 * * * * set -a; [ ! -r '/etc/pg vault/environment' ] || . '/etc/pg vault/environment'; "+command {
		t.Errorf("with an environment:\n%s", got)
	}
	script := filepath.Join(t.TempDir(), "environment")
	if err := os.WriteFile(script, []byte("# a comment\nMAIL_PASSWORD=\"a b\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.CronEnv, p.Program, p.Args = script, "/usr/bin/env", nil
	line := strings.TrimPrefix(p.Crontab()[0], "*/10 * * * * ")
	line = line[:strings.Index(line, " --quiet")]
	if out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput(); err != nil || !strings.Contains(string(out), "MAIL_PASSWORD=a b\n") {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput(); err != nil || !strings.Contains(string(out), "PATH=") {
		t.Errorf("without the file nothing is run: %s: %v\n%s", line, err, out)
	}
}

// fakes puts programs into PATH that stand in for crontab and systemctl: they
// keep a file, and what they were called with.
func fakes(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range map[string]string{
		"crontab": `if [ "$1" = -u ]; then shift 2; fi
case $1 in
-l) [ -f "$DIR/tab" ] || { echo "no crontab for $USER" >&2; exit 1; }; cat "$DIR/tab" ;;
-) [ ! -f "$DIR/full" ] || { echo "disk full" >&2; exit 1; }; cat > "$DIR/tab" ;;
*) exit 2 ;;
esac`,
		"systemctl": `echo "$*" >> "$DIR/called"
case "$*" in
*is-active*) [ -f "$DIR/active" ] ;;
*restart*) [ ! -f "$DIR/broken" ] || { echo "Failed to start: no bus" >&2; exit 1; }; touch "$DIR/active" ;;
*disable*) rm -f "$DIR/active" ;;
esac`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nDIR='"+dir+"'\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v: %s", err, fault.As(err).Why)
	}
}

func TestInstallAndRemove(t *testing.T) {
	dir := fakes(t)
	h := Host{UnitDir: filepath.Join(t.TempDir(), "units"), Systemd: true}
	p := plan(t, "02:00")
	must(t, h.Install(t.Context(), p))
	i, err := h.Look(t.Context(), p)
	must(t, err)
	if !i.Active || i.Starts() != "a systemd timer" || i.Units[0].State != "same" || i.Units[1].State != "same" || i.Cron != "absent" {
		t.Fatalf("%+v", i)
	}
	called, err := os.ReadFile(filepath.Join(dir, "called"))
	must(t, err)
	if !strings.HasPrefix(string(called), "daemon-reload\nenable pgvault.timer\nrestart pgvault.timer\n") {
		t.Errorf("systemctl was called with\n%s", called)
	}
	p = plan(t, "03:00")
	if i, err = h.Look(t.Context(), p); err != nil || i.Units[0].State != "same" || i.Units[1].State != "differs" {
		t.Errorf("another schedule: %+v, %v", i.Units, err)
	}
	other := filepath.Join(h.UnitDir, "other.timer")
	must(t, os.WriteFile(other, []byte("x"), 0o600))
	gone, err := h.Remove(t.Context(), p)
	must(t, err)
	left, err := os.ReadDir(h.UnitDir)
	must(t, err)
	if len(gone) != 2 || len(left) != 1 || left[0].Name() != "other.timer" {
		t.Errorf("removed %q, left %v", gone, left)
	}
	if gone, err = h.Remove(t.Context(), p); err != nil || len(gone) != 0 {
		t.Errorf("again: %q, %v", gone, err)
	}
}

func TestInstallLeavesOthersUnits(t *testing.T) {
	dir := fakes(t)
	h := Host{UnitDir: t.TempDir(), Systemd: true}
	own := filepath.Join(h.UnitDir, "pgvault.service")
	must(t, os.WriteFile(own, []byte("[Service]\nExecStart=/bin/mine\n"), 0o600))
	if err := h.Install(t.Context(), plan(t, "02:00")); fault.CodeOf(err) != fault.Refused {
		t.Errorf("a unit of somebody's was written over: %v", err)
	}
	if gone, err := h.Remove(t.Context(), plan(t, "02:00")); err != nil || len(gone) != 0 {
		t.Errorf("a unit of somebody's was removed: %q, %v", gone, err)
	}
	must(t, os.Remove(own))
	must(t, os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600))
	if err := h.Install(t.Context(), plan(t, "02:00")); err == nil || !strings.Contains(fault.As(err).Why, "no bus") {
		t.Errorf("systemd refuses: %v", err)
	}
}

// TestCrontabBlock: all lines that are not pgvault's stay, byte for byte.
func TestCrontabBlock(t *testing.T) {
	p := plan(t, "02:00")
	for name, before := range map[string]string{
		"none": "", "others": "MAILTO=me\n# mine\n0 1 * * * /bin/x  \n\n", "without an end": "5 5 * * * y", "carriage returns": "1 1 * * * z\r\n",
		"another vault's": "# BEGIN pgvault-two (pgvault timer install; x)\n0 1 * * * q\n# END pgvault-two\n",
	} {
		dir := fakes(t)
		tab := filepath.Join(dir, "tab")
		if before != "" {
			must(t, os.WriteFile(tab, []byte(before), 0o600))
		}
		h := Host{UnitDir: t.TempDir()}
		must(t, h.InstallCron(t.Context(), p))
		first, err := os.ReadFile(tab)
		must(t, err)
		must(t, h.InstallCron(t.Context(), plan(t, "hourly")))
		must(t, h.InstallCron(t.Context(), p))
		again, err := os.ReadFile(tab)
		must(t, err)
		if string(again) != string(first) || !strings.HasPrefix(string(first), before) || strings.Count(string(first), "backup --due") == 0 {
			t.Errorf("%s: first\n%s\nthen\n%s", name, first, again)
		}
		i, err := h.Look(t.Context(), p)
		if err != nil || i.Cron != "same" || i.Starts() != "a crontab" {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
		if gone, err := h.Remove(t.Context(), p); err != nil || len(gone) != 1 {
			t.Errorf("%s: %q, %v", name, gone, err)
		}
		after, err := os.ReadFile(tab)
		must(t, err)
		if want := before; string(after) != want && string(after) != want+"\n" {
			t.Errorf("%s: left is %q", name, after)
		}
	}
}

func TestCrontabRefusals(t *testing.T) {
	dir := fakes(t)
	p, h := plan(t, "02:00"), Host{UnitDir: t.TempDir()}
	torn := "# BEGIN pgvault (pgvault timer install; x)\n0 1 * * * /bin/somebodys\n"
	must(t, os.WriteFile(filepath.Join(dir, "tab"), []byte(torn), 0o600))
	if err := h.InstallCron(t.Context(), p); fault.CodeOf(err) != fault.Refused {
		t.Errorf("a block without an end: %v", err)
	}
	if _, err := h.Remove(t.Context(), p); fault.CodeOf(err) != fault.Refused {
		t.Errorf("a block without an end, removed: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "tab")))
	must(t, os.WriteFile(filepath.Join(dir, "full"), nil, 0o600))
	if err := h.InstallCron(t.Context(), p); err == nil || !strings.Contains(fault.As(err).Why, "disk full") {
		t.Errorf("a full disk: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "crontab")))
	t.Setenv("PATH", dir)
	if err := h.InstallCron(t.Context(), p); fault.CodeOf(err) != fault.Refused {
		t.Errorf("no program crontab: %v", err)
	}
	if i, err := h.Look(context.Background(), p); err != nil || i.Cron != "unknown" || i.Starts() != "" || i.There() {
		t.Errorf("no program crontab: %+v, %v", i, err)
	}
}
