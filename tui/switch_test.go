package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

// swapPlan is a plan of a switch of shop with two sessions; change may make
// it another one.
func swapPlan(change ...func(*vault.SwitchPlan)) *vault.SwitchPlan {
	p := &vault.SwitchPlan{
		Goal: vault.GoalSwitched, Database: "shop", Old: "shop__old_0904", Archive: "20260904T000012Z-7f3a", Lost: 12*time.Hour + 41*time.Minute, Equal: 112, Tables: 112,
		Live: vault.SwitchSide{Name: "shop", After: "shop__old_0904", OID: 11, Bytes: 31 << 30, Writing: 1, LastActive: ptr(clockAt.Add(-2 * time.Second)), Sessions: []vault.SwitchSession{
			{PID: 4711, User: "web", Client: "192.0.2.7", App: "shop-api " + hostile, State: "active", Writing: true}, {PID: 4712, User: "web", State: "idle"}}},
		Other:  vault.SwitchSide{Name: "shop__r_0904_7f3a", After: "shop", OID: 12, Bytes: 30 << 30},
		Checks: []vault.Check{{State: "ok", Text: "112 of 112 tables equal"}, {State: "!", Text: "2 sessions will be ended; 1 of them has written " + hostile}},
		Steps:  []string{"give shop__r_0904_7f3a the owner of shop", "refuse new logins to both, for everyone", "end 2 sessions", "rename both in one transaction", "ask shop who it is"},
		Same:   "pgvault switch shop --with shop__r_0904_7f3a --confirm shop",
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// backPlan is the plan of an undo.
func backPlan(p *vault.SwitchPlan) {
	p.Goal, p.Lost = vault.GoalOriginal, 0
	p.Live.Name, p.Live.After, p.Other.Name, p.Other.After = "shop__old_0904", "shop", "shop", "shop__r_0904_7f3a"
	p.Same = "pgvault switch shop --undo --confirm shop"
}

func refusedPlan(p *vault.SwitchPlan) {
	p.Checks = append(p.Checks, vault.Check{State: "x", Text: "a backup of shop is running", Do: "wait for it"})
}

// differingPlan differs in two tables; accepted are those of names.
func differingPlan(names string) func(*vault.SwitchPlan) {
	return func(p *vault.SwitchPlan) {
		for _, n := range []string{"public.sessions", hostile} {
			d := vault.SwitchDifference{Name: n, Why: "911198 rows instead of 911204", Accepted: strings.Contains(names, n)}
			p.Differences = append(p.Differences, d)
			if !d.Accepted {
				p.Checks = append(p.Checks, vault.Check{State: "x", Text: n + " differs", Do: "accept it"})
			}
		}
	}
}

// swapDesk has a restore of shop that ended with result, and plans with plan.
func swapDesk(done vault.RunDone, plan func(want string) (*vault.SwitchPlan, error)) *fakeDesk {
	d := sampleDesk()
	done.Kind, done.Database, done.Target, done.TablesTotal = vault.KindRestore, "shop", "shop__r_0904_7f3a", 112
	d.swap = plan
	d.setJobs(vault.Job{ID: "20260904T060000Z-cccc", Order: vault.Order{Kind: vault.KindRestore, Database: "shop", ID: "20260904T000012Z-7f3a", ToNew: "shop__r_0904_7f3a"},
		State: vault.JobOK, Started: clockAt.Add(-time.Hour), Ended: clockAt.Add(-time.Minute), Actor: vault.Actor{User: "dba-1", By: "tui"}})
	d.watch = func(ctx context.Context, id string, sink vault.Sink) error {
		if !strings.HasSuffix(id, "cccc") {
			return wait(ctx, id, sink)
		}
		sink(vault.RunStarted{Kind: vault.KindRestore, Database: "shop", Target: "shop__r_0904_7f3a", Stages: []vault.Stage{vault.StageCompare}, At: clockAt.Add(-time.Hour)})
		sink(done)
		return nil
	}
	return d
}

var wholeRestore = vault.RunDone{Result: vault.ResultOK, TablesEqual: 112, Tables: 112, Rows: 48210114}

// onReport shows the report of that restore, after the offer has come.
func onReport(t *testing.T, d *fakeDesk, w, h int, o Options) *rig {
	t.Helper()
	r := newRig(t, d, o, w, h)
	r.keys("3")
	r.m.message = ""
	r.start(r.m.openJob(openJob{ref: "20260904T060000Z-cccc"}))
	r.until("the report", func() bool { return r.m.job.done != nil })
	r.settle()
	return r
}

// plans gives one plan for every question.
func plans(change ...func(*vault.SwitchPlan)) func(string) (*vault.SwitchPlan, error) {
	return func(string) (*vault.SwitchPlan, error) { return swapPlan(change...), nil }
}

// onSwitch shows the Switch page.
func onSwitch(t *testing.T, d *fakeDesk, w, h int, o Options) *rig {
	t.Helper()
	r := onReport(t, d, w, h, o)
	r.keys("s")
	r.settle()
	if _, ok := r.m.page().(*switchPage); !ok {
		t.Fatalf("s opened no switch:\n%s", r.screen())
	}
	return r
}

func switchHealth() *vault.Health {
	h := sampleHealth()
	h.Warnings = append([]vault.Explained{{Key: "switch/shop", What: "a switch of shop with shop_r was broken off, before the step \"rename\"", Why: "its process was killed",
		Left: "both databases are whole; neither may accept logins", Do: "pgvault switch shop --resume, or --undo"}}, h.Warnings...)
	return h
}

// brokenDesk has a switch that was broken off; the plans say which way.
func brokenDesk() *fakeDesk {
	d := sampleDesk()
	d.health = switchHealth()
	d.swap = func(want string) (*vault.SwitchPlan, error) {
		return swapPlan(func(p *vault.SwitchPlan) {
			p.Resumes = true
			if strings.HasSuffix(want, "true") || strings.HasPrefix(want, "undo") {
				backPlan(p)
			}
		}), nil
	}
	return d
}

func onResume(t *testing.T, w, h int, o Options) *rig {
	t.Helper()
	r := newRig(t, brokenDesk(), o, w, h)
	r.keys("G", "up", "s")
	r.settle()
	return r
}

// switchJob is a switch that has ended, as Activity has it.
func switchJob(goal vault.SwitchGoal) vault.Job {
	return vault.Job{ID: "20260904T100000Z-dddd", Order: vault.Order{Kind: vault.KindSwitch, Database: "shop", ToNew: "shop__r_0904_7f3a", Old: "shop__old_0904", Goal: goal},
		State: vault.JobOK, Target: "shop__r_0904_7f3a", Started: clockAt.Add(-time.Minute), Ended: clockAt.Add(-50 * time.Second), Actor: vault.Actor{User: "dba-1", By: "tui"}}
}

// switchedDesk has a switch in its past, which U undoes.
func switchedDesk(goal vault.SwitchGoal) *fakeDesk {
	d := sampleDesk()
	d.setJobs(switchJob(goal))
	d.swap = plans(backPlan)
	d.watch = func(_ context.Context, _ string, sink vault.Sink) error {
		sink(vault.RunStarted{Kind: vault.KindSwitch, Database: "shop", Target: "shop__r_0904_7f3a", Stages: []vault.Stage{vault.StagePrepare, vault.StageSwitch, vault.StageAsk}, At: clockAt})
		sink(vault.Notice{Level: "info", Text: "shop accepted no logins for 0.041 s", At: clockAt})
		sink(vault.RunDone{Kind: vault.KindSwitch, Result: vault.ResultOK, Database: "shop", Target: "shop__r_0904_7f3a", TablesEqual: 112, TablesTotal: 112})
		return nil
	}
	return d
}

func onSwitched(t *testing.T, goal vault.SwitchGoal, w, h int, o Options) *rig {
	t.Helper()
	r := newRig(t, switchedDesk(goal), o, w, h)
	r.keys("3", "enter")
	r.until("the report", func() bool { return r.m.job.done != nil })
	return r
}

func init() {
	type open = func(t *testing.T, w, h int, o Options) *rig
	for name, f := range map[string]open{
		"switch offered": func(t *testing.T, w, h int, o Options) *rig {
			return onReport(t, swapDesk(wholeRestore, plans()), w, h, o)
		},
		"switch": func(t *testing.T, w, h int, o Options) *rig {
			return onSwitch(t, swapDesk(wholeRestore, plans()), w, h, o)
		},
		"switch typed": func(t *testing.T, w, h int, o Options) *rig {
			r := onSwitch(t, swapDesk(wholeRestore, plans()), w, h, o)
			r.typeText("shop")
			return r
		},
		"switch sessions": func(t *testing.T, w, h int, o Options) *rig {
			r := onSwitch(t, swapDesk(wholeRestore, plans()), w, h, o)
			r.keys("v")
			return r
		},
		"switch refused": func(t *testing.T, w, h int, o Options) *rig {
			return onSwitch(t, swapDesk(wholeRestore, plans(refusedPlan)), w, h, o)
		},
		"switch accept": func(t *testing.T, w, h int, o Options) *rig {
			r := onReport(t, swapDesk(vault.RunDone{Result: vault.ResultFailed, Exit: fault.Differs, TablesEqual: 111}, plans(differingPlan(""))), w, h, o)
			r.keys("s")
			r.typeText("public.se")
			return r
		},
		"switch undo": func(t *testing.T, w, h int, o Options) *rig {
			r := newRig(t, switchedDesk(vault.GoalSwitched), o, w, h)
			r.keys("3", "U")
			r.settle()
			return r
		},
		"switch resume": onResume,
		"switch without plan": func(t *testing.T, w, h int, o Options) *rig {
			d := switchedDesk(vault.GoalSwitched)
			d.swap = func(string) (*vault.SwitchPlan, error) {
				return nil, &fault.Error{What: "there is no switch of shop to undo", Why: hostile, Left: "nothing was changed", Do: "see psql -l"}
			}
			r := newRig(t, d, o, w, h)
			r.keys("3", "U")
			r.settle()
			return r
		},
		"switch done":   func(t *testing.T, w, h int, o Options) *rig { return onSwitched(t, vault.GoalSwitched, w, h, o) },
		"switch undone": func(t *testing.T, w, h int, o Options) *rig { return onSwitched(t, vault.GoalOriginal, w, h, o) },
	} {
		everyScreen[name] = f
	}
}

func TestSwitchGoldens(t *testing.T) {
	for _, name := range []string{"switch offered", "switch", "switch typed", "switch sessions", "switch refused", "switch accept", "switch undo", "switch resume", "switch done", "switch undone"} {
		t.Run(name, func(t *testing.T) { golden(t, name, everyScreen[name](t, 80, 24, Options{}).screen()) })
	}
	for size, wh := range map[string][2]int{"60x20": {60, 20}, "30x8": {30, 8}, "120x40": {120, 40}} {
		t.Run(size, func(t *testing.T) {
			golden(t, "switch "+size, everyScreen["switch"](t, wh[0], wh[1], Options{ASCII: true, Theme: "none"}).screen())
		})
	}
}

// TestSwitchConfirmed types the name: nothing else makes Enter start a job,
// and the order is that of the plan shown.
func TestSwitchConfirmed(t *testing.T) {
	d := swapDesk(wholeRestore, plans())
	r := onSwitch(t, d, 80, 24, Options{})
	r.keys("enter")
	r.wants("Enter works when shop is typed")
	for _, typed := range []string{"sho", "shopp", "Shop"} {
		r.typeText(typed)
		r.keys("enter")
		r.keys("ctrl+u")
	}
	if calls := d.calls(); len(calls) > 0 {
		t.Fatalf("started without the name: %q", calls)
	}
	r.typeText("shop")
	r.keys("enter")
	r.settle()
	want := swapPlan().Order()
	if len(d.orders) != 1 || d.orders[0].Plan != want.Plan || d.orders[0].Kind != vault.KindSwitch || d.orders[0].ToNew != "shop__r_0904_7f3a" || d.orders[0].Old != "shop__old_0904" {
		t.Fatalf("ordered %+v", d.orders)
	}
	r.wants("SWITCH shop", "This job runs by itself")
}

// TestSwitchLetters: v and Y are keys in the empty field and letters after
// that; a name that begins with v is typed, and Alt-v is the key then.
func TestSwitchLetters(t *testing.T) {
	r := onSwitch(t, swapDesk(wholeRestore, plans()), 80, 24, Options{})
	r.keys("v")
	r.wants("4711", "web", "has written", "v hide the sessions")
	r.keys("v")
	r.lacks("4711")
	r.keys("Y")
	r.until("the copy", func() bool { return r.copied != "" })
	if !strings.Contains(r.copied, "--with shop__r_0904_7f3a --confirm shop") {
		t.Errorf("copied %q", r.copied)
	}
	r.typeText("sv")
	if p := r.m.page().(*switchPage); p.in.text() != "sv" || p.sessions {
		t.Errorf("typed %q", p.in.text())
	}
	r.wants("Alt-v list the sessions")
	r = newRig(t, switchedDesk(vault.GoalSwitched), Options{}, 80, 24)
	r.update(switchPlanMsg{page: &switchPage{}}) // of a page that was left
	r.start(r.m.openSwitch(openSwitch{switchWant{database: "vip", mode: modeUndo}}))
	r.typeText("vqY") // before the plan has come: none of them is a key
	if p := r.m.page().(*switchPage); p.in.text() != "vqY" || r.quit {
		t.Errorf("typed %q", p.in.text())
	}
	r.settle()
}

// TestSwitchAccepted types the name of each table that differs; the plan that
// is confirmed afterwards has accepted exactly these.
func TestSwitchAccepted(t *testing.T) {
	var mu []string
	d := swapDesk(vault.RunDone{Result: vault.ResultFailed, Exit: fault.Differs, TablesEqual: 110}, func(want string) (*vault.SwitchPlan, error) {
		mu = append(mu, want)
		return swapPlan(differingPlan(want)), nil
	})
	r := onReport(t, d, 80, 24, Options{})
	r.keys("s", "enter")
	r.wants("difference 1 of 2", "911198 rows instead", "Enter works when the name")
	r.typeText("public.sessions")
	r.keys("enter")
	r.wants("difference 2 of 2", "accepted; 1 difference left")
	r.typeText(r.m.th.text(hostile))
	r.keys("enter")
	r.settle()
	p, ok := r.m.page().(*switchPage)
	if !ok || p.noStart(r.m.th) != "" || !slices.Equal(p.want.accept, []string{"public.sessions", hostile}) {
		t.Fatalf("%+v\n%s", p, r.screen())
	}
	if last := mu[len(mu)-1]; !strings.Contains(last, "public.sessions "+hostile) {
		t.Errorf("planned %q", last)
	}
	r = onReport(t, d, 80, 24, Options{})
	r.keys("s", "esc")
	if _, ok := r.m.page().(*jobPage); !ok || len(d.calls()) > 0 {
		t.Errorf("Esc led on:\n%s", r.screen())
	}
}

// TestSwitchNotOffered names why, in each case in which s opens nothing.
func TestSwitchNotOffered(t *testing.T) {
	gone := func(p *vault.SwitchPlan) {
		p.Live.OID = 0
		p.Checks = []vault.Check{{State: "x", Text: "there is no database shop whose place could be taken"}}
	}
	for name, c := range map[string]struct {
		desk func() *fakeDesk
		want string
	}{
		"no live one":     {func() *fakeDesk { return swapDesk(wholeRestore, plans(gone)) }, "there is no database shop"},
		"cancelled":       {func() *fakeDesk { return swapDesk(vault.RunDone{Result: vault.ResultCancelled}, nil) }, "did not come to the comparison"},
		"cannot be asked": {func() *fakeDesk { return swapDesk(wholeRestore, nil) }, "could not be asked: nothing is known"},
		"some tables": {func() *fakeDesk {
			d := swapDesk(wholeRestore, plans())
			j := d.jobs[0]
			j.Order.Tables = []string{"public.orders"}
			d.setJobs(j)
			return d
		}, "only some tables were restored"},
	} {
		t.Run(name, func(t *testing.T) {
			r := onReport(t, c.desk(), 100, 24, Options{})
			r.lacks("s switch")
			r.keys("s")
			r.wants(c.want)
			if _, ok := r.m.page().(*jobPage); !ok {
				t.Error("it opened something")
			}
		})
	}
}

// TestSwitchOnlyLook: who may change nothing sees the plan and why Enter
// does nothing, and no field.
func TestSwitchOnlyLook(t *testing.T) {
	for name, change := range map[string]func(*fakeDesk){
		"read only": func(d *fakeDesk) { d.ro = true },
		"member": func(d *fakeDesk) {
			d.access = &vault.Access{User: "eve", Owner: "pgvault", Why: "you are eve; the vault belongs to pgvault"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := swapDesk(wholeRestore, plans())
			change(d)
			r := onSwitch(t, d, 80, 24, Options{})
			r.lacks("type the name")
			r.keys("enter")
			r.wants(map[string]string{"read only": "read only", "member": "belongs to pgvault"}[name])
			r.typeText("shop")
			r.keys("enter")
			if len(d.calls()) > 0 {
				t.Errorf("did %q", d.calls())
			}
		})
	}
}

// TestSwitchResumed goes from the warning on Health to both ways of ending
// it, by keys and by the list of commands.
func TestSwitchResumed(t *testing.T) {
	r := onResume(t, 80, 24, Options{})
	r.wants("FINISH", "Tab take it back")
	r.keys("tab")
	r.settle()
	r.wants("BACK", "Tab finish it")
	r.typeText("shop")
	r.keys("enter")
	r.settle()
	if o := r.d.orders; len(o) != 1 || !o[0].Resumes || o[0].Goal != vault.GoalOriginal {
		t.Fatalf("ordered %+v", o)
	}
	r = newRig(t, brokenDesk(), Options{}, 80, 24)
	r.keys("G", "up", ":")
	r.typeText("finish")
	r.keys("enter")
	r.settle()
	r.wants("FINISH")
	r.keys("esc", "enter")
	r.wants("broken off", "s finish switch")
	r.keys("s")
	r.settle()
	r.wants("FINISH")
}

// TestSwitchUndone undoes from Activity, from the report, from Health by the
// list of commands; a switch that was broken off is taken back.
func TestSwitchUndone(t *testing.T) {
	for name, keys := range map[string][]string{"activity": {"3", "U"}, "health": {"j", "j", ":", "u", "n", "d", "o", "enter"}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, switchedDesk(vault.GoalSwitched), Options{}, 80, 24)
			r.keys(keys...)
			r.settle()
			r.wants("UNDO", "shop__old_0904", "kept whole")
			r.typeText("shop")
			r.keys("enter")
			r.settle()
			if o := r.d.orders; len(o) != 1 || o[0].Goal != vault.GoalOriginal || o[0].Resumes {
				t.Fatalf("ordered %+v", o)
			}
		})
	}
	r := onSwitched(t, vault.GoalSwitched, 80, 24, Options{})
	r.wants("shop is what was shop__r_0904_7f3a", "--undo shop --confirm shop", "accepted no logins for 0.041 s")
	r.keys("U")
	r.settle()
	r.wants("UNDO")
	d := switchedDesk(vault.GoalSwitched)
	d.swap = brokenDesk().swap
	r = newRig(t, d, Options{}, 80, 24)
	r.keys("3", "U")
	r.settle()
	r.wants("BACK", "Tab finish it")
}

// TestSwitchCommands: the command that is copied for a job does what the job
// did.
func TestSwitchCommands(t *testing.T) {
	for want, o := range map[string]vault.Order{
		"pgvault switch shop --with 'shop r' --accept public.a --confirm shop": {Kind: vault.KindSwitch, Database: "shop", ToNew: "shop r", Goal: vault.GoalSwitched, Accept: []string{"public.a"}},
		"pgvault switch shop --undo --confirm shop":                            {Kind: vault.KindSwitch, Database: "shop", Goal: vault.GoalOriginal},
		"pgvault switch shop --resume --confirm shop":                          {Kind: vault.KindSwitch, Database: "shop", Goal: vault.GoalSwitched, Resumes: true},
		"pgvault restore I --to-new n --roles create --no-tablespaces":         {Kind: vault.KindRestore, ID: "I", ToNew: "n", FullRoles: true, NoTablespaces: true},
	} {
		if got := orderCommand(o); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	if fmt.Sprint(noOffer(newJob(vault.Order{Kind: vault.KindBackup}, clockAt))) == "" {
		t.Error("a backup offers a switch")
	}
}

// TestImportsAreTold: an import is told apart in the list and its details,
// and does not pass for the newest backup before the health has come.
func TestImportsAreTold(t *testing.T) {
	d := sampleDesk()
	d.list[0].Imported = ptr(clockAt.Add(-time.Minute))
	if got := provisional(d.list[:1]); len(got) != 1 || got[0].LastGood != nil || got[0].Archives != 1 {
		t.Errorf("%+v", got)
	}
	if got := provisional(d.list[1:2]); len(got) != 1 || got[0].LastGood == nil {
		t.Errorf("%+v", got)
	}
	d.list[1].ResealedFrom = "20260801T020000Z-0001"
	r := onBackups(t, d, Options{}, 100, 30)
	r.wants("shop (imported)", "import    made from a dump of", "no backup made here")
	r.lacks("billing (imported)")
	r.keys("down")
	r.wants("from 20260801T020000Z-0001")
	r.keys("/")
	r.typeText("is:imp")
	r.wants("1 of 6 shown")
}
