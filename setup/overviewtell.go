package setup

import (
	"context"
	"strings"

	"pgvault/config"
	"pgvault/vault"
	"pgvault/vault/tell"
)

// tellSection is the Setup page's row of who is told when something is the
// matter. Of an address it shows the scheme, and the host where that is no
// secret.
func tellSection(ctx context.Context, conf *config.Config, v vault.Desk) Section {
	const table, try = "[tell]", "pgvault alert test tries all of it"
	broken := notArriving(ctx, v)
	var who []string
	var lines []vault.Check
	add := func(name, short, told string) {
		who = append(who, short)
		if why, is := broken[name]; is {
			lines = append(lines, note("mend it, then: pgvault alert test", "%s: what is to be told does not arrive: %s", name, why))
			return
		}
		lines = append(lines, ok("%s %s", name, told))
	}
	for _, name := range tell.Names(conf.Tell.OnFailure) {
		add(name, name, "hears of each failure, of what is late, and when that is over")
	}
	if file := conf.Tell.PingFile; file != "" {
		name := tell.ShowPing(file)
		if err := tell.CheckPing(file); err != nil {
			broken[name] = err.Error()
		}
		add(name, name, "hears of each start and end, and each hour; it speaks up when it hears nothing")
	}
	if file := conf.Tell.MetricsFile; file != "" {
		add("metrics_file "+file, "metrics", "has ages, sizes, proofs and copies for Prometheus")
	}
	if len(who) == 0 {
		return section("Tell", table, "nobody is told when a backup fails or is late", "nobody",
			[]vault.Check{note("add on_failure = [\"smtp://…\"] under [tell]; "+try, "only who looks here hears of a failure")})
	}
	if every := conf.Tell.Reminder; every > 0 {
		lines = append(lines, vault.Check{Text: "once for each change, and again after " + config.FormatDuration(every) + "; " + try})
	}
	return section("Tell", table, strings.Join(who, ", "), "does not arrive", lines)
}

// notArriving gives why the last message did not arrive, by sink.
func notArriving(ctx context.Context, v vault.Desk) map[string]string {
	out := map[string]string{}
	h, found := v.(healthOf)
	if !found {
		return out
	}
	health, err := h.Health(ctx)
	if err != nil {
		return out // the section of the keys tells why
	}
	for _, w := range health.Warnings {
		if name, is := strings.CutPrefix(w.Key, "sink/"); is {
			out[name] = w.Why
		}
	}
	return out
}
