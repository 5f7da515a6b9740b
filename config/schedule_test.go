package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	c := parse(t, `
[vault]
timezone = "Australia/Lord_Howe"
[defaults]
schedule = "02:00"
[[database]]
name = "*"
[[database]]
name = "billing"
schedule = "hourly"
[[database]]
name = "attic"
schedule = "off"
[[database]]
name = "twin"
schedule = "0 2 * * *"
`)
	for name, want := range map[string]string{"other": "02:00", "billing": "hourly", "attic": "<nil>", "twin": "0 2 * * *"} {
		s := c.Schedule(name)
		if got := fmt.Sprint(s); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if s != nil && s.Zone().String() != "Australia/Lord_Howe" {
			t.Errorf("%s is counted in %v", name, s.Zone())
		}
	}
	if got := fmt.Sprint(c.Schedules()); got != "[02:00 hourly]" {
		t.Errorf("all: %s", got)
	}
	c = parse(t, "")
	if c.Schedule("any") != nil || len(c.Schedules()) != 0 || c.Vault.Location() != time.Local {
		t.Errorf("nothing said: %v, %v in %v", c.Schedule("any"), c.Schedules(), c.Vault.Location())
	}
	if got := parse(t, "[defaults]\nschedule = \"Mon 03:30\"").Schedules(); len(got) != 1 {
		t.Errorf("without an entry: %v", got)
	}
}

func TestScheduleErrors(t *testing.T) {
	for src, want := range map[string]string{
		"[vault]\ntimezone = \"Europe/Berlinn\"":                                          `f:2: timezone "Europe/Berlinn": there is no such zone; write its name, such as "Europe/Berlin"`,
		"[vault]\ntimezone = \"Local\"":                                                   `f:2: timezone "Local"`,
		"[vault]\ntimezone = \"../../etc/passwd\"":                                        `no such zone`,
		"[defaults]\nschedule = \"2:00\"":                                                 `f:2: schedule "2:00": it is no schedule; did you mean "02:00"?`,
		"[defaults]\nschedule = \"\"":                                                     `f:2: schedule "": it is no schedule; write "02:00", "Mon 03:30", "hourly" or five cron fields`,
		"[[database]]\nname = \"a\"\n[[database]]\nname=\"b\"\nschedule = \"0 2 30 2 *\"": `f:5: schedule "0 2 30 2 *": there is no such day`,
		"[defaults]\nshedule = \"02:00\"":                                                 `did you mean`,
	} {
		_, err := Parse([]byte(src), "f", env())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", src, err, want)
		}
	}
}

func TestTemplateHasSchedule(t *testing.T) {
	c := parse(t, string(Template(Values{VaultName: "main", Timezone: "UTC", Schedule: "hourly"})))
	if c.Vault.Timezone != "UTC" || c.Defaults.Schedule != "hourly" {
		t.Errorf("%+v, %+v", c.Vault, c.Defaults)
	}
	if c = parse(t, string(Template(Values{VaultName: "main"}))); c.Defaults.Schedule != "" {
		t.Errorf("a schedule nobody chose: %q", c.Defaults.Schedule)
	}
}
