package timer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/vault/schedule"
)

// drilling is a plan with a restore drill, and backups at these times.
func drilling(t *testing.T, schedules ...string) Plan {
	t.Helper()
	p := plan(t, schedules...)
	s, err := schedule.Parse("Sun 04:00", time.UTC)
	must(t, err)
	p.Drill = &Drill{Schedule: s, Credential: "drill"}
	return p
}

func TestDrillUnits(t *testing.T) {
	p := drilling(t, "02:00")
	service := p.DrillService()
	for _, want := range []string{"--no-input verify --due\n", "Nice=19\nIOSchedulingClass=idle\nCPUWeight=idle\n", "Restart=on-abnormal\n",
		"LoadCredential=s3:/etc/pgvault/credentials/s3\n", "LoadCredential=drill:/etc/pgvault/credentials/drill\n", "User=daemon\n", "SystemCallFilter=setpriority ioprio_set\n"} {
		if !strings.Contains(service, want) {
			t.Errorf("no %s in\n%s", want, service)
		}
	}
	if strings.Contains(p.Service(), "drill") {
		t.Errorf("the service of backups is given the drill's key:\n%s", p.Service())
	}
	if text := p.DrillTimer(); !strings.Contains(text, "OnCalendar=Sun *-*-* 04:00:00") || !strings.Contains(text, "OnCalendar=*-*-* *:00:00\n") || !strings.Contains(text, "Persistent=true\n") {
		t.Errorf("the timer:\n%s", text)
	}
	p.User = "root"
	if strings.Contains(p.DrillService(), "SystemCallFilter=~") {
		t.Error("root's service is filtered as a user's")
	}
}

func TestDrillCrontab(t *testing.T) {
	old := time.Local
	t.Cleanup(func() { time.Local = old })
	time.Local = time.UTC
	p := drilling(t)
	lines := p.Crontab()
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "0 4 * * 0 nice -n 19 /bin/true --quiet ") || !strings.HasSuffix(lines[0], " verify --due") || !strings.HasPrefix(lines[1], "0 * * * * nice") {
		t.Errorf("a drill alone: %q", lines)
	}
	p = drilling(t, "hourly")
	if lines = p.Crontab(); !strings.HasSuffix(lines[0], " backup --due") || !strings.HasSuffix(lines[len(lines)-1], " verify --due") {
		t.Errorf("beside backups: %q", lines)
	}
}

// TestDrillInstalled: alone, beside backups, and gone from the configuration.
func TestDrillInstalled(t *testing.T) {
	dir := fakes(t)
	h := Host{UnitDir: t.TempDir(), Systemd: true}
	alone := drilling(t)
	must(t, h.Install(t.Context(), alone))
	i, err := h.Look(t.Context(), alone)
	must(t, err)
	if i.Active || !i.Drill || i.Starts() != "" || !i.There() || len(i.Units) != 4 || i.Units[0].State != "absent" || i.Units[2].State != "same" || i.Units[3].State != "same" {
		t.Fatalf("%+v", i)
	}
	both := drilling(t, "02:00")
	must(t, h.Install(t.Context(), both))
	if i, err = h.Look(t.Context(), both); err != nil || !i.Active || !i.Drill || i.Starts() != "a systemd timer" {
		t.Fatalf("%+v, %v", i, err)
	}
	without := plan(t, "02:00")
	if i, err = h.Look(t.Context(), without); err != nil || len(i.Units) != 4 || i.Units[2].State != "stray" {
		t.Errorf("without a drill: %+v, %v", i, err)
	}
	must(t, h.Install(t.Context(), without))
	if left, err := os.ReadDir(h.UnitDir); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
	called, err := os.ReadFile(filepath.Join(dir, "called"))
	must(t, err)
	for _, want := range []string{"enable pgvault-drill.timer\n", "disable --now pgvault-drill.timer\n"} {
		if !strings.Contains(string(called), want) {
			t.Errorf("systemctl was not told to %s in\n%s", want, called)
		}
	}
	must(t, h.Install(t.Context(), both))
	gone, err := h.Remove(t.Context(), without)
	if left, _ := os.ReadDir(h.UnitDir); err != nil || len(gone) != 4 || len(left) != 0 {
		t.Errorf("removed %v, left %v, %v", gone, left, err)
	}
}
