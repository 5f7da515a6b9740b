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
	listErr error
	dbs     []string
	dbErr   error
	ro      bool
	plan    *vault.RestorePlan
	planErr error
	run     func(ctx context.Context, kind vault.Kind, id vault.Identities, sink vault.Sink) error
	mu      sync.Mutex
	done    []string
	planned []vault.RestoreOptions
	planCtx context.Context
}

// called notes a call; calls gives those so far.
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
func (d *fakeDesk) Backup(ctx context.Context, o vault.BackupOptions, s vault.Sink) error {
	d.called("backup " + o.Database)
	return d.run(ctx, vault.KindBackup, vault.Identities{}, s)
}
func (d *fakeDesk) Verify(ctx context.Context, o vault.VerifyOptions, s vault.Sink) error {
	d.called(fmt.Sprintf("verify %s %s %v", o.ID, o.Level, o.Identities.Files))
	return d.run(ctx, vault.KindVerify, o.Identities, s)
}
func (d *fakeDesk) PlanRestore(ctx context.Context, o vault.RestoreOptions) (*vault.RestorePlan, error) {
	d.mu.Lock()
	d.planned = append(d.planned, o)
	d.planCtx = ctx
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
func (d *fakeDesk) Restore(ctx context.Context, p *vault.RestorePlan, s vault.Sink) error {
	d.called("restore into " + p.Target)
	if err := d.planCtx.Err(); err != nil {
		return fmt.Errorf("the plan's archive is closed: %w", err)
	}
	return d.run(ctx, vault.KindRestore, vault.Identities{}, s)
}

// sampleDesk has a few archives in different states, one of them hostile.
func sampleDesk() *fakeDesk {
	d := &fakeDesk{dbs: []string{"billing", "shop"}, run: wait}
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
	return d
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
	o.Host = first(o.Host, "db1.example.org")
	o.Now = func() time.Time { return clockAt }
	ctx, stop := context.WithCancel(t.Context())
	r := &rig{t: t, d: d, msgs: make(chan tea.Msg, 100)}
	g := &engine{ctx: ctx, desk: d, now: o.Now, send: func(m tea.Msg) { r.msgs <- m }}
	r.m = newModel(g, o)
	t.Cleanup(func() { stop(); g.close() })
	r.update(tea.WindowSizeMsg{Width: w, Height: h})
	r.start(r.m.Init())
	r.until("the list", func() bool { return r.m.archives.loaded || r.m.archives.err != nil })
	return r
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
	"backspace": tea.KeyBackspace, "left": tea.KeyLeft, "right": tea.KeyRight, "delete": tea.KeyDelete,
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
