package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// world is a vault of its own with two recipients, in a folder of its own.
type world struct {
	t    testing.TB
	dir  string
	conf Config
	db   Database // what holds for every database
	ids  Identities
}

// newWorld makes the keys and an empty place. Fields may be changed before
// the vault is asked for anything.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), db: Database{Jobs: 2, Keep: retention.Policy{Last: 2}}}
	for _, name := range []string{"duty", "safe"} {
		if err := archive.WriteNewIdentity(w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.write("recipients", "# on duty\n"+w.read("duty.pub")+"# in the safe\n"+w.read("safe.pub"))
	key, err := archive.NewSigningKey(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	w.write("signing", string(key))
	if err := os.Mkdir(w.path("place"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.ids = Identities{Files: []string{w.path("duty")}}
	w.conf = Config{Name: "main", Version: "test", Server: settings(), StateDir: w.path("state"), SelfCheck: true,
		RecipientsFile: w.path("recipients"), SigningKey: w.path("signing"), Places: []Place{{Name: "disk", Store: w.disk()}},
		Of:     func(string) Database { return w.db },
		Select: func(all []string) []string { return all }}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) disk() store.Store {
	d, err := disk.Open(w.path("place"))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// store is the first place, nil where none is configured.
func (w *world) store() store.Store {
	if len(w.conf.Places) == 0 {
		return nil
	}
	return w.conf.Places[0].Store
}

// setPlace makes s the only place.
func (w *world) setPlace(s store.Store) { w.conf.Places = []Place{{Name: "disk", Store: s}} }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	src, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(src)
}

func (w *world) vault() *Vault { return New(w.conf) }

// tape is all that one run told.
type tape struct {
	events []Event
	done   RunDone
	err    error
	hook   func(Event)
}

func (p *tape) sink(e Event) {
	p.events = append(p.events, e)
	if p.hook != nil {
		p.hook(e)
	}
}

// all gives the events of one type, in order.
func all[E Event](p *tape) []E {
	var out []E
	for _, e := range p.events {
		if x, ok := e.(E); ok {
			out = append(out, x)
		}
	}
	return out
}

func (w *world) backup(o BackupOptions) *tape {
	w.t.Helper()
	return w.backupCtx(w.t.Context(), o, nil)
}

func (w *world) backupCtx(ctx context.Context, o BackupOptions, hook func(Event)) *tape {
	w.t.Helper()
	p := &tape{hook: hook}
	p.err = w.vault().Backup(ctx, o, p.sink)
	p.check(w.t)
	return p
}

func (w *world) verify(id string, level Proof) *tape {
	w.t.Helper()
	p := &tape{}
	p.err = w.vault().Verify(w.t.Context(), VerifyOptions{ID: id, Level: level, Identities: w.ids}, p.sink)
	p.check(w.t)
	return p
}

func (w *world) plan(o RestoreOptions) *RestorePlan {
	w.t.Helper()
	if o.Identities.Files == nil {
		o.Identities = w.ids
	}
	p, err := w.vault().PlanRestore(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) restore(o RestoreOptions) *tape {
	w.t.Helper()
	if o.ToNew != "" {
		dropAfter(w.t, o.ToNew)
	}
	return w.apply(w.t.Context(), w.plan(o), nil)
}

func (w *world) apply(ctx context.Context, plan *RestorePlan, hook func(Event)) *tape {
	w.t.Helper()
	p := &tape{hook: hook}
	p.err = w.vault().Restore(ctx, plan, p.sink)
	p.check(w.t)
	return p
}

// ok fails the test unless the run went well.
func (p *tape) ok(t *testing.T) *tape {
	t.Helper()
	if p.err != nil {
		for _, n := range all[Notice](p) {
			t.Logf("%s: %s", n.Level, n.Text)
		}
		for _, d := range p.done.Differences {
			t.Logf("differs: %+v", d)
		}
		e := fault.As(p.err)
		t.Fatalf("%s failed with %d: %s: %s\nleft: %s\ndo: %s", p.done.Kind, e.Code, e.What, e.Why, e.Left, e.Do)
	}
	return p
}

// check holds what is true of every run, however it ends.
func (p *tape) check(t testing.TB) {
	t.Helper()
	dones := all[RunDone](p)
	if len(dones) != 1 {
		t.Fatalf("%d RunDone in a run", len(dones))
	}
	p.done = dones[0]
	if _, last := p.events[len(p.events)-1].(RunDone); !last {
		t.Error("something follows RunDone")
	}
	started, first := p.events[0].(RunStarted)
	if !first || len(all[RunStarted](p)) != 1 {
		t.Fatalf("a run begins with %T", p.events[0])
	}
	if p.done.Err != p.err || p.done.Exit != fault.CodeOf(p.err) || (p.err == nil) != (p.done.Result == ResultOK) {
		t.Errorf("RunDone says %v, %d, %v of %v", p.done.Result, p.done.Exit, p.done.Err, p.err)
	}
	var ended []Stage
	for _, d := range all[StageDone](p) {
		ended = append(ended, d.Stage)
	}
	if p.err == nil && !slices.Equal(ended, started.Stages) {
		t.Errorf("stages ended: %v, announced: %v", ended, started.Stages)
	}
	if len(ended) > len(started.Stages) || !slices.Equal(ended, started.Stages[:len(ended)]) {
		t.Errorf("stages ended: %v, not the beginning of %v", ended, started.Stages)
	}
	p.checkProgress(t)
	if p.err != nil {
		fourLines(t, p.err)
	}
}

func (p *tape) checkProgress(t testing.TB) {
	t.Helper()
	var stage Stage
	for _, e := range p.events {
		switch e := e.(type) {
		case StageStarted:
			stage = e.Stage
		case Progress:
			if e.Stage != stage {
				t.Errorf("Progress of %q within %q", e.Stage, stage)
			}
			if e.Estimate == "" && (e.RowsTotal > 0 && e.Rows > e.RowsTotal || e.BytesTotal > 0 && e.Bytes > e.BytesTotal) || e.Tables > 0 && e.TablesDone > e.Tables {
				t.Errorf("Progress beyond its total: %+v", e)
			}
		case TableDone:
			if e.Stage != stage {
				t.Errorf("TableDone of %q within %q", e.Stage, stage)
			}
		}
	}
}

// fourLines fails the test unless an error says what, why, left and do.
func fourLines(t testing.TB, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Errorf("a plain error: %v", err)
		return
	}
	e := fault.As(err)
	for line, text := range map[string]string{"what": e.What, "why": e.Why, "left": e.Left, "do": e.Do} {
		if strings.TrimSpace(text) == "" {
			t.Errorf("no line %q in %#v (%v)", line, e, err)
		}
	}
}

// failed fails the test unless the run ended with this exit code.
func (p *tape) failed(t *testing.T, code fault.Code) *fault.Error {
	t.Helper()
	if p.err == nil {
		t.Fatal("the run went well")
	}
	e := fault.As(p.err)
	if e.Code != code {
		t.Errorf("exit code %d, expected %d: %s: %s", e.Code, code, e.What, e.Why)
	}
	return e
}

// list gives the vault's archives; none where there is no vault yet.
func (w *world) list() []Archive {
	w.t.Helper()
	l, err := w.vault().List(w.t.Context())
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		w.t.Fatal(err)
	}
	return l
}

// canary is a value that must never lie on a disk outside the server.
type canary string

func newCanary() canary {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return canary("canary" + hex.EncodeToString(b[:]))
}

// absent searches every file below the folders.
func (c canary) absent(t *testing.T, dirs ...string) {
	t.Helper()
	files := 0
	for _, dir := range append(dirs, os.Getenv("TMPDIR")) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			src, err := os.ReadFile(path)
			if files++; bytes.Contains(src, []byte(c)) {
				t.Errorf("%s holds plaintext", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("no file was searched")
	}
}

// children gives the programs that this process, or pid, has started and
// that still run, without those of the test server.
func children(t *testing.T, pid int) map[int]string {
	t.Helper()
	out := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		src, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, closed := bytes.IndexByte(src, '('), bytes.LastIndexByte(src, ')')
		f := strings.Fields(string(src[closed+1:]))
		if name := string(src[open+1 : closed]); f[1] == strconv.Itoa(pid) && strings.HasPrefix(name, "pg_") {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			out[n] = name
		}
	}
	return out
}

// until polls for a condition that the kernel or a server brings about by
// itself.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(15 * time.Second)
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("still not after 15 s: %s", what)
		}
	}
}

// quiet waits until no session of a run is left on the server, and fails if
// a child program is.
func quiet(t *testing.T) {
	t.Helper()
	if left := children(t, os.Getpid()); len(left) > 0 {
		t.Errorf("programs still run: %v", left)
	}
	noSessions(t)
}

func noSessions(t *testing.T) {
	t.Helper()
	conn := connect(t, "")
	until(t, "no session of pgvault or its programs", func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
			AND pid <> pg_backend_pid() AND application_name <> 'a test'`).Scan(&n)
		return err == nil && n == 0
	})
	conn.Close(t.Context())
}
