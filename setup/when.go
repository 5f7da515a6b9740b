package setup

import (
	"strings"
	"time"

	"pgvault/timer"
	"pgvault/vault/schedule"
)

// Starter is when backups start by a set-up's choice, and what starts them.
type Starter struct {
	Schedule string // for the configuration
	Crontab  string // lines for crontab -e
	Service  string // /etc/systemd/system/pgvault.service
	Timer    string // /etc/systemd/system/pgvault.timer
}

// NewStarter chooses a schedule that runs a backup often enough for a newest
// backup never to be older than maxAge: half of it, so that one failure leaves
// time for another try. plan says what is started, without its schedules.
func NewStarter(plan timer.Plan, maxAge time.Duration) (Starter, error) {
	text := often(maxAge / 2)
	s, err := schedule.Parse(text, time.Local)
	if err != nil {
		return Starter{}, err
	}
	plan.Schedules = []*schedule.Schedule{s}
	return Starter{Schedule: text, Crontab: strings.Join(plan.Crontab(), "\n"), Service: plan.Service(), Timer: plan.Timer()}, nil
}

// often is a schedule for every so often: the longest step of the clock that
// is no longer than every.
func often(every time.Duration) string {
	for _, s := range []struct {
		every time.Duration
		text  string
	}{
		{7 * 24 * time.Hour, "Mon 02:00"},
		{24 * time.Hour, "02:00"},
		{12 * time.Hour, "0 2,14 * * *"},
		{6 * time.Hour, "0 2,8,14,20 * * *"},
		{3 * time.Hour, "0 */3 * * *"},
		{time.Hour, "hourly"},
		{30 * time.Minute, "*/30 * * * *"},
		{15 * time.Minute, "*/15 * * * *"},
	} {
		if s.every <= every {
			return s.text
		}
	}
	return "*/5 * * * *"
}
