package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/job"
)

// drillLoop runs the loop of a drill machine with a clock of its own until it
// has waited for so many moments, and gives what it told.
func drillLoop(t *testing.T, v *Vault, now *time.Time, l DrillLoop, waits int) []string {
	t.Helper()
	var told []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var until time.Time
	l.Tell = func(e DrillEvent) {
		line := e.Kind
		switch e.Kind {
		case "waiting", "problem":
			until = e.Until
			if waits--; waits == 0 {
				cancel()
			}
			line += " " + e.Until.Format("Mon 15:04")
		case "ended":
			line = fmt.Sprint(line, " ", e.Err)
		case "round":
			line = fmt.Sprint(line, " ", len(e.Round.Databases))
		}
		told = append(told, line)
	}
	l.Wait = func(ctx context.Context, d time.Duration) error {
		if ctx.Err() == nil {
			*now = until
		}
		return ctx.Err()
	}
	if err := v.RunRestoreDrills(ctx, l); err != nil {
		t.Fatal(err)
	}
	return told
}

// TestDrillLoop: a process that stays proves what is due at its turn, waits
// for the next, and ends without an error; what keeps it from beginning is
// told and tried again.
func TestDrillLoop(t *testing.T) {
	create(t, "drill_loop", "")
	sql(t, "drill_loop", "CREATE TABLE t AS SELECT g AS v FROM generate_series(1, 10) g")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "drill_loop"}).ok(t)
	d := drillMachine(t, w)
	v := d.vault()
	now := time.Date(2031, 3, 3, 12, 0, 0, 0, time.UTC) // a Monday
	v.now = func() time.Time { return now }
	asked := 0
	l := DrillLoop{Drill: RestoreDrill{Level: ProofReadable, Every: 5 * day, Schedule: mustSchedule(t, "Sun 04:00", "UTC")},
		Identities: func() (Identities, error) {
			if asked++; asked == 1 {
				return Identities{}, &fault.Error{What: "the key is not there yet", Code: fault.NoKey}
			}
			return d.ids, nil
		}}
	got := drillLoop(t, v, &now, l, 3)
	want := []string{"problem Mon 12:05", "started", "ended <nil>", "round 1", "waiting Sun 04:00", "started", "ended <nil>", "round 1", "waiting Sun 04:00"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if n := len(w.list()[0].Proofs); n != 3 {
		t.Errorf("%d proofs", n)
	}
	// Another drill of this vault is at it: the loop looks again.
	now = now.AddDate(0, 0, 7)
	unlock, err := job.Lock(v.lockDir(), "drill-main", "x", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := drillLoop(t, v, &now, l, 1); len(got) != 1 || !strings.HasPrefix(got[0], "problem ") {
		t.Errorf("beside another: %q", got)
	}
	unlock()
	// An archive that is damaged is told, and does not end the loop.
	w.harm("place", "drill_loop", w.list()[0].ID, "main.dump.zst.age")
	got = drillLoop(t, v, &now, l, 1)
	if len(got) != 4 || !strings.HasPrefix(got[1], "ended ") || got[1] == "ended <nil>" || !strings.HasPrefix(got[3], "waiting ") {
		t.Errorf("a damaged archive: %q", got)
	}
	v.c.ReadOnly = true
	if err := v.RunRestoreDrills(t.Context(), l); fault.CodeOf(err) != fault.Refused || errors.Is(err, context.Canceled) {
		t.Errorf("read-only: %v", err)
	}
}
