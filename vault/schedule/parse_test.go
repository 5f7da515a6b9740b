package schedule

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `"hourly" or five cron fields`,
		"2:00":                                  `did you mean "02:00"?`,
		"2":                                     `did you mean "02:00"?`,
		"24:00":                                 `did you mean "00:00"?`,
		"2am":                                   `did you mean "02:00"?`,
		"12am":                                  `did you mean "00:00"?`,
		"11:5 PM":                               `did you mean "23:05"?`,
		"02:00:00":                              `did you mean "02:00"?`,
		"02.00":                                 `did you mean "02:00"?`,
		"25:00":                                 `it is no schedule; write "02:00", "Mon 03:30"`,
		"02:60":                                 `it is no schedule; write "02:00"`,
		"monday 3:30":                           `did you mean "Mon 03:30"?`,
		"mon 03:30":                             `did you mean "Mon 03:30"?`,
		"Thursday":                              `did you mean "Thu 03:30"?`,
		"Mon 25:00":                             `it is no schedule; write`,
		"Hourly":                                `it is no schedule; write`,
		"@hourly":                               `did you mean "hourly"?`,
		"daily":                                 `did you mean "02:00"?`,
		"weekly":                                `did you mean "Mon 03:30"?`,
		"@monthly":                              `did you mean "0 2 1 * *"?`,
		"15m":                                   `did you mean "*/15 * * * *"?`,
		"90m":                                   `it is no schedule`,
		"0 2 * *":                               `cron has five fields (minute, hour, day, month, weekday), this has 4`,
		"0 0 2 * * *":                           `cron has five fields (minute, hour, day, month, weekday), this has 6`,
		"60 2 * * *":                            `end of range (60) above maximum (59)`,
		"0 2 * * 8":                             `(8) above maximum (6): 8; the fields are minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7 (0 and 7 are Sunday)`,
		"0 2 * * 7-1":                           `beginning of range (7) beyond end of range (1)`,
		"0 2 0 * *":                             `below minimum (1)`,
		"0 2 30 2 *":                            `there is no such day in any year`,
		"0 2 31 4,6 *":                          `there is no such day`,
		"x 2 * * *":                             `failed to parse int from x; the fields`,
		"TZ=UTC 2 * * *":                        `it is no schedule; write`,
		"*/0 * * * *":                           `step of range should be a positive number`,
		"0 5-2 * * *":                           `beyond end of range`,
		"1,\x00 * * * *":                        `failed to parse int`,
		strings.Repeat("1,", 100) + "1 * * * *": `longer than 200 characters`,
	} {
		s, err := Parse(text, time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", text, s, err, want)
		}
	}
}

// TestNearestIsValid: what an error proposes can be written.
func TestNearestIsValid(t *testing.T) {
	for _, text := range []string{"2:00", "2pm", "monday 3:30", "Sat", "daily", "weekly", "monthly", "yearly", "15m", "1h", "24:00", "@hourly", "12am"} {
		if near := nearest(strings.ToLower(text)); near == "" {
			t.Errorf("%q has no nearest form", text)
		} else if _, err := Parse(near, nil); err != nil {
			t.Errorf("%q is said to mean %q: %v", text, near, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"02:00", "Mon 03:30", "hourly", "*/5 1-4 1,2 * 1-5", "0 2 30 2 *", "CRON_TZ=UTC 0 0 * * *", "@every 1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text, time.UTC)
		if err != nil {
			return
		}
		at := time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)
		if next := s.Next(at); !next.After(at) || s.Every() <= 0 {
			t.Errorf("%q: next %v, every %v", text, next, s.Every())
		}
		again, err := Parse(s.Crontab(), time.UTC)
		if err != nil || !again.Next(at).Equal(s.Next(at)) {
			t.Errorf("%q as a crontab is %q: %v", text, s.Crontab(), err)
		}
	})
}

func TestTexts(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for text, want := range map[string]struct{ cron, calendar string }{
		"02:00":           {"0 2 * * *", "*-*-* 02:00:00 Europe/Berlin"},
		"Sun 03:30":       {"30 3 * * 0", "Sun *-*-* 03:30:00 Europe/Berlin"},
		"hourly":          {"0 * * * *", "*-*-* *:00:00 Europe/Berlin"},
		"*/20 8-10 * 1 *": {"0,20,40 8,9,10 * 1 *", "*-01-* 08,09,10:00,20,40:00 Europe/Berlin"},
		"0 2 * * 1-5":     {"0 2 * * 1,2,3,4,5", "Mon,Tue,Wed,Thu,Fri *-*-* 02:00:00 Europe/Berlin"},
		"0 0 13 * 5":      {"0 0 13 * 5", "*-*-13 00:00:00 Europe/Berlin|Fri *-*-* 00:00:00 Europe/Berlin"},
		"0 0 */10 * 1":    {"0 0 1,11,21,31 * 1", "*-*-01,11,21,31 00:00:00 Europe/Berlin|Mon *-*-* 00:00:00 Europe/Berlin"},
		"0 0 1-31 * 1":    {"0 0 * * *", "*-*-* 00:00:00 Europe/Berlin"},
		"0 0 1 * */2":     {"0 0 1 * 0,2,4,6", "*-*-01 00:00:00 Europe/Berlin|Sun,Tue,Thu,Sat *-*-* 00:00:00 Europe/Berlin"},
		"0 0 1 1,7 *":     {"0 0 1 1,7 *", "*-01,07-01 00:00:00 Europe/Berlin"},
		" 0  2 * * *\t":   {"0 2 * * *", "*-*-* 02:00:00 Europe/Berlin"},
		"0 2 1 jan mon":   {"0 2 1 1 1", "*-01-01 02:00:00 Europe/Berlin|Mon *-01-* 02:00:00 Europe/Berlin"},
		"*/5 * * * *":     {"0,5,10,15,20,25,30,35,40,45,50,55 * * * *", "*-*-* *:00,05,10,15,20,25,30,35,40,45,50,55:00 Europe/Berlin"},
		"0 2 * * 7":       {"0 2 * * 0", "Sun *-*-* 02:00:00 Europe/Berlin"},
		"0 2 * * 5-7":     {"0 2 * * 0,5,6", "Sun,Fri,Sat *-*-* 02:00:00 Europe/Berlin"},
		"0 2 * * 1-7/2,3": {"0 2 * * 0,1,3,5", "Sun,Mon,Wed,Fri *-*-* 02:00:00 Europe/Berlin"},
		"0 2 * * 1,7":     {"0 2 * * 0,1", "Sun,Mon *-*-* 02:00:00 Europe/Berlin"},
		"0 2 * * 1-7":     {"0 2 * * *", "*-*-* 02:00:00 Europe/Berlin"},
		"0 0 * * 0-6":     {"0 0 * * *", "*-*-* 00:00:00 Europe/Berlin"},
		"15 6 1-15/2 2 *": {"15 6 1,3,5,7,9,11,13,15 2 *", "*-02-01,03,05,07,09,11,13,15 06:15:00 Europe/Berlin"},
	} {
		s, err := Parse(text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Crontab(); got != want.cron {
			t.Errorf("%s as a crontab: %s", text, got)
		}
		if got := strings.Join(s.OnCalendar(), "|"); got != want.calendar {
			t.Errorf("%s as a calendar: %s", text, got)
		}
	}
	local, err := Parse("02:00", time.Local)
	if err != nil || local.OnCalendar()[0] != "*-*-* 02:00:00" {
		t.Errorf("the host's zone: %v, %v", local.OnCalendar(), err)
	}
}

// TestSystemdAgrees asks systemd for the next runs, away from moves of the
// clock: there it leaves some out, which is why a timer looks every hour.
func TestSystemdAgrees(t *testing.T) {
	base := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	for _, text := range []string{"02:00", "Sun 03:30", "hourly", "*/20 8-10 * 1 *", "0 0 */10 * *", "0 0 1 */2 *", "0 2 * * 1-5", "15 6 29 2 *"} {
		for _, where := range []string{"Europe/Berlin", "UTC", "Australia/Lord_Howe"} {
			s := parse(t, text, where)
			for _, e := range s.OnCalendar() {
				out, err := exec.Command("systemd-analyze", "calendar", "--base-time="+base.Format("2006-01-02 15:04:05 MST"), e).CombinedOutput()
				if err != nil {
					t.Fatalf("run scripts/install-deps.sh test: %v\n%s", err, out)
				}
				if want := s.Next(base).UTC().Format("2006-01-02 15:04:05 UTC"); !strings.Contains(string(out), want) {
					t.Errorf("%s: systemd says\n%swant %s", e, out, want)
				}
			}
		}
	}
}
