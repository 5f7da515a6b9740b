package vault

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/retention"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// aged is a world with n archives of shop, one a day, the newest an hour
// before noon; the oldest comes first in the ids.
func aged(t *testing.T, n int) (w *world, ids []string) {
	t.Helper()
	w = newWorld(t)
	w.db.Keep, w.db.Grace = retention.Policy{Last: 2}, 48*time.Hour
	for i := range n {
		ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(-time.Hour).AddDate(0, 0, i-n+1), seq: int64(i + 1)}))
	}
	return w, ids
}

// vaultAt is the vault at a moment.
func (w *world) vaultAt(now time.Time) *Vault {
	v := w.vault()
	v.now = func() time.Time { return now }
	return v
}

// retain plans at a moment and applies the plan with its own number.
func (w *world) retain(now time.Time) (*RetentionPlan, error) {
	w.t.Helper()
	v := w.vaultAt(now)
	p, err := v.PlanRetention(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p, v.ApplyRetention(w.t.Context(), p, p.Confirm(), nil)
}

func (w *world) steps(now time.Time) string {
	w.t.Helper()
	p, err := w.vaultAt(now).PlanRetention(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, v := range p.Verdicts {
		out = append(out, string(v.Step))
	}
	return strings.Join(out, " ")
}

func TestRetentionInTwoSteps(t *testing.T) {
	w, ids := aged(t, 5)
	p, err := w.retain(noon)
	if err != nil || p.Confirm() != 3 || p.Frees() != 0 {
		t.Fatalf("%d, %v", p.Confirm(), err)
	}
	if len(w.list()) != 5 || w.archive(ids[0]).Expires == nil || !w.archive(ids[0]).Expires.Equal(noon.Add(48*time.Hour)) {
		t.Fatalf("%+v", w.archive(ids[0]))
	}
	if got := w.steps(noon.Add(47 * time.Hour)); got != "keep keep wait wait wait" {
		t.Fatal(got)
	}
	// A person changes their mind about one, and pins another.
	if err := w.vaultAt(noon).KeepMarked(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.vaultAt(noon).Pin(t.Context(), ids[1], true); err != nil {
		t.Fatal(err)
	}
	later := noon.Add(48 * time.Hour)
	if got := w.steps(later); got != "keep keep remove unmark mark" {
		t.Fatal(got)
	}
	if p, err = w.retain(later); err != nil || p.Frees() == 0 {
		t.Fatal(err)
	}
	left := w.list()
	if len(left) != 4 || slices.ContainsFunc(left, func(a Archive) bool { return a.ID == ids[2] }) || w.archive(ids[1]).Expires != nil || w.archive(ids[0]).Expires == nil {
		t.Fatalf("%+v", left)
	}
	if slices.ContainsFunc(w.files(), func(f string) bool { return strings.Contains(f, ids[2]) }) {
		t.Fatal("something of what went is left")
	}
	_, trail, err := w.vault().Activity(t.Context(), 0)
	if err != nil || trail.Broken != 0 || trail.Lines < 4 {
		t.Fatalf("%+v, %v", trail, err)
	}
}

func TestRetentionWantsTheNumber(t *testing.T) {
	w, _ := aged(t, 5)
	v := w.vaultAt(noon)
	p, err := v.PlanRetention(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := w.files()
	for _, n := range []int{0, 2, 4, -3} {
		if err := v.ApplyRetention(t.Context(), p, n, nil); fault.CodeOf(err) != fault.Refused {
			t.Errorf("%d: %v", n, err)
		}
	}
	w.fabricate(made{database: "shop", at: noon.Add(-time.Minute), seq: 9})
	if err := v.ApplyRetention(t.Context(), p, p.Confirm(), nil); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "not as the plan found them") {
		t.Errorf("an archive came meanwhile: %v", err)
	}
	for _, f := range before {
		if !slices.Contains(w.files(), f) {
			t.Errorf("%s is gone", f)
		}
	}
	w.conf.ReadOnly = true
	if err := w.vaultAt(noon).ApplyRetention(t.Context(), p, p.Confirm(), nil); fault.CodeOf(err) != fault.Refused {
		t.Errorf("read only: %v", err)
	}
}

func TestRetentionHoldsWhatFails(t *testing.T) {
	w, _ := aged(t, 5)
	w.db.MaxAge = 2 * time.Hour
	if got := w.steps(noon.Add(time.Hour + 2*time.Minute)); got != "keep keep keep keep keep" { // late by now
		t.Fatal(got)
	}
	if got := w.steps(noon); got != "keep keep mark mark mark" {
		t.Fatal(got)
	}
}

// clocked is a place that tells its time, and may fail to list.
type clocked struct {
	store.Store
	off time.Duration
	err error
}

func (c *clocked) Unwrap() store.Store { return c.Store }
func (c *clocked) ServerTime(context.Context) (time.Time, error) {
	return noon.Add(c.off), nil
}
func (c *clocked) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.Store.List(ctx, prefix)
}

func TestRetentionRefuses(t *testing.T) {
	w, ids := aged(t, 12)
	second := w.path("second")
	if err := os.Mkdir(second, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(second)
	if err != nil {
		t.Fatal(err)
	}
	c := &clocked{Store: w.store()}
	w.conf.Places = []Place{{Name: "disk", Store: c}, {Name: "second", Store: d}}
	want := func(why string) {
		t.Helper()
		p, err := w.retain(noon)
		if fault.CodeOf(err) != fault.Refused || !strings.Contains(p.Refused, why) || p.Do == "" {
			t.Errorf("want %q: %+v, %v", why, p.Refused, err)
		}
	}
	c.off = retention.Skew + time.Second
	want("the clocks of this host and of disk differ")
	c.off = -retention.Skew - time.Second
	want("the clocks of this host and of disk differ")
	c.off = 0
	w.conf.Places[1].Store = &clocked{Store: d, err: &fault.Error{What: "down", Code: fault.PlaceUnreachable}}
	want("the place second could not be listed")
	w.conf.Places[1].Store = d
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	// A listing that lacks what was there at the last run.
	for _, id := range ids[:6] {
		if err := os.Rename(w.path("place/main/shop/"+id), w.path(id)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.vaultAt(noon).PlanRetention(t.Context(), nil)
	if err != nil || !strings.Contains(p.Refused, "lacks 6 archives") {
		t.Fatalf("%q, %v", p.Refused, err)
	}
	if len(w.list()) != 6 {
		t.Fatal("something went")
	}
	w.fabricate(made{database: "shop", at: noon.Add(retention.Skew + time.Second), seq: 99})
	if _, err := w.vaultAt(noon).PlanRetention(t.Context(), nil); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("an archive from the future: %v", err)
	}
}

// TestRetentionSurvivesFailures: a place that refuses one step after the
// other; nothing that is to stay is touched, and the next run goes on.
func TestRetentionSurvivesFailures(t *testing.T) {
	w, ids := aged(t, 4)
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	later := noon.Add(48 * time.Hour)
	real := w.store()
	for at := int64(1); ; at++ {
		var n atomic.Int64
		w.setPlace(&refusingOnce{Store: real, fails: func() bool { return n.Add(1) == at }})
		_, err := w.retain(later)
		if n.Load() < at { // no call was left to fail
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		w.setPlace(real)
		for _, id := range ids[2:] {
			if a := w.archive(id); a.State != "good" {
				t.Fatalf("call %d: %+v", at, a)
			}
		}
		for _, a := range w.list() {
			if a.State != "good" {
				t.Fatalf("call %d failed (%v): half an archive is listed: %+v", at, err, a)
			}
		}
		if at > 200 {
			t.Fatal("it never ends")
		}
	}
	w.setPlace(real)
	if _, err := w.retain(later); err != nil {
		t.Fatal(err)
	}
	if len(w.list()) != 2 {
		t.Fatalf("%d are left", len(w.list()))
	}
}

// refusingOnce is a place of which one call that changes something fails.
type refusingOnce struct {
	store.Store
	fails func() bool
}

var errFailing = errors.New("the place failed")

func (f *refusingOnce) Unwrap() store.Store { return f.Store }
func (f *refusingOnce) Create(ctx context.Context, name string) (store.Writer, error) {
	if f.fails() {
		return nil, errFailing
	}
	return f.Store.Create(ctx, name)
}
func (f *refusingOnce) Remove(ctx context.Context, name string) error {
	if f.fails() {
		return errFailing
	}
	return f.Store.Remove(ctx, name)
}

// TestTwoHostsRetain: two hosts with state folders of their own mark and
// remove at once in one place.
func TestTwoHostsRetain(t *testing.T) {
	w, _ := aged(t, 9)
	other := *w
	other.conf.StateDir = w.path("other-state")
	for _, now := range []time.Time{noon, noon.Add(48 * time.Hour)} {
		errs := make(chan error, 2)
		for _, h := range []*world{w, &other} {
			v := h.vaultAt(now)
			p, err := v.PlanRetention(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() { errs <- v.ApplyRetention(t.Context(), p, p.Confirm(), nil) }()
		}
		for range 2 {
			if err := <-errs; err != nil && fault.CodeOf(err) != fault.Refused && fault.CodeOf(err) != fault.Partial {
				t.Errorf("%v", err)
			}
		}
	}
	list := w.list()
	if len(list) != 2 || list[0].State != "good" || list[1].State != "good" {
		t.Fatalf("%+v", list)
	}
}

// TestBackupRetains: a backup applies what somebody chose to keep, and only
// that; a policy that would take much at once waits for a person.
func TestBackupRetains(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS v")
	w := newWorld(t)
	w.db.Keep, w.db.Grace = retention.Policy{Last: 1}, 0
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	if slices.ContainsFunc(w.list(), func(a Archive) bool { return a.Expires != nil }) {
		t.Fatal("nobody chose what to keep, and something is marked")
	}
	w.db.Removes = true
	w.backup(BackupOptions{Database: "origin"}).ok(t) // marks two, whose grace is over at once
	marked := 0
	for _, a := range w.list() {
		if a.Expires != nil {
			marked++
		}
	}
	if marked != 2 {
		t.Fatalf("%d are marked", marked)
	}
	done := w.backup(BackupOptions{Database: "origin"})
	done.ok(t)
	if n := len(w.list()); n != 2 { // the new one, and the one before, marked now
		t.Fatalf("%d are left", n)
	}
	if !slices.ContainsFunc(all[Notice](done), func(n Notice) bool { return strings.HasPrefix(n.Text, "retention removed ") }) {
		t.Errorf("the run does not tell what it removed")
	}
	for i := range 12 {
		w.fabricate(made{database: "origin", at: time.Now().AddDate(0, 0, -i-1), seq: int64(i + 1)})
	}
	done = w.backup(BackupOptions{Database: "origin"})
	if n := len(w.list()); n != 15 || done.done.Warnings == 0 {
		t.Errorf("a policy that takes 13 of 15 at once was applied: %d are left", n)
	}
}
