package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNewStarter(t *testing.T) {
	for _, c := range []struct {
		age            time.Duration
		cron, calendar string
	}{
		{time.Hour, "*/30 * * * *", "*:00/30:00"},
		{2 * time.Hour, "0 * * * *", "*:00:00"},
		{24 * time.Hour, "0 2,14 * * *", "02,14:00:00"},
		{48 * time.Hour, "0 2 * * *", "02:00:00"},
		{30 * 24 * time.Hour, "0 2 * * 1", "Mon"},
		{5 * time.Minute, "*/5 * * * *", "*:00/5:00"},
	} {
		s := NewStarter("/usr/local/bin/pgvault", "/etc/pg vault/100%.toml", "pgvault", c.age)
		if want := c.cron + ` /usr/local/bin/pgvault -c '/etc/pg vault/100\%.toml' backup`; s.Crontab != want {
			t.Errorf("%v: %s, want %s", c.age, s.Crontab, want)
		}
		if !strings.Contains(s.Timer, c.calendar) || !strings.Contains(s.Service, "User=pgvault\n") || !strings.Contains(s.Service, "100%%.toml") {
			t.Errorf("%v:\n%s%s", c.age, s.Timer, s.Service)
		}
		verifyUnits(t, s)
	}
}

// verifyUnits lets systemd read the units, where it is there to do so.
func verifyUnits(t *testing.T, s Starter) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed: the units are not read by it here")
		return
	}
	dir := t.TempDir()
	service := strings.Replace(strings.ReplaceAll(s.Service, "/usr/local/bin/pgvault", "/bin/true"), "User=pgvault", "User=root", 1)
	for name, text := range map[string]string{"pgvault-backup.service": service, "pgvault-backup.timer": s.Timer} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(analyze, "verify", "--recursive-errors=no", filepath.Join(dir, "pgvault-backup.service"), filepath.Join(dir, "pgvault-backup.timer"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s%s", err, out, s.Service, s.Timer)
	}
}
