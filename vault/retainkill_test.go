package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/retention"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/kinds"
	"pgvault/vault/store/storetest/servers"
)

// retainOrderEnv holds a retainOrder for a process that is only there to be
// killed: see TestMain.
const retainOrderEnv = "PGVAULT_TEST_RETAIN"

// retainOrder is what that process does: mark and then, after the grace,
// remove; before change Dies it gets a SIGKILL, from itself.
type retainOrder struct {
	Dir  string
	URLs []string
	Dies int
	Real bool // the place has a clock of its own: no grace, and no time but now
}

// mortal is a place whose process is killed before one of the changes.
type mortal struct {
	store.Store
	left *atomic.Int64
}

func (m mortal) change() {
	if m.left.Add(-1) < 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (m mortal) Create(ctx context.Context, name string) (store.Writer, error) {
	m.change()
	w, err := m.Store.Create(ctx, name)
	return mortalWriter{w, m}, err
}

func (m mortal) Remove(ctx context.Context, name string) error {
	m.change()
	return m.Store.Remove(ctx, name)
}

type mortalWriter struct {
	store.Writer
	m mortal
}

func (w mortalWriter) Commit(ctx context.Context) error {
	w.m.change()
	return w.Writer.Commit(ctx)
}

// retainAsChild runs in a process of its own.
func retainAsChild(order string) int {
	var o retainOrder
	err := json.Unmarshal([]byte(order), &o)
	ctx := context.Background()
	var places []store.Store
	var left atomic.Int64
	left.Store(int64(o.Dies))
	for _, url := range o.URLs {
		if err == nil {
			var s store.Store
			s, err = kinds.Parse(ctx, url, address.Options{Getenv: os.Getenv}, 0)
			places = append(places, mortal{s, &left})
		}
	}
	if err == nil {
		err = retainBoth(ctx, o.conf("state", places), o.Real)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// conf is the vault with the state folder of one host.
func (o retainOrder) conf(state string, stores []store.Store) Config {
	d := Database{Jobs: 1, Keep: retention.Policy{Last: 1}, Grace: 48 * time.Hour}
	if o.Real {
		d.Grace = 0
	}
	places := []Place{}
	for i, s := range stores {
		places = append(places, Place{Name: []string{"disk", "second"}[i], Store: s})
	}
	return Config{Name: "main", Version: "test", StateDir: o.Dir + "/" + state, RecipientsFile: o.Dir + "/recipients", SigningKey: o.Dir + "/signing",
		Places: places, Select: func(all []string) []string { return all }, Of: func(string) Database { return d }}
}

// retainBoth marks, and then removes: two days later, or at once.
func retainBoth(ctx context.Context, c Config, real bool) error {
	for _, after := range []time.Duration{0, 48 * time.Hour} {
		v := New(c)
		if !real {
			v.now = func() time.Time { return noon.Add(after) }
		}
		p, err := v.PlanRetention(ctx, nil)
		if err == nil && p.Refused != "" {
			err = errors.New(p.Refused)
		}
		if err == nil {
			err = v.ApplyRetention(ctx, p, p.Confirm(), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRetentionKilled kills a process with SIGKILL before each change that
// marking and removing make: every archive is then whole or not listed, the
// newest is there, another host's unfinished backup is not touched, and the
// next run, of this host or of another, brings all to the same end, with
// nothing left of what went.
func TestRetentionKilled(t *testing.T) {
	t.Run("disk", func(t *testing.T) {
		retentionKilled(t, 1, noon, nil, func(w *world, _ int) ([]string, []store.Store) {
			return []string{"file:" + w.path("place")}, []store.Store{w.store()}
		})
	})
	t.Run("two places", func(t *testing.T) {
		retentionKilled(t, 3, noon, nil, func(w *world, _ int) ([]string, []store.Store) {
			w.places("second")
			return []string{"file:" + w.path("place"), "file:" + w.path("second")}, []store.Store{w.store(), w.conf.Places[1].Store}
		})
	})
	t.Run("s3", func(t *testing.T) {
		s := servers.S3(t)
		retentionKilled(t, 5, time.Now(), s.Env(), func(_ *world, n int) ([]string, []store.Store) {
			url := s.URL(fmt.Sprint("killed", n))
			return []string{url}, []store.Store{realPlace(t, url, s.Getenv, address.Options{})}
		})
	})
}

// retentionKilled kills before every step-th change; archives were made
// before base, and lie in every place.
func retentionKilled(t *testing.T, step int, base time.Time, env []string, open func(w *world, n int) ([]string, []store.Store)) {
	died := 0
	for dies := 0; ; dies += step {
		w := newWorld(t)
		urls, places := open(w, dies)
		o := retainOrder{w.dir, urls, dies, base != noon}
		w.conf = o.conf("state", places)
		var ids []string
		for i := range 5 {
			ids = append(ids, w.fabricate(made{database: "shop", at: base.Add(time.Duration(i-6) * time.Hour), seq: int64(i + 1), proof: ProofReadable}))
		}
		newest := ids[4]
		foreign := "main/wiki/20250601T000000Z-0001/" + archive.MainPart
		if err := archive.Publish(t.Context(), places[0], foreign, []byte("half a dump")); err != nil {
			t.Fatal(err)
		}
		if len(places) > 1 {
			if err := os.CopyFS(w.path("second"), os.DirFS(w.path("place"))); err != nil {
				t.Fatal(err)
			}
		}
		order, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(append(os.Environ(), env...), retainOrderEnv+"="+string(order))
		out, err := cmd.CombinedOutput()
		killed := err != nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !killed {
			t.Fatalf("before change %d: %v\n%s", dies, err, out)
		}
		list := w.list()
		for _, a := range list {
			if a.State != "good" {
				t.Errorf("killed before change %d, %s is %s: %s", dies, a.ID, a.State, a.Reason)
			}
		}
		if !slices.ContainsFunc(list, func(a Archive) bool { return a.ID == newest }) {
			t.Fatalf("killed before change %d, the newest is gone", dies)
		}
		host := []string{"state", "other-state"}[dies/step%2]
		if err := retainBoth(t.Context(), o.conf(host, places), o.Real); err != nil {
			t.Fatalf("killed before change %d, the next run on %s: %v", dies, host, err)
		}
		var all []store.Info
		for _, place := range places {
			list, err := place.List(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, list...)
		}
		if list = w.list(); len(list) != 1 || list[0].ID != newest || list[0].State != "good" || list[0].Expires != nil {
			t.Errorf("killed before change %d, at the end there are %+v", dies, list)
		}
		half := 0
		for _, o := range all {
			if o.Name == foreign {
				half++
			}
			for _, id := range ids[:4] {
				if strings.Contains(o.Name, id) {
					t.Errorf("killed before change %d, %s is left", dies, o.Name)
				}
			}
		}
		if half != len(places) {
			t.Errorf("killed before change %d, another host's backup was touched", dies)
		}
		if !killed {
			break
		}
		died++
	}
	t.Logf("%d processes were killed", died)
	if died*step < 40 {
		t.Errorf("only %d were killed", died)
	}
}
