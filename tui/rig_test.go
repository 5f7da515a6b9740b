package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pgvault/vault"
)

// hostile is a name that tries to move the cursor, to turn the text round and
// to set the window's title.
const hostile = "ev\x1b[2Jil\u202egnp\x9b31m\x1b]0;owned\x07\r\n\ttail"

var clockAt = time.Date(2026, 9, 4, 14, 7, 0, 0, time.FixedZone("CEST", 2*3600))

// fakeDesk is a made-up vault: the real one cannot be brought into all the
// states that a screen must show.
type fakeDesk struct {
	list    []vault.Archive
	cached  []vault.Archive // what is remembered; nil: nothing
	listErr error
	health  *vault.Health
	early   *vault.Health // is known before answered is closed; nil: all comes at once
	dbs     []string
	dbErr   error
	ro      bool
	access  *vault.Access
	plan    *vault.RestorePlan
	planErr error
	del     *vault.DeletePlan
	tables  []vault.TableInfo
	trail   vault.Trail
	past    []vault.Activity
	watch   func(ctx context.Context, id string, sink vault.Sink) error
	try     func(ids vault.Identities) error
	start   error // of Launch
	look    *vault.RetentionLook
	lookErr error
	swap    func(want string) (*vault.SwitchPlan, error) // "shop > shop_r [public.a]", "undo shop", "resume shop false"

	answered chan struct{}
	mu       sync.Mutex
	others   []string // other screens
	jobs     []vault.Job
	done     []string // what changed something
	orders   []vault.Order
	secrets  []vault.Secrets
	planned  []vault.RestoreOptions
	unlocked []vault.Identities
}

// vault gives d as the screen takes it.
func (d *fakeDesk) vault() Vault { return Vault{d, d, d} }

// called notes a call that changes something; calls gives those so far.
func (d *fakeDesk) called(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, s)
}

func (d *fakeDesk) calls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.done)
}

func (d *fakeDesk) Name() string     { return "main" }
func (d *fakeDesk) Label() string    { return "PROD" }
func (d *fakeDesk) Places() []string { return []string{"disk", "s3"} }
func (d *fakeDesk) ReadOnly() bool   { return d.ro }
func (d *fakeDesk) List(context.Context) ([]vault.Archive, error) {
	return d.list, d.listErr
}
func (d *fakeDesk) Databases(context.Context) ([]string, error) { return d.dbs, d.dbErr }
func (d *fakeDesk) Status(context.Context) ([]vault.DatabaseStatus, error) {
	return nil, nil
}
func (d *fakeDesk) Backup(context.Context, vault.BackupOptions, vault.Sink) error {
	panic("the screen ran a backup itself")
}
func (d *fakeDesk) Verify(context.Context, vault.VerifyOptions, vault.Sink) error {
	panic("the screen ran a verify itself")
}
func (d *fakeDesk) Restore(context.Context, *vault.RestorePlan, vault.Sink) error {
	panic("the screen ran a restore itself")
}
func (d *fakeDesk) PlanRestore(_ context.Context, o vault.RestoreOptions) (*vault.RestorePlan, error) {
	d.mu.Lock()
	d.planned = append(d.planned, o)
	d.mu.Unlock()
	if d.planErr != nil {
		return nil, d.planErr
	}
	p := *d.plan
	if o.ToNew != "" {
		p.Target = o.ToNew
	}
	return &p, nil
}

func (d *fakeDesk) Jobs(context.Context) ([]vault.Job, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.jobs), nil
}

func (d *fakeDesk) Screens() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.others
}

func (d *fakeDesk) setScreens(names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.others = names
}

func (d *fakeDesk) setJobs(jobs ...vault.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs = jobs
}

func (d *fakeDesk) Activity(context.Context, int) ([]vault.Activity, vault.Trail, error) {
	return d.past, d.trail, nil
}

func (d *fakeDesk) Launch(_ context.Context, o vault.Order, s vault.Secrets) (vault.Job, error) {
	d.called("launch " + string(o.Kind))
	if d.start != nil {
		return vault.Job{}, d.start
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.orders, d.secrets = append(d.orders, o), append(d.secrets, s)
	j := vault.Job{ID: fmt.Sprintf("20260904T120700Z-7f3%x", len(d.orders)), Order: o, State: vault.JobRunning, Started: clockAt, Actor: vault.Actor{User: "dba-1", By: "tui"}}
	d.jobs = slices.Insert(d.jobs, 0, j)
	return j, nil
}

func (d *fakeDesk) Watch(ctx context.Context, id string, s vault.Sink) error {
	return d.watch(ctx, id, s)
}

func (d *fakeDesk) Cancel(_ context.Context, id string) error {
	d.called("cancel " + id)
	return nil
}

func (d *fakeDesk) Listing(_ context.Context, fresh bool) (vault.Listing, error) {
	if !fresh && d.cached != nil {
		return vault.Listing{Archives: d.cached, At: clockAt.Add(-3 * time.Hour), Cached: true}, nil
	}
	return vault.Listing{Archives: d.list, At: clockAt}, d.listErr
}

func (d *fakeDesk) Health(context.Context) (*vault.Health, error) {
	if d.health == nil {
		return &vault.Health{At: clockAt}, d.listErr
	}
	return d.health, d.listErr
}

func (d *fakeDesk) HealthSoon(ctx context.Context, early func(*vault.Health)) (*vault.Health, error) {
	if d.early != nil {
		early(d.early)
		<-d.answered
	}
	return d.Health(ctx)
}

func (d *fakeDesk) Pin(_ context.Context, id string, pinned bool) error {
	d.called(fmt.Sprint("pin ", id, " ", pinned))
	return nil
}

func (d *fakeDesk) PlanDelete(_ context.Context, id string) (*vault.DeletePlan, error) {
	return d.del, nil
}

func (d *fakeDesk) Delete(_ context.Context, p *vault.DeletePlan) error {
	d.called("delete " + p.Archive.ID)
	return nil
}

func (d *fakeDesk) LookRetention(context.Context) (*vault.RetentionLook, error) {
	return d.look, d.lookErr
}

func (d *fakeDesk) KeepMarked(_ context.Context, id string) error {
	d.called("keep " + id)
	return nil
}

func (d *fakeDesk) PlanSwitch(_ context.Context, o vault.SwitchOptions) (*vault.SwitchPlan, error) {
	return d.planSwap(fmt.Sprint(o.Database, " > ", o.With, " ", o.Accept))
}

func (d *fakeDesk) PlanSwitchUndo(_ context.Context, database string) (*vault.SwitchPlan, error) {
	return d.planSwap("undo " + database)
}

func (d *fakeDesk) PlanSwitchResume(_ context.Context, database string, back bool) (*vault.SwitchPlan, error) {
	return d.planSwap(fmt.Sprint("resume ", database, " ", back))
}

func (d *fakeDesk) planSwap(want string) (*vault.SwitchPlan, error) {
	if d.swap == nil {
		return nil, errors.New("nothing is known of a switch")
	}
	return d.swap(want)
}

func (d *fakeDesk) Tables(_ context.Context, _ string, ids vault.Identities) ([]vault.TableInfo, error) {
	return d.tables, d.open(ids)
}

func (d *fakeDesk) open(ids vault.Identities) error {
	if d.try == nil {
		return nil
	}
	return d.try(ids)
}

func (d *fakeDesk) UnlockRequest(context.Context, string) (string, error) {
	return "pgvault-unlock-1:" + strings.Repeat("lVjbjtw2En3XVxDz", 60), nil
}

func (d *fakeDesk) Unlock(_ context.Context, id string, ids vault.Identities) (string, string, error) {
	d.mu.Lock()
	d.unlocked = append(d.unlocked, ids)
	d.mu.Unlock()
	return "opens " + id, "ops-2024", d.open(ids)
}

func (d *fakeDesk) TryKeys(_ context.Context, _ string, ids vault.Identities) (string, error) {
	return "ops-2024", d.open(ids)
}

func (d *fakeDesk) Access() vault.Access {
	if d.access == nil {
		return vault.Access{User: "dba-1", Owner: "dba-1", Act: true}
	}
	return *d.access
}

// sampleDesk has a few archives in different states, one of them hostile.
func sampleDesk() *fakeDesk {
	d := &fakeDesk{dbs: []string{"billing", "shop"}, watch: wait}
	names := []string{"shop", "billing", "データベース", hostile, strings.Repeat("long", 15) + "end", "wiki"}
	proofs := []vault.Proof{vault.ProofRestored, vault.ProofReadable, vault.ProofIntact, vault.ProofStored, "", vault.ProofReadable}
	for i, n := range names {
		at := clockAt.Add(-time.Duration(i*31+1) * time.Hour)
		a := vault.Archive{
			ID: fmt.Sprintf("20260904T10000%dZ-7f3%d", i, i), Database: n, Started: at, Finished: at.Add(time.Minute),
			State: "good", Tables: 112, Rows: 48210114, Bytes: 5 << 30, Stored: 2041118720, Proof: proofs[i],
			Copies: []vault.Copy{{Place: "disk", State: "good"}, {Place: "s3", State: "good"}}, Recipient: []string{"ops-2024", hostile},
			ServerVersion: "15.18", DumpVersion: "15.18", Tags: []string{hostile},
			Proofs: []vault.ProofRecord{{At: at.Add(time.Hour), Level: proofs[i], Result: "ok", By: "self-check", Note: hostile}},
		}
		if n == "wiki" {
			a.State, a.Reason = "damaged", "part 2 on disk: SHA-256 differs "+hostile
			a.Copies[0].State = "damaged"
		}
		d.list = append(d.list, a)
	}
	d.plan = &vault.RestorePlan{
		Archive: d.list[0], Target: "shop__r_0904_7f30", Same: "pgvault restore X --to-new " + hostile,
		Checks: []vault.Check{{State: "ok", Text: "key opens it"}, {State: "!", Text: "role " + hostile + " is missing", Do: "create / leave out"}},
		Steps:  []string{"create the database", "load " + hostile},
	}
	d.del = &vault.DeletePlan{Archive: d.list[0], Files: []string{"manifest", "part-1"}, Bytes: 2041118720, Notes: []string{"It is NOT the newest good one. " + hostile}}
	d.tables = []vault.TableInfo{{Name: "public.orders", Rows: 9101465, Bytes: 3 << 30, SHA256: strings.Repeat("ab", 32)}, {Name: "public." + hostile, Rows: 1, Bytes: 20, SHA256: "cd"}}
	d.health = sampleHealth()
	d.past = samplePast()
	return d
}

func ptr[T any](v T) *T { return &v }

// sampleHealth has a database in each state, one with a hostile name.
func sampleHealth() *vault.Health {
	row := func(name, state string, last, proven time.Duration) vault.DatabaseHealth {
		d := vault.DatabaseHealth{DatabaseStatus: vault.DatabaseStatus{Database: name, State: state, MaxAgeSeconds: 86400}, Archives: 41, Copies: 2, Places: 2}
		if last > 0 {
			d.LastGood = ptr(clockAt.Add(-last))
		}
		if proven > 0 {
			d.ProvenAt = ptr(clockAt.Add(-proven))
		}
		return d
	}
	late := row("analytics", "late", 76*time.Hour, 12*24*time.Hour)
	late.Explained = vault.Explained{
		What: "no good backup for 3 days; you allow 1 day", Why: "refused: needs about 212 GiB, /backup has 188 GiB free",
		Left: "nothing was written; 41 older archives untouched", Do: "free space on /backup, then b tries again",
	}
	one := row("billing", "ok", time.Hour, 100*time.Hour)
	one.Copies = 1
	return &vault.Health{
		At:        clockAt.Add(-3 * time.Second),
		Databases: []vault.DatabaseHealth{late, one, row("shop", "ok", 12*time.Hour, 0), row(hostile, "ok", 12*time.Hour, 0), row("データベース", "ok", 2*time.Hour, 0)},
		Places:    []vault.PlaceHealth{{Name: "disk", URL: "file:/backup", State: "ok", Text: "188 of 500 GiB free"}, {Name: "nas", URL: "sftp://nas/pg", State: "x", Text: "unreachable: " + hostile}},
		Keys:      []string{"ops-2024", "safe-box"}, KeyUsed: ptr(clockAt.Add(-4 * 24 * time.Hour)),
		Warnings: []vault.Explained{{What: "nothing starts backups by itself", Why: "no timer was found", Left: "backups made by hand", Do: "install a timer"}},
	}
}

func samplePast() []vault.Activity {
	at := func(d time.Duration) time.Time { return clockAt.Add(-d) }
	timer, dba := vault.Actor{User: "pgvault", By: "timer"}, vault.Actor{User: "dba-1", As: "pgvault", From: "192.0.2.7", By: "cli"}
	return []vault.Activity{
		{Seq: 9, At: at(12 * time.Hour), Took: 1298 * time.Second, Kind: "backup", What: "shop", Actor: timer, Result: "ok", Text: "48 210 114 rows", Job: "20260904T000012Z-aaaa"},
		{Seq: 8, At: at(13 * time.Hour), Took: 3 * time.Second, Kind: "backup", What: "analytics", Actor: timer, Result: "failed", Text: "refused: no space " + hostile, Job: "20260903T230012Z-bbbb"},
		{Seq: 7, At: at(22 * time.Hour), Took: time.Second, Kind: "settings", What: "shop keep daily 5 > 7", Actor: dba, Result: "ok"},
		{Seq: 6, At: at(30 * time.Hour), Took: 31 * time.Minute, Kind: "restore", What: "shop > shop_r", Actor: dba, Result: "cancelled", Job: "20260903T060000Z-cccc"},
		{At: at(14 * 24 * time.Hour), Kind: "missed", What: "wiki", Result: "missed", Text: "no good backup for 3 days; 1 day is allowed"},
	}
}

// wikiJob is a backup that the timer started and that stands at 43 %.
func wikiJob() vault.Job {
	return vault.Job{
		ID: "20260904T120211Z-7f3a", Order: vault.Order{Kind: vault.KindBackup, Database: "wiki"}, Actor: vault.Actor{User: "pgvault", By: "timer"},
		State: vault.JobRunning, Started: clockAt.Add(-5 * time.Minute), Stage: vault.StageData,
		Progress: &vault.Progress{Stage: vault.StageData, Rows: 3601877, RowsTotal: 8390000, Estimate: "from the run of 28 Aug"},
	}
}

// rig drives a whole model without a terminal: Cmds run in goroutines and
// their messages come back through a channel, as in tea.Program.
type rig struct {
	t      *testing.T
	m      *model
	d      *fakeDesk
	msgs   chan tea.Msg
	quit   bool
	copied string
}

func newRig(t *testing.T, d *fakeDesk, o Options, w, h int) *rig {
	t.Helper()
	r := begunRig(t, d, o, w, h)
	r.settle()
	return r
}

// unsettledRig is one that still waits for answers.
func unsettledRig(t *testing.T, d *fakeDesk, w, h int) *rig {
	t.Helper()
	return begunRig(t, d, Options{}, w, h)
}

func begunRig(t *testing.T, d *fakeDesk, o Options, w, h int) *rig {
	t.Helper()
	o.Host = first(o.Host, "db1.example.org")
	o.Now = func() time.Time { return clockAt }
	ctx, stop := context.WithCancel(t.Context())
	r := &rig{t: t, d: d, msgs: make(chan tea.Msg, 100)}
	g := &engine{ctx: ctx, vault: d.vault(), now: o.Now, poll: time.Hour, send: func(m tea.Msg) { r.msgs <- m }}
	r.m = newModel(g, o)
	t.Cleanup(stop)
	r.update(tea.WindowSizeMsg{Width: w, Height: h})
	r.start(r.m.Init())
	return r
}

// onBackups is a rig that shows the archives.
func onBackups(t *testing.T, d *fakeDesk, o Options, w, h int) *rig {
	r := newRig(t, d, o, w, h)
	r.keys("2")
	return r
}

// settle lets messages come until every question is answered.
func (r *rig) settle() {
	r.t.Helper()
	r.until("rest", func() bool { return r.m.g.pending == 0 })
}

// poll looks at the jobs now.
func (r *rig) poll() {
	r.t.Helper()
	r.update(pollMsg{})
	r.settle()
}

// start runs a Cmd in the background.
func (r *rig) start(c tea.Cmd) {
	if c == nil {
		return
	}
	go func() {
		switch msg := c().(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				r.start(c)
			}
		default:
			r.msgs <- msg
		}
	}()
}

func (r *rig) update(msg tea.Msg) {
	r.t.Helper()
	if _, ok := msg.(tea.QuitMsg); ok {
		r.quit = true
		return
	}
	if fmt.Sprintf("%T", msg) == "tea.setClipboardMsg" {
		r.copied = fmt.Sprint(msg)
		return
	}
	_, c := r.m.Update(msg)
	r.start(c)
	r.check()
}

// until lets messages come until cond holds.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	limit := time.After(20 * time.Second)
	for !cond() {
		select {
		case msg := <-r.msgs:
			r.update(msg)
		case <-limit:
			r.t.Fatalf("%s never came; the screen:\n%s", what, r.screen())
		}
	}
}

var special = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
	"home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "f1": tea.KeyF1,
	"space": tea.KeySpace, "backspace": tea.KeyBackspace, "left": tea.KeyLeft, "right": tea.KeyRight, "delete": tea.KeyDelete,
}

func keyPress(name string) tea.KeyPressMsg {
	if c, ok := special[name]; ok {
		return tea.KeyPressMsg{Code: c}
	}
	if c, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl}
	}
	if c, ok := strings.CutPrefix(name, "shift+"); ok {
		return tea.KeyPressMsg{Code: special[c], Mod: tea.ModShift}
	}
	rs := []rune(name)
	return tea.KeyPressMsg{Code: unicode.ToLower(rs[0]), Text: name}
}

func (r *rig) keys(names ...string) {
	r.t.Helper()
	for _, n := range names {
		r.update(keyPress(n))
	}
}

// typeText types a text letter by letter.
func (r *rig) typeText(s string) {
	r.t.Helper()
	for _, c := range s {
		r.keys(string(c))
	}
}

func (r *rig) screen() string { return ansi.Strip(r.m.View().Content) }

func (r *rig) wants(parts ...string) {
	r.t.Helper()
	s := r.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			r.t.Fatalf("the screen lacks %q:\n%s", p, s)
		}
	}
}

func (r *rig) lacks(part string) {
	r.t.Helper()
	if strings.Contains(r.screen(), part) {
		r.t.Fatalf("the screen has %q:\n%s", part, r.screen())
	}
}

// check holds every frame against what no frame may break.
func (r *rig) check() {
	r.t.Helper()
	if err := checkFrame(r.m.View(), r.m.w, r.m.h, r.m.th); err != nil {
		r.t.Fatalf("%v\n%q\n%s", err, r.m.View().Content, r.screen())
	}
}

// checkFrame: exactly h lines of at most w cells, nothing but SGR sequences,
// no control or format character, no colour where there must be none.
func checkFrame(v tea.View, w, h int, th theme) error {
	lines := strings.Split(v.Content, "\n")
	if len(lines) != h {
		return fmt.Errorf("%d lines on a screen of %d", len(lines), h)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			return fmt.Errorf("line %d has %d cells of %d", i, n, w)
		}
	}
	if v.Cursor != nil && (v.Cursor.X >= w || v.Cursor.Y >= h) {
		return fmt.Errorf("the cursor is at %d,%d", v.Cursor.X, v.Cursor.Y)
	}
	rest := v.Content
	for {
		before, after, ok := strings.Cut(rest, "\x1b[")
		if err := checkText(before, th); err != nil || !ok {
			return errors.Join(err, checkText(v.WindowTitle, th))
		}
		sgr, tail, ok := strings.Cut(after, "m")
		if !ok || strings.Trim(sgr, "0123456789;") != "" {
			return fmt.Errorf("not an SGR sequence: %q", after[:min(len(after), 12)])
		}
		if th.noColor && len(sgr) == 2 {
			return fmt.Errorf("a colour: %q", sgr)
		}
		if len(sgr) == 2 && sgr[0] != '3' && sgr[0] != '9' || len(sgr) > 2 {
			return fmt.Errorf("more than the 16 colours: %q", sgr)
		}
		rest = tail
	}
}

func checkText(s string, th theme) error {
	for _, c := range s {
		switch {
		case c == '\n':
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c), c == unicode.ReplacementChar:
			return fmt.Errorf("character %U", c)
		case th.ascii && c > 126:
			return fmt.Errorf("character %U in ASCII", c)
		}
	}
	return nil
}
