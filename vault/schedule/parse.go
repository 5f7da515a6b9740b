package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// fields reads the five fields of a crontab, and nothing else.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

var (
	clock   = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)
	like    = regexp.MustCompile(`^([0-9]{1,2})(?:[:.h]([0-9]{1,2}))?(?::[0-9]{2})?\s*(am|pm|uhr)?$`)
	weekday = regexp.MustCompile(`^(sun|mon|tue|wed|thu|fri|sat)[a-z]*\.?,?$`)
)

var days = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// forms is what a person may write.
const forms = `"02:00", "Mon 03:30", "hourly" or five cron fields such as "30 2 * * 1-5"`

// maxText bounds a schedule: longer lists are a mistake.
const maxText = 200

// Parse reads a schedule that is counted in zone; nil is UTC. The error says
// what is wrong, and which valid form is nearest.
func Parse(text string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxText {
		return nil, fmt.Errorf("longer than %d characters; write %s", maxText, forms)
	}
	line, err := crontab(text)
	if err != nil {
		return nil, err
	}
	parsed, err := fields.Parse(line)
	if err != nil {
		return nil, fmt.Errorf("%s; the fields are minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7 (0 and 7 are Sunday)", plain(err))
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("it is no schedule; write %s", forms)
	}
	s := &Schedule{text: text, spec: wall{*spec}, zone: zone}
	if s.every = s.spec.shortest(); s.every == 0 {
		return nil, fmt.Errorf("there is no such day in any year; write %s", forms)
	}
	return s, nil
}

// crontab gives the five fields that mean the same as text.
func crontab(text string) (string, error) {
	words := strings.Split(text, " ")
	switch len(words) {
	case 1:
		if text == "hourly" {
			return "0 * * * *", nil
		}
		if m := clock.FindStringSubmatch(text); m != nil {
			return daily(m, "*"), nil
		}
	case 2:
		for i, d := range days {
			if m := clock.FindStringSubmatch(words[1]); words[0] == d && m != nil {
				return daily(m, strconv.Itoa(i)), nil
			}
		}
	case 5:
		if !strings.Contains(text, "=") {
			words[4] = sunday(words[4])
			return strings.Join(words, " "), nil
		}
	}
	if near := nearest(strings.ToLower(text)); near != "" {
		return "", fmt.Errorf("it is no schedule; did you mean %q?", near)
	}
	if len(words) > 5 || len(words) == 4 {
		return "", fmt.Errorf("cron has five fields (minute, hour, day, month, weekday), this has %d; write %s", len(words), forms)
	}
	return "", fmt.Errorf("it is no schedule; write %s", forms)
}

// withSeven is an entry of the weekday field in which a 7 may stand.
var withSeven = regexp.MustCompile(`^([0-7])(?:-([0-7]))?(?:/([1-9][0-9]?))?$`)

// sunday writes the weekday field with 0 for Sunday, where crontab(5) takes 7
// as well and the parser does not.
func sunday(field string) string {
	var out []string
	for entry := range strings.SplitSeq(field, ",") {
		m := withSeven.FindStringSubmatch(entry)
		if m == nil || m[1] != "7" && m[2] != "7" || m[2] != "" && m[1] > m[2] {
			out = append(out, entry)
			continue
		}
		step, err := strconv.Atoi(m[3])
		if err != nil {
			step = 1
		}
		for day := m[1][0]; day <= '7'; day += byte(step) {
			out = append(out, strings.Replace(string(day), "7", "0", 1))
		}
	}
	return strings.Join(out, ",")
}

func daily(m []string, week string) string {
	return strings.TrimPrefix(m[2], "0") + " " + strings.TrimPrefix(m[1], "0") + " * * " + week
}

// nearest is the valid form that somebody who wrote text meant, or "".
func nearest(text string) string {
	switch text {
	case "@hourly", "every hour", "1h", "hour":
		return "hourly"
	case "daily", "@daily", "@midnight", "nightly", "every day", "1d", "24h":
		return "02:00"
	case "weekly", "@weekly", "every week", "1w", "7d":
		return "Mon 03:30"
	case "monthly", "@monthly", "every month":
		return "0 2 1 * *"
	case "yearly", "@yearly", "@annually":
		return "0 2 1 1 *"
	}
	if m := regexp.MustCompile(`^([0-9]+)m(in)?$`).FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 && n < 60 {
			return fmt.Sprintf("*/%d * * * *", n)
		}
	}
	first, rest, two := strings.Cut(text, " ")
	if m := weekday.FindStringSubmatch(first); m != nil {
		at := "03:30"
		if two {
			at = hour(rest)
		}
		if at == "" {
			return ""
		}
		return strings.ToUpper(m[1][:1]) + m[1][1:] + " " + at
	}
	return hour(text)
}

// hour writes what looks like a time of day as HH:MM, or "".
func hour(text string) string {
	m := like.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	h, _ := strconv.Atoi(m[1]) // the pattern allows digits only
	minutes, _ := strconv.Atoi("0" + m[2])
	switch {
	case m[3] == "pm" && h < 12:
		h += 12
	case m[3] == "am" && h == 12, h == 24 && minutes == 0:
		h = 0
	}
	if h > 23 || minutes > 59 {
		return ""
	}
	return fmt.Sprintf("%02d:%02d", h, minutes)
}

// plain takes the parser's own wording without what it quotes of Go.
func plain(err error) string {
	text := err.Error()
	if i := strings.Index(text, ": strconv."); i >= 0 {
		text = text[:i]
	}
	return text
}
