package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/retention"
)

// sampleLook has forty days of shop, some of them marked, a few archives of
// billing with rules of its own, and one of a hostile name.
func sampleLook() *vault.RetentionLook {
	l := &vault.RetentionLook{At: clockAt, Zone: clockAt.Location(), Rules: map[string]vault.RetentionRules{}}
	add := func(database string, n int, every time.Duration, stored int64) {
		for i := range n {
			at := clockAt.Add(-12 * time.Hour).Add(-time.Duration(i) * every)
			c := retention.Archive{ID: at.UTC().Format("20060102T150405Z") + fmt.Sprintf("-%04x", i), Database: database, Time: at, Seq: int64(n - i), Good: true, Ref: len(l.Archives)}
			c.Proven, c.Pinned = i == 4, i == 30
			if i >= 35 {
				c.Marked, c.NotBefore = true, clockAt.Add(time.Duration(i-38)*24*time.Hour)
			}
			l.Archives = append(l.Archives, c)
			l.Places = append(l.Places, []vault.PlaceBytes{{Place: "disk", Bytes: stored}, {Place: "s3", Bytes: stored}})
		}
	}
	add("shop", 40, 24*time.Hour, 2<<30)
	add("billing", 6, 7*24*time.Hour, 5<<20)
	add(hostile, 1, time.Hour, 1000)
	rules := func(from string, p retention.Policy) vault.RetentionRules {
		return vault.RetentionRules{Rules: retention.Rules{Policy: p, Grace: 48 * time.Hour}, From: from, Chosen: true}
	}
	l.Rules["shop"] = rules("", retention.Policy{Daily: 7, Weekly: 4, Within: 36 * time.Hour})
	l.Rules[hostile] = l.Rules["shop"]
	l.Rules["billing"] = rules("billing", retention.Policy{Last: 3})
	return l
}

// onRetention shows the preview of the database of the first archive: shop.
func onRetention(t *testing.T, w, h int, o Options, change func(*fakeDesk)) *rig {
	t.Helper()
	d := sampleDesk()
	d.look = sampleLook()
	if change != nil {
		change(d)
	}
	r := onBackups(t, d, o, w, h)
	r.keys("p")
	r.settle()
	return r
}

func init() {
	type open = func(t *testing.T, w, h int, o Options) *rig
	for name, f := range map[string]open{
		"retention": func(t *testing.T, w, h int, o Options) *rig { return onRetention(t, w, h, o, nil) },
		"retention all": func(t *testing.T, w, h int, o Options) *rig {
			r := onRetention(t, w, h, o, nil)
			r.keys("o", "down", "down")
			return r
		},
		"retention try": func(t *testing.T, w, h int, o Options) *rig {
			r := onRetention(t, w, h, o, nil)
			r.keys("3", "right", "+", "down")
			return r
		},
		"retention empty policy": func(t *testing.T, w, h int, o Options) *rig {
			r := onRetention(t, w, h, o, nil)
			r.keys("0", "right", "0", "right", "right", "right", "0")
			return r
		},
		"retention refused": func(t *testing.T, w, h int, o Options) *rig {
			return onRetention(t, w, h, o, func(d *fakeDesk) {
				d.look.Refused, d.look.Do = "the place s3 could not be listed: "+hostile, "see that it answers (pgvault place test s3), then run again"
			})
		},
		"retention unknown": func(t *testing.T, w, h int, o Options) *rig {
			return onRetention(t, w, h, o, func(d *fakeDesk) {
				d.lookErr = &fault.Error{What: "no place answers", Why: hostile, Left: "all", Do: "R tries again"}
			})
		},
		"retention of nothing": func(t *testing.T, w, h int, o Options) *rig {
			return onRetention(t, w, h, o, func(d *fakeDesk) { d.look = &vault.RetentionLook{At: clockAt} })
		},
		"retention apply": func(t *testing.T, w, h int, o Options) *rig {
			r := onRetention(t, w, h, o, nil)
			r.keys("A")
			return r
		},
		"undo mark": func(t *testing.T, w, h int, o Options) *rig {
			r := onBackups(t, markedDesk(), o, w, h)
			r.keys("down", "U")
			return r
		},
		"marked": func(t *testing.T, w, h int, o Options) *rig {
			r := onBackups(t, markedDesk(), o, w, h)
			r.keys("down")
			return r
		},
	} {
		everyScreen[name] = f
	}
}

// markedDesk has archives that are marked to go, now, later, and pinned.
func markedDesk() *fakeDesk {
	d := sampleDesk()
	d.list[0].Expires, d.list[0].Pinned = ptr(clockAt.Add(time.Hour)), true
	d.list[1].Expires = ptr(clockAt.Add(43 * time.Hour))
	d.list[2].Expires = ptr(clockAt.Add(-time.Hour))
	d.health.Retention = &vault.NextRetention{Chosen: true, At: ptr(clockAt.Add(12 * time.Hour)), Goes: 3, Frees: 19 << 30, Waits: 5}
	return d
}

func TestGoldenRetention(t *testing.T) {
	for _, name := range []string{"retention", "retention all", "retention try", "retention refused", "retention empty policy", "retention apply", "undo mark", "marked"} {
		t.Run(name, func(t *testing.T) { golden(t, name, everyScreen[name](t, 80, 24, Options{}).screen()) })
	}
	for size, wh := range map[string][2]int{"120x40": {120, 40}, "60x20": {60, 20}, "40x12": {40, 12}, "30x8": {30, 8}} {
		for _, name := range []string{"retention try", "retention apply"} {
			t.Run(name+" "+size, func(t *testing.T) {
				golden(t, name+" "+size, everyScreen[name](t, wh[0], wh[1], Options{ASCII: true}).screen())
			})
		}
	}
}

// TestRetentionFollowsEveryKey is the table of keys and what the preview says
// after them.
func TestRetentionFollowsEveryKey(t *testing.T) {
	for _, c := range []struct {
		keys string
		want []string
	}{
		{"", []string{"RETENTION PREVIEW shop (3 of 3)", "daily [7]", "weekly 4", "within 1d12h", "rules of [defaults], for 2 databases", "as configured", "keep 10"}},
		{"+", []string{"daily [8*]", "a try: nothing is changed", "keep 11"}},
		{"+ -", []string{"daily [7]", "as configured", "keep 10"}},
		{"- -", []string{"daily [5*]", "keep 9"}},
		{"3 0", []string{"daily [30*]", "keep 31"}},
		{"3 0 backspace", []string{"daily [3*]"}},
		{"3 0 right 9", []string{"daily 30*", "weekly [9*]"}},
		{"3 0 left left 2", []string{"last [2*]", "daily 30*"}},
		{"3 0 z", []string{"daily [7]", "as configured"}},
		{"right right right right 2 0", []string{"within [20d*]"}},
		{"right right right right +", []string{"within [2d*]"}},
		{"0 right 0 right right right 0", []string{"what  retention decides nothing", "the policy has no rule", "left  nothing was marked or removed"}},
		{"tab", []string{"all databases", "DATABASE", "rules of [defaults]", "billing", "keep 15"}},
		{"tab tab", []string{"billing (1 of 3)", "last 3", `rules of [[database]] name = "billing", for 1 database`}},
		{"9 tab", []string{"daily [9*]", "all databases", "keep 17"}},
		{"9 tab tab", []string{"billing (1 of 3)", "a try: nothing is changed", "daily [0]"}},
		{"shift+tab", []string{"(2 of 3)", "the newest good"[4:10]}},
		{"o", []string{"all databases"}},
		{"down down", []string{"> 02 Sep 02:07"}},
		{"end", []string{"> 27 Jul 02:07", "x goes 05 Sep"}},
	} {
		r := onRetention(t, 80, 24, Options{}, nil)
		r.keys(strings.Fields(c.keys)...)
		if s := r.screen(); slices.ContainsFunc(c.want, func(p string) bool { return !strings.Contains(s, p) }) {
			t.Errorf("after %q, wanted %q:\n%s", c.keys, c.want, s)
		}
	}
}

func TestRetentionAppliesByItsNumber(t *testing.T) {
	r := onRetention(t, 80, 24, Options{}, nil)
	r.keys("A", "enter")
	r.wants("nothing was changed")
	plan := r.m.page().(*retentionPage).plan
	n := fmt.Sprint(plan.Confirm())
	r.keys("A", "tab")
	r.wants("Apply is off until 29 is typed", "[ Keep all ]", "removes 4 archives for good", "marks 25 archives, which go from 06 Sep 14:07")
	r.typeText(n[:1])
	r.keys("enter")
	r.keys("A")
	r.typeText(n)
	r.wants("[ Apply ]")
	r.keys("shift+tab", "enter", "A")
	r.update(tea.PasteMsg{Content: n + "1"})
	r.wants("[ Keep all ]")
	r.keys("backspace")
	if len(r.d.calls()) > 0 {
		t.Fatalf("%v", r.d.calls())
	}
	r.keys("enter")
	r.until("the job", func() bool { return len(r.d.calls()) > 0 })
	r.settle()
	want := plan.Order(plan.Confirm())
	if got := r.d.orders[0]; fmt.Sprint(got) != fmt.Sprint(want) || got.Confirm != plan.Confirm() || got.Plan == "" || got.Database != "shop" {
		t.Errorf("%+v", got)
	}
	r.wants("[3 Activity]", "RETENTION shop")
}

func TestRetentionSaysWhyNot(t *testing.T) {
	look := func(change func(d *fakeDesk)) func(*fakeDesk) { return change }
	for _, c := range []struct {
		name   string
		change func(*fakeDesk)
		keys   []string
		want   string
	}{
		{"a try", nil, []string{"+", "A"}, "these rules are a try: w writes them"},
		{"no change", nil, []string{"w"}, "the configuration has these rules already"},
		{"no configuration", nil, []string{"+", "w"}, "this screen was opened without a configuration"},
		{"nothing tried", nil, []string{"z"}, "nothing was changed"},
		{"group", look(func(d *fakeDesk) {
			d.access = &vault.Access{User: "dba-1", Owner: "pgvault", System: true, Why: "the vault belongs to pgvault: sudo -u pgvault pgvault"}
		}), []string{"A"}, "the vault belongs to pgvault"},
		{"group writes", look(func(d *fakeDesk) {
			d.access = &vault.Access{User: "dba-1", Owner: "pgvault", System: true, Why: "the vault belongs to pgvault: sudo -u pgvault pgvault"}
		}), []string{"+", "w"}, "the vault belongs to pgvault"},
		{"refused", look(func(d *fakeDesk) { d.look.Refused = "clocks differ" }), []string{"A"}, "nothing may go now: clocks differ"},
		{"empty policy", nil, []string{"0", "right", "0", "right", "right", "right", "0", "w"}, "these rules cannot be followed"},
		{"not marked", nil, []string{"U"}, "it is not marked to go"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := onRetention(t, 80, 24, Options{}, c.change)
			r.keys(c.keys...)
			r.settle()
			r.wants(c.want)
			if len(r.d.calls()) > 0 || len(r.m.dialogs) > 0 {
				t.Errorf("something was done: %v", r.d.calls())
			}
		})
	}
	r := onRetention(t, 80, 24, Options{ReadOnly: true}, nil)
	r.keys("+")
	r.wants("daily [8*]")
	r.keys("A")
	r.wants("read only (--read-only)")
}

// TestRetentionIsAskedOnce: keys plan from what was looked at; R, and what
// changes something, look again.
func TestRetentionIsAskedOnce(t *testing.T) {
	d := sampleDesk()
	d.look = sampleLook()
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("4", "p")
	r.settle()
	r.wants("all databases", "billing")
	d.look = sampleLook()
	d.look.Archives = d.look.Archives[:40] // shop alone
	delete(d.look.Rules, "billing")
	r.keys("+", "-", "tab")
	r.wants("billing (1 of 3)")
	r.keys("R")
	r.wants("looking again")
	r.settle()
	r.wants("all databases", "keep 10")
	d.lookErr = &fault.Error{What: "down"}
	r.keys("R")
	r.settle()
	r.wants("! as of just now", "keep 10")
	r.keys("esc")
	r.wants("[4 Setup]")
	r.lacks("RETENTION")
}

func TestRetentionFromHealthIsOfItsRow(t *testing.T) {
	d := sampleDesk()
	d.look = sampleLook()
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("down", "p")
	r.settle()
	r.wants("RETENTION PREVIEW billing")
	r.keys("alt+2")
	r.wants("[2 Backups]")
	r.keys("p")
	r.settle()
	r.update(tea.KeyPressMsg{Code: '3', Mod: tea.ModAlt})
	r.wants("[3 Activity]")
}

// TestRetentionWritesByReview: w shows the diff of the one line; nothing is
// saved before it was answered.
func TestRetentionWritesByReview(t *testing.T) {
	open := func() *rig {
		r := onSetup(t, 80, 24, Options{})
		d := r.d
		d.look = sampleLook()
		for name, rule := range d.look.Rules {
			rule.From, rule.Policy = "", retention.Policy{Last: 9}
			d.look.Rules[name] = rule
		}
		r.keys("p")
		r.settle()
		r.keys("left", "left", "5", "w")
		r.settle()
		return r
	}
	r := open()
	before := r.config()
	r.wants("last = 9", "last = 5", "Keep the old file")
	r.keys("enter")
	r.settle()
	if r.config() != before || r.copies() != 0 {
		t.Error("the file was changed, or a copy was left")
	}
	r.wants("RETENTION PREVIEW", "last [5*]")
	r.keys("w")
	r.settle()
	r.keys("tab")
	if n := r.m.top().(*review).needs(); n != "" {
		r.keys("tab")
		r.typeText(n)
	}
	r.keys("enter")
	r.settle()
	if got := r.config(); got != strings.Replace(before, "last = 9", "last = 5", 1) {
		t.Errorf("%s", got)
	}
	r.wants("saved: defaults.keep")
}

// TestRetentionThatCannotBeWritten gives the line to paste.
func TestRetentionThatCannotBeWritten(t *testing.T) {
	r := onSetup(t, 80, 24, Options{})
	r.d.look = sampleLook()
	r.keys("p")
	r.settle()
	r.update(keepBegunMsg{act: saveKeep{"billing", retention.Policy{Daily: 4}}, err: fmt.Errorf("line 3: %w", errKeepForm(t, r.m.o.Setup))})
	r.until("the copy", func() bool { return r.copied != "" })
	r.wants("this is for your editor", "keep = { daily = 4 }", `[[database]] name = "billing"`)
	if !strings.Contains(r.copied, "keep = { daily = 4 }") {
		t.Errorf("copied %q", r.copied)
	}
}

// errKeepForm is what the set-up says of a policy that stands nowhere in the
// file.
func errKeepForm(t *testing.T, d *setup.Desk) error {
	t.Helper()
	e, err := d.BeginKeep("billing", retention.Policy{Daily: 4})
	if err == nil || e != nil {
		t.Fatalf("%v, %v", e, err)
	}
	return err
}

func TestMarksAreShownAndUndone(t *testing.T) {
	d := markedDesk()
	r := newRig(t, d, Options{}, 100, 30)
	r.wants("retention  -3, 19 GiB, tonight; 5 more later")
	r.keys("2")
	r.wants("pinned", "! 06 Sep", "! goes")
	r.keys("down")
	r.wants("marked    goes from 06 Sep 09:07, unless a rule keeps it then; U takes the mark away")
	r.keys("U")
	r.wants("take the mark away?", "[ Leave it marked ]", "is marked to go from 06 Sep 09:07")
	r.keys("enter", "enter")
	r.wants("marked    goes from") // on its own page
	r.keys("U", "tab", "enter")
	r.settle()
	r.wants("not marked any more")
	if got := fmt.Sprint(d.calls()); got != "[keep billing/"+d.list[1].ID+"]" {
		t.Error(got)
	}
}

func TestRetentionLineOfHealth(t *testing.T) {
	e := env{now: clockAt, loc: clockAt.Location()}
	at := func(d time.Duration) *time.Time { return ptr(clockAt.Add(d)) }
	for _, c := range []struct {
		n    *vault.NextRetention
		want string
	}{
		{nil, ""},
		{&vault.NextRetention{}, "nobody chose what to keep: nothing goes by itself   (p tries rules)"},
		{&vault.NextRetention{Chosen: true, Refused: "clock"}, "! nothing goes: clock"},
		{&vault.NextRetention{Chosen: true, At: at(12 * time.Hour)}, "nothing goes next"},
		{&vault.NextRetention{Chosen: true, Goes: 3, Frees: 1288490188, At: at(12 * time.Hour)}, "-3, 1.2 GiB, tonight"},
		{&vault.NextRetention{Chosen: true, Goes: 3, Frees: 1 << 30, At: at(time.Hour)}, "-3, 1.0 GiB, at 15:07"},
		{&vault.NextRetention{Chosen: true, Goes: 1, Frees: 5, At: at(60 * time.Hour), Waits: 2}, "-1, 5 B, on 07 Sep 02:07; 2 more later"},
		{&vault.NextRetention{Chosen: true, Goes: 1, Frees: 5}, "-1, 5 B, with the next backup"},
		{&vault.NextRetention{Chosen: true, Asks: []string{"shop"}, At: at(-time.Hour), Waits: 1}, "nothing goes now; 1 more later; ! much of shop would go: p asks"},
	} {
		if got := retentionLine(e, c.n); got != c.want {
			t.Errorf("%+v: %q, want %q", c.n, got, c.want)
		}
	}
}

func TestTimelineMarks(t *testing.T) {
	for reasons, want := range map[string]byte{
		"daily 2 of 7": 'D', "daily 1 of 7; weekly 1 of 4; newest good": 'W', "pinned": 'P', "pinned; daily 1 of 7": 'D',
		"newest good": 'o', "within 14 days": 'I', "yearly 1 of 2; monthly 1 of 6": 'Y', "last 1 of 3; hourly 1 of 2": 'H',
	} {
		if got := ruleMark(strings.Split(reasons, "; ")); got != want {
			t.Errorf("%s: %c, want %c", reasons, got, want)
		}
	}
	for span, want := range map[time.Duration]string{5 * 365 * day: "2023", 90 * day: "Jul", 20 * day: "02 Sep", 20 * time.Hour: "20:00"} {
		if got := axis(clockAt.Add(-span), span, 72, clockAt.Location()); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", span, got, want)
		}
	}
}
