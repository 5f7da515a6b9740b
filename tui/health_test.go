package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"pgvault/vault"
)

func TestHealthAnswersTheQuestion(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	r.wants("! 1 of 5 databases could lose more than you allowed", "checked just now", "> analytics  ", "! LATE", "3d ago",
		"what  no good backup for 3 days", "why   refused", "left  nothing was written", "do    free space", "1 of 2!", "never yet",
		"188 of 500 GiB free", "nas sftp://nas/pg   ! unreachable", "2 recipients (ops-2024, safe-box)", "4d ago")
	r.keys("G")
	r.wants("> ! nothing starts backups by itself", "the vault", "why   no timer was found", "do    install a timer")
	r.keys("r")
	r.wants("no database is selected")
}

func TestHealthOfNoDatabaseAtRisk(t *testing.T) {
	d := sampleDesk()
	d.health.Databases, d.health.Warnings = d.health.Databases[1:], nil
	r := newRig(t, d, Options{}, 80, 24)
	r.wants("ok 4 of 4 databases within what you allowed", "nothing is known against it")
}

// TestHealthMarksAnOldProof: a proof that is older than allowed is marked in
// its row, at any width that shows the column.
func TestHealthMarksAnOldProof(t *testing.T) {
	for _, w := range []int{200, 80, 60, 50} {
		d := sampleDesk()
		h := *d.health
		h.Databases = slices.Clone(h.Databases)
		for i := range h.Databases {
			h.Databases[i].ProofLate = h.Databases[i].Database == "billing"
		}
		d.health = &h
		r := newRig(t, d, Options{}, w, 24)
		n := 0
		for _, line := range strings.Split(r.screen(), "\n") {
			if at := strings.Index(line, "! 4d"); at > 0 && strings.Contains(line[:at], "billing") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("at %d columns %d rows are marked:\n%s", w, n, r.screen())
		}
	}
}

// TestHealthFirstFrameIsTheRememberedList: before the health has come, the
// rows stand as the listing knows them, and say so.
func TestHealthFirstFrameIsTheRememberedList(t *testing.T) {
	m := newModel(&engine{ctx: t.Context(), vault: sampleDesk().vault(), now: func() time.Time { return clockAt }}, Options{Now: func() time.Time { return clockAt }})
	m.readList.begin()
	if !strings.Contains(ansi.Strip(m.View().Content), "reading the vault...") {
		t.Error("the very first frame")
	}
	m.g.pending++
	_, cmd := m.Update(told{listMsg{list: sampleDesk().list, at: clockAt.Add(-3 * time.Hour), old: true}})
	s := ansi.Strip(m.View().Content)
	for _, want := range []string{"looking at the databases...", "archives as of 3h ago", "billing", "32h ago", "being looked at"} {
		if !strings.Contains(s, want) {
			t.Errorf("lacks %q:\n%s", want, s)
		}
	}
	if cmd == nil || m.g.pending != 2 {
		t.Error("the remembered list is not followed by a fresh one and the health")
	}
}

func TestHealthSelectionStaysOnItsRow(t *testing.T) {
	d := sampleDesk()
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("j", "j")
	r.wants("> shop")
	h := *d.health
	h.Databases = []vault.DatabaseHealth{h.Databases[2], h.Databases[0], h.Databases[1]}
	d.health = &h
	r.keys("R")
	r.settle()
	r.wants("> shop")
	if r.m.home[0].(*health).sel != 0 {
		t.Error("the selection did not move with its row")
	}
}

func TestHealthRunningShowsItsShare(t *testing.T) {
	for _, c := range []struct {
		stage vault.Stage
		p     *vault.Progress
		want  string
	}{
		{vault.StageData, wikiJob().Progress, "~ 42%"},
		{vault.StageData, &vault.Progress{Rows: 9, RowsTotal: 9}, "~ 99%"},
		{vault.StageReadBack, &vault.Progress{Rows: 5, RowsTotal: 10}, "~ read back"},
		{vault.StageSnapshot, nil, "~ snapshot"},
		{"", nil, "~ starts"},
	} {
		j := wikiJob()
		j.Stage, j.Progress = c.stage, c.p
		d := sampleDesk()
		j.Order.Database = "shop"
		d.setJobs(j)
		r := newRig(t, d, Options{}, 80, 24)
		if line := strings.Split(r.screen(), "\n")[7]; !strings.Contains(line, "shop") || !strings.Contains(line, " "+c.want+" ") || !strings.HasSuffix(line, "now") {
			t.Errorf("%s: %q", c.want, line)
		}
		r.lacks("100%")
	}
}

func TestHealthEnterOpensTheRunningJob(t *testing.T) {
	d := sampleDesk()
	d.health.Databases[0].Database = "wiki"
	d.setJobs(wikiJob())
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("enter")
	r.wants("BACKUP wiki", "job 7f3a")
	r.keys("1", "j", "enter")
	r.wants("billing", "last good  04 Sep 13:07:00 CEST = 11:07:00Z, 1h ago", "allowed    1d", "2 lists them all")
	r.keys("esc", "l")
	r.wants("no job about it is remembered")
}

func TestHealthThatCannotBeReadAgain(t *testing.T) {
	d := sampleDesk()
	r := newRig(t, d, Options{}, 80, 24)
	d.listErr = errors.New("place is away")
	r.keys("R")
	r.settle()
	r.wants("! as of just now", "> analytics  ", "! LATE")
}

func TestHealthFilter(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	r.keys("/")
	r.typeText("!ok bill")
	r.wants(`nothing matches "!ok bill"`)
	r.keys("esc")
	r.wants("> analytics")
	r.keys("/")
	r.typeText("late")
	r.keys("enter")
	r.wants("analytics")
	r.lacks("billing  ")
}

func TestHealthColumnsDropInOrder(t *testing.T) {
	next := clockAt
	for _, c := range []struct {
		db, next string
		known    known
		want     string
	}{
		{"analytics_db", "in 53m", known{health: &vault.Health{Databases: []vault.DatabaseHealth{{DatabaseStatus: vault.DatabaseStatus{NextRun: &next}}}}}, "ALLOWED, NEXT RUN, COPIES, PROVEN, LAST GOOD"},
		{"analytics_db1", "-", known{}, "NEXT RUN, ALLOWED, COPIES, PROVEN, LAST GOOD"},
	} {
		cells := []string{c.db, "! LATE", "3d ago", "1d", "12d ago", "3 of 3", c.next}
		var gone []string
		last := map[string]bool{}
		for w := 100; w >= 22; w-- {
			_, widths := healthWidths(env{w: w, know: &c.known}, [][]string{cells})
			for i, name := range []string{"DATABASE", "STATE", "LAST GOOD", "ALLOWED", "PROVEN", "COPIES", "NEXT RUN"} {
				if last[name] && widths[i] == 0 {
					gone = append(gone, name)
				}
				last[name] = widths[i] > 0
			}
			if w >= 42 && widths[0] < len(c.db) || widths[0] < 10 {
				t.Errorf("%d columns leave %d cells for the name %s", w, widths[0], c.db)
			}
		}
		if got := strings.Join(gone, ", "); got != c.want {
			t.Errorf("dropped: %s, not %s", got, c.want)
		}
	}
}

func TestAllowanceReadsAsItWasSet(t *testing.T) {
	for secs, want := range map[int64]string{86400: "1d", 7200: "2h", 129600: "36h", 691200: "8d", 90: "2m", 5400: "90m"} {
		if got := allowance(secs); got != want {
			t.Errorf("%d s: %s, want %s", secs, got, want)
		}
	}
}

// TestADeadPlaceDoesNotHoldUpHealth: the first frame is what is remembered, the
// place is asked, and in the end unreachable; keys work all the while.
func TestADeadPlaceDoesNotHoldUpHealth(t *testing.T) {
	d := sampleDesk()
	d.cached = d.list
	early := *d.health
	early.Places = []vault.PlaceHealth{d.health.Places[0], {Name: "nas", URL: "sftp://nas/pg", State: vault.PlaceAsking, Text: "asking...; 3 hours ago it held 6 archives"}}
	d.early, d.answered = &early, make(chan struct{})
	r := unsettledRig(t, d, 100, 30)
	r.until("the early health", func() bool { return r.m.know.health != nil })
	r.wants("! LATE", "~ asking...; 3 hours ago it held 6 archives", "188 of 500 GiB free")
	r.keys("down")
	r.wants("> billing")
	close(d.answered)
	r.settle()
	r.wants("> billing", "! unreachable")
	r.lacks("asking")
	// Later looks do not begin with what is not known.
	d.answered = make(chan struct{})
	r.keys("R")
	r.update(earlyHealthMsg{&early})
	r.wants("! unreachable")
	r.lacks("asking")
	close(d.answered)
	r.settle()
}

func TestTheFirstFrameAsksThePlaces(t *testing.T) {
	d := sampleDesk()
	d.cached = d.list
	d.early, d.answered = &vault.Health{}, make(chan struct{})
	defer close(d.answered)
	r := unsettledRig(t, d, 100, 30)
	r.until("the list", func() bool { return r.m.know.listed })
	r.wants("looking at the databases", "places     disk   ~ asking...", "s3   ~ asking...")
}
