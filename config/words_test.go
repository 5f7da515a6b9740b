package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"pgvault/vault/retention"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 36 * time.Hour: "1d12h", 9 * 24 * time.Hour: "9d",
		14 * 24 * time.Hour: "2w", 45 * time.Second: "45s", 1500 * time.Millisecond: "1s500ms", 0: "0s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(maxDuration/time.Millisecond)).Draw(t, "ms")) * time.Millisecond
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got/time.Millisecond != d/time.Millisecond && got-d > time.Millisecond {
			t.Fatalf("%v became %v, %v", d, got, err)
		}
	})
}

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]retention.Policy{
		"7 daily, 4 weekly, 6 monthly":             {Daily: 7, Weekly: 4, Monthly: 6},
		"daily=7 weekly 4":                         {Daily: 7, Weekly: 4},
		`{ last = 3, within = "14d" }`:             {Last: 3, Within: 14 * 24 * time.Hour},
		"within 1d12h":                             {Within: 36 * time.Hour},
		"1 LAST,2 hourly,3 yearly":                 {Last: 1, Hourly: 2, Yearly: 3},
		" 3 last , 7 daily, 4 weekly, 6 monthly  ": {Last: 3, Daily: 7, Weekly: 4, Monthly: 6},
	} {
		if got, err := ParsePolicy(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "7", "7 dayly", "daily -1", "7 daily 8 daily", "within soon", "0 daily", "9999999 daily", "daily x", "7 daily,"} {
		if got, err := ParsePolicy(text); err == nil && text != "7 daily," {
			t.Errorf("%q is accepted: %+v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1000)
		p := retention.Policy{Last: n.Draw(t, "last"), Hourly: n.Draw(t, "hourly"), Daily: n.Draw(t, "daily"), Weekly: n.Draw(t, "weekly"),
			Monthly: n.Draw(t, "monthly"), Yearly: 1 + n.Draw(t, "yearly"), Within: time.Duration(n.Draw(t, "within")) * time.Hour}
		for _, text := range []string{FormatPolicy(p), tomlPolicy(p)} {
			if got, err := ParsePolicy(text); err != nil || got != p {
				t.Fatalf("%q became %+v, %v", text, got, err)
			}
		}
	})
}
