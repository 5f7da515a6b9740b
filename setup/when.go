package setup

import (
	"fmt"
	"strings"
	"time"
)

// Starter is a way to have backups started: nothing does it by itself.
type Starter struct {
	Crontab string // one line for crontab -e
	Service string // /etc/systemd/system/pgvault-backup.service
	Timer   string // /etc/systemd/system/pgvault-backup.timer
}

// NewStarter writes the crontab line and the systemd units that run a backup
// often enough for a newest backup never to be older than maxAge: half of it,
// so that one failure leaves time for another try. program is the absolute
// path of pgvault, path that of its configuration, user who runs it.
func NewStarter(program, path, user string, maxAge time.Duration) Starter {
	command := word(program) + " -c " + word(path) + " backup"
	cron, calendar := schedule(maxAge / 2)
	return Starter{
		// A percent sign is a line end to cron.
		Crontab: cron + " " + strings.ReplaceAll(command, "%", `\%`),
		Service: fmt.Sprintf("[Unit]\nDescription=pgvault backup\nAfter=network-online.target postgresql.service\nWants=network-online.target\n\n"+
			"[Service]\nType=oneshot\nUser=%s\nExecStart=%s\nNice=5\n", user, strings.ReplaceAll(command, "%", "%%")),
		Timer: fmt.Sprintf("[Unit]\nDescription=pgvault backup, %s\n\n[Timer]\nOnCalendar=%s\nPersistent=true\nRandomizedDelaySec=%s\n\n[Install]\nWantedBy=timers.target\n", calendarWords(calendar), calendar, delay(maxAge/2)),
	}
}

// schedule is every so often as cron and systemd.time write it: the longest
// step of the clock that is no longer than every.
func schedule(every time.Duration) (cron, calendar string) {
	for _, s := range []struct {
		every          time.Duration
		cron, calendar string
	}{
		{7 * 24 * time.Hour, "0 2 * * 1", "Mon *-*-* 02:00:00"},
		{24 * time.Hour, "0 2 * * *", "*-*-* 02:00:00"},
		{12 * time.Hour, "0 2,14 * * *", "*-*-* 02,14:00:00"},
		{6 * time.Hour, "0 2,8,14,20 * * *", "*-*-* 02,08,14,20:00:00"},
		{3 * time.Hour, "0 */3 * * *", "*-*-* 00/3:00:00"},
		{time.Hour, "0 * * * *", "*-*-* *:00:00"},
		{30 * time.Minute, "*/30 * * * *", "*-*-* *:00/30:00"},
		{15 * time.Minute, "*/15 * * * *", "*-*-* *:00/15:00"},
	} {
		if s.every <= every {
			return s.cron, s.calendar
		}
	}
	return "*/5 * * * *", "*-*-* *:00/5:00"
}

// calendarWords names a schedule for the unit's description.
func calendarWords(calendar string) string {
	return "at " + strings.TrimPrefix(calendar, "*-*-* ")
}

// delay spreads the hosts of a site without using up the time there is.
func delay(every time.Duration) string {
	if every >= 6*time.Hour {
		return "15min"
	}
	return "1min"
}

// word writes s so that a shell and systemd read it as one word.
func word(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
