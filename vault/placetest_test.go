package vault

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/disk"
	"pgvault/vault/store/storetest"
)

// trialPlace gives a real folder.
func trialPlace(t *testing.T) *disk.Disk {
	t.Helper()
	d, err := disk.Init("file:" + t.TempDir() + "/place")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// tried runs a test and gives its checks by name.
func tried(t *testing.T, ctx context.Context, s store.Store, o PlaceTest) (map[string]PlaceCheck, []string, error) {
	t.Helper()
	got, order := map[string]PlaceCheck{}, []string{}
	begun := ""
	if o.At.Scheme == "" {
		a, err := address.Parse(s.String())
		if err != nil {
			t.Fatal(err)
		}
		o.At = a
	}
	err := TestPlace(ctx, s, o, func(c PlaceCheck) {
		if c.State == "" {
			begun = c.Name
			return
		}
		if c.Name != begun && c.Name != "clean up" {
			t.Errorf("%s ends, %s began", c.Name, begun)
		}
		if c.Text == "" || c.State != "ok" && c.Do == "" || c.Seconds < 0 {
			t.Errorf("a check that does not help: %+v", c)
		}
		got[c.Name] = c
		order = append(order, c.State+" "+c.Name)
	})
	return got, order, err
}

// nothingLeft: no test leaves anything, and what else lies there stays.
func nothingLeft(t *testing.T, s store.Store, but ...string) {
	t.Helper()
	if names := storetest.Names(t, s, ""); !slices.Equal(names, but) {
		t.Errorf("left in the place: %q, want %q", names, but)
	}
}

func TestPlaceOnDisk(t *testing.T) {
	d := trialPlace(t)
	storetest.Put(t, d, "main/vault.json", []byte("{}"))
	_, order, err := tried(t, t.Context(), d, PlaceTest{MinFree: 1})
	want := []string{"ok reach", "ok put", "ok read", "ok list", "ok range", "ok overwrite", "ok delete", "ok space", "ok compared", "ok durable", "ok unfinished", "ok promise"}
	if err != nil || !slices.Equal(order, want) {
		t.Errorf("%q, %v; want %q", order, err, want)
	}
	nothingLeft(t, d, "main/vault.json")
	if list, err := os.ReadDir(strings.TrimPrefix(d.String(), "file:")); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	got, _, err := tried(t, t.Context(), d, PlaceTest{MinFree: 1 << 60, Lock: time.Hour})
	if got["space"].State != "!" || got["lock"].State != "x" || got["promise"].State != "x" || fault.CodeOf(err) != fault.Failed {
		t.Errorf("%+v, %v", got, err)
	}
	nothingLeft(t, d, "main/vault.json")
}

// bent is a real place that does one thing wrong.
type bent struct {
	store.Store
	clobbers, hides, corrupts, cutsRanges, keepsDeleted, deniesDelete, marks, breaks bool

	skew     time.Duration
	locked   time.Time // Retained: the zero time says that nothing is locked
	promises store.Promises
	uploads  []store.Upload
	onWrite  func()
}

func (b *bent) Unwrap() store.Store { return nil } // what the disk offers beside is not there
func (b *bent) String() string      { return "s3://test/bent" }
func (b *bent) ServerTime(context.Context) (time.Time, error) {
	return time.Now().Add(b.skew), nil
}
func (b *bent) LockedUntil(context.Context, string) (time.Time, error) { return b.locked, nil }
func (b *bent) Promises(context.Context) (store.Promises, error)       { return b.promises, nil }
func (b *bent) Unfinished(context.Context) ([]store.Upload, error)     { return b.uploads, nil }
func (b *bent) Discard(_ context.Context, u store.Upload) error {
	b.uploads = slices.DeleteFunc(b.uploads, func(o store.Upload) bool { return o == u })
	return nil
}

func (b *bent) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if b.hides {
		return nil, nil
	}
	return b.Store.List(ctx, prefix)
}

func (b *bent) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if b.cutsRanges && offset > 0 {
		offset--
	}
	r, err := b.Store.Open(ctx, name, offset, length)
	if b.corrupts && err == nil {
		r.Close()
		return io.NopCloser(strings.NewReader("something else")), nil
	}
	return r, err
}

func (b *bent) Remove(ctx context.Context, name string) error {
	switch {
	case b.keepsDeleted:
		return nil
	case b.deniesDelete, !b.locked.IsZero() && !b.breaks:
		return &fault.Error{What: "denied", Code: fault.Refused}
	}
	return b.Store.Remove(ctx, name)
}

// Hide is what a bucket with versions does to a locked object.
func (b *bent) Hide(ctx context.Context, name string) error {
	if !b.marks {
		return &fault.Error{What: "denied", Code: fault.Refused}
	}
	return b.Store.Remove(ctx, name)
}

func (b *bent) Create(ctx context.Context, name string) (store.Writer, error) {
	w, err := b.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &bentWriter{Writer: w, b: b, name: name}, nil
}

type bentWriter struct {
	store.Writer
	b    *bent
	name string
}

func (w *bentWriter) Commit(ctx context.Context) error {
	if w.b.clobbers {
		if err := w.b.Store.Remove(ctx, w.name); err != nil && !errors.Is(err, store.ErrNotExist) {
			return err
		}
	}
	err := w.Writer.Commit(ctx)
	if w.b.onWrite != nil {
		w.b.onWrite()
	}
	return err
}

func TestPlaceFindsWhatIsWrong(t *testing.T) {
	s3 := store.Promises{NoOverwrite: "If-None-Match", Compared: "SHA-256", Durable: "the service's word", Pieces: 10000, MinPiece: 5 << 20, MaxObject: 5 << 40}
	for name, c := range map[string]struct {
		b    bent
		o    PlaceTest
		want string // check=state, those that are not ok
		code fault.Code
		left int
	}{
		"as it should be": {bent{promises: s3}, PlaceTest{}, "delete=!", 0, 0},
		"clobbers":        {bent{promises: s3, clobbers: true}, PlaceTest{}, "overwrite=x pieces=x delete=! promise=x", 1, 0},
		"hides":           {bent{promises: s3, hides: true}, PlaceTest{}, "list=x delete=! promise=x", 1, 0},
		"corrupts":        {bent{promises: s3, corrupts: true}, PlaceTest{}, "read=x range=x overwrite=x pieces=x delete=! promise=x", 1, 0},
		"cuts ranges":     {bent{promises: s3, cutsRanges: true}, PlaceTest{}, "range=x delete=! promise=x", 1, 0},
		"keeps deleted":   {bent{promises: s3, keepsDeleted: true}, PlaceTest{}, "delete=x promise=x", 1, 2},
		"may not delete":  {bent{promises: s3, deniesDelete: true}, PlaceTest{}, "", 0, 2},
		"clock late":      {bent{promises: s3, skew: -3 * time.Second}, PlaceTest{}, "clock=! delete=!", 0, 0},
		"clock wrong":     {bent{promises: s3, skew: 6 * time.Minute}, PlaceTest{}, "clock=x delete=! promise=x", 1, 0},
		"not locked":      {bent{promises: s3}, PlaceTest{Lock: time.Hour}, "lock=x delete=! promise=x", 1, 0},
		"locked":          {bent{promises: s3, locked: time.Now().Add(720 * time.Hour)}, PlaceTest{Lock: 720 * time.Hour}, "", 0, 1},
		"hides locked":    {bent{promises: s3, locked: time.Now().Add(time.Hour), marks: true}, PlaceTest{}, "delete=!", 0, 0},
		"false lock":      {bent{promises: s3, locked: time.Now().Add(time.Hour), breaks: true}, PlaceTest{At: address.Address{Scheme: address.GCS, Bucket: "abc"}}, "delete=x promise=x", 1, 0},
		"locked by rule":  {bent{promises: s3, locked: time.Now().Add(time.Hour)}, PlaceTest{Lock: 720 * time.Hour}, "lock=!", 0, 1},
		"few pieces":      {bent{promises: store.Promises{Durable: "yes", Pieces: 100, MaxObject: 1 << 40}}, PlaceTest{}, "delete=! limits=!", 0, 0},
		"durable unknown": {bent{promises: store.Promises{Durable: "unknown: no fsync"}}, PlaceTest{}, "delete=! durable=!", 0, 0},
		"unfinished":      {bent{promises: s3, uploads: []store.Upload{{Name: "main/x", Started: time.Now().Add(-48 * time.Hour), Size: 5 << 20}, {Name: "now", Started: time.Now()}}}, PlaceTest{}, "delete=! unfinished=!", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := trialPlace(t)
			b := c.b
			b.Store = d
			_, order, err := tried(t, t.Context(), &b, c.o)
			var bad []string
			for _, o := range order {
				if state, check, _ := strings.Cut(o, " "); state != "ok" {
					bad = append(bad, check+"="+state)
				}
			}
			if got := strings.Join(bad, " "); got != c.want || fault.CodeOf(err) != c.code {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if left := storetest.Names(t, d, ""); len(left) != c.left {
				t.Errorf("left: %q, want %d", left, c.left)
			}
		})
	}
}

// TestPlaceLockedLeavesLittle: what cannot be taken away again is as small as
// can be, and is named.
func TestPlaceLockedLeavesLittle(t *testing.T) {
	d := trialPlace(t)
	b := &bent{Store: d, promises: store.Promises{Durable: "yes", Pieces: 10000}, locked: time.Now().Add(time.Hour)}
	got, _, err := tried(t, t.Context(), b, PlaceTest{})
	if err != nil {
		t.Fatal(err)
	}
	left, err := d.List(t.Context(), "")
	if err != nil || len(left) != 1 || left[0].Size > 64 || !strings.Contains(got["delete"].Text, left[0].Name) {
		t.Errorf("%+v, %v, %s", left, err, got["delete"].Text)
	}
	if got["pieces"].State != "ok" {
		t.Errorf("%+v", got["pieces"])
	}
}

// TestPlaceUnreachable: the place's own error, with its code.
func TestPlaceUnreachable(t *testing.T) {
	down := &unreachablePlace{Store: trialPlace(t)}
	_, order, err := tried(t, t.Context(), down, PlaceTest{})
	if fault.CodeOf(err) != fault.PlaceUnreachable || !slices.Equal(order, []string{"x reach"}) {
		t.Errorf("%q, %v", order, err)
	}
}

type unreachablePlace struct{ store.Store }

func (unreachablePlace) List(context.Context, string) ([]store.Info, error) {
	return nil, &fault.Error{What: "no answer", Why: "connection refused", Do: "start it", Code: fault.PlaceUnreachable}
}

// TestPlaceCancelled: whenever the test is stopped, it leaves nothing.
func TestPlaceCancelled(t *testing.T) {
	for stop := 1; stop <= 4; stop++ {
		d := trialPlace(t)
		ctx, cancel := context.WithCancel(t.Context())
		writes := 0
		b := &bent{Store: d, promises: store.Promises{Durable: "yes", Pieces: 10}, onWrite: func() {
			if writes++; writes == stop {
				cancel()
			}
		}}
		_, order, err := tried(t, ctx, b, PlaceTest{})
		if !errors.Is(err, context.Canceled) || writes < stop {
			t.Errorf("stopped at write %d: %q, %v", stop, order, err)
		}
		nothingLeft(t, d, []string{}...)
		cancel()
	}
}

// TestPlaceClean: what earlier tests and writers left is named, and taken away
// when that is asked for; what another one does now is left alone.
func TestPlaceClean(t *testing.T) {
	d := trialPlace(t)
	ago := time.Now().Add(-25 * time.Hour)
	old := trialFolder + ago.UTC().Format(trialTime) + "-00000000-small"
	now := trialFolder + time.Now().UTC().Format(trialTime) + "-11111111-small"
	storetest.Put(t, d, old, []byte("x"))
	storetest.Put(t, d, now, []byte("x"))
	partial := filepath.Join(strings.TrimPrefix(d.String(), "file:"), ".partial-x")
	if err := os.WriteFile(partial, make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(partial, ago, ago); err != nil {
		t.Fatal(err)
	}
	got, _, err := tried(t, t.Context(), d, PlaceTest{})
	if u := got["unfinished"]; err != nil || u.State != "!" || !strings.Contains(u.Text, old) || !strings.Contains(u.Text, ".partial-x") || strings.Contains(u.Text, now) {
		t.Errorf("%+v, %v", got["unfinished"], err)
	}
	got, _, err = tried(t, t.Context(), d, PlaceTest{Clean: true})
	if u := got["unfinished"]; err != nil || u.State != "ok" || !strings.HasPrefix(u.Text, "2 ") {
		t.Errorf("%+v, %v", got["unfinished"], err)
	}
	nothingLeft(t, d, now)
	if _, err := os.Stat(partial); !os.IsNotExist(err) {
		t.Error("the temporary file is still there")
	}
}
