package setup

import (
	"strings"
	"testing"
	"time"

	"pgvault/config"
	"pgvault/timer"
)

func TestNewStarter(t *testing.T) {
	plan := timer.Plan{Name: "pgvault", Program: "/usr/local/bin/pgvault", Args: []string{"--config", "/etc/pg vault/100%.toml"}, User: "pgvault"}
	for _, c := range []struct {
		age            time.Duration
		schedule, cron string
	}{
		{time.Hour, "*/30 * * * *", "0,30 * * * *"},
		{2 * time.Hour, "hourly", "0 * * * *"},
		{24 * time.Hour, "0 2,14 * * *", "0 2,14 * * *"},
		{48 * time.Hour, "02:00", "0 2 * * *"},
		{30 * 24 * time.Hour, "Mon 02:00", "0 2 * * 1"},
		{5 * time.Minute, "*/5 * * * *", "0,5,10,"},
	} {
		s, err := NewStarter(plan, c.age)
		if err != nil {
			t.Fatal(err)
		}
		if s.Schedule != c.schedule || !strings.HasPrefix(s.Crontab, c.cron) || !strings.Contains(s.Crontab, `--config '/etc/pg vault/100\%.toml' --no-input backup --due`) {
			t.Errorf("%v: %s, %s", c.age, s.Schedule, s.Crontab)
		}
		if !strings.Contains(s.Timer, "OnCalendar=") || !strings.Contains(s.Service, "User=pgvault\n") || !strings.Contains(s.Service, "100%%.toml") {
			t.Errorf("%v:\n%s%s", c.age, s.Timer, s.Service)
		}
	}
}

// TestWhenSection: what the page says is what is there.
func TestWhenSection(t *testing.T) {
	for name, c := range map[string]struct {
		src       string
		starts    string
		now, word string
	}{
		"no schedule": {"", "a systemd timer", "newest at most 1d old; nothing starts backups by itself", "! by hand"},
		"nothing":     {"[defaults]\nschedule = \"02:00\"", "", "02:00; newest at most 1d old; nothing starts it", "! nothing starts it"},
		"a timer":     {"[defaults]\nschedule = \"hourly\"", "a systemd timer", "hourly; newest at most 1d old; a systemd timer", "ok"},
	} {
		conf, err := config.Parse([]byte(c.src), "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		s := whenSection(t.Context(), conf, nil, func() string { return c.starts })
		if s.Now != c.now || s.Word != c.word {
			t.Errorf("%s: %q, %q", name, s.Now, s.Word)
		}
	}
}
