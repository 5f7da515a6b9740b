package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/store/disk"
)

// world is a written set-up of one database, and its vault.
type world struct {
	t     *testing.T
	dir   string
	path  string
	desk  *Desk
	trail []string
	fails error // of Audit
	*vault.Vault
}

// Audit makes world an Auditor.
func (w *world) Audit(_ context.Context, kind, what, result, text string) error {
	w.trail = append(w.trail, kind+": "+what+" "+result)
	return w.fails
}

func newWorld(t *testing.T, database string) *world {
	t.Helper()
	sql(t, "postgres", "CREATE DATABASE "+database)
	sql(t, database, "CREATE TABLE a AS SELECT generate_series(1, 10) AS i")
	w := &world{t: t, dir: t.TempDir()}
	w.path = filepath.Join(w.dir, "config.toml")
	v, r := chosen(t, w.dir)
	v.Conninfo, v.BinDir, v.Databases, v.Keep = server().Conninfo, server().BinDir, []string{database}, nil
	if err := Write(w.path, v, r, rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.Vault = openVault(t, w.path, filepath.Join(w.dir, "state"), false)
	if err := w.Vault.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.desk = &Desk{Path: w.path, Vault: w, Program: Program{Version: "1.2.3", StateDir: filepath.Join(w.dir, "state"), Mouse: true}}
	return w
}

// openVault is what a face does with a configuration.
func openVault(t *testing.T, path, state string, readOnly bool) *vault.Vault {
	t.Helper()
	conf, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	place, err := disk.Open(conf.Places[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.Close() })
	return vault.New(vault.Config{
		Name: conf.Vault.Name, Version: "test", Server: conf.Server, StateDir: state, ReadOnly: readOnly, Places: []vault.Place{{Name: "disk", Store: place}},
		RecipientsFile: conf.Keys.RecipientsFile, SigningKey: conf.Keys.SigningKey, SelfCheck: true, Select: conf.Select,
		Of: func(name string) vault.Database {
			d := conf.Database(name)
			return vault.Database{MaxAge: d.MaxAge, Keep: *d.Keep, Verify: vault.ProofReadable, Jobs: 1}
		},
	})
}

// edit puts text into the copy, as an editor would.
func (w *world) edit(change func(string) string) *Edit {
	w.t.Helper()
	e, err := w.desk.Begin()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { e.Close() })
	src, err := os.ReadFile(e.Copy)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(e.Copy, []byte(change(string(src))), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) file() string {
	w.t.Helper()
	src, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(src)
}

func replace(old, changed string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, changed, 1) }
}

func TestEditSaves(t *testing.T) {
	w := newWorld(t, "edit_saves")
	if err := os.Chmod(w.path, 0o660); err != nil {
		t.Fatal(err)
	}
	e := w.edit(replace(`max_age         = "1d12h"`, `max_age         = "2d" # a comment of mine`))
	r, err := e.Review(t.Context())
	if err != nil || r.Invalid != nil || r.Needs() != "" || len(r.Meanwhile) != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	if r.Summary() != "defaults.max_age 1d12h > 2d" || len(r.Diff) < 3 {
		t.Errorf("%s %v", r.Summary(), r.Diff)
	}
	if err := e.Save(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.file(), "a comment of mine") || !slices.Equal(w.trail, []string{"settings: defaults.max_age 1d12h > 2d ok"}) {
		t.Errorf("%s\n%q", w.file(), w.trail)
	}
	if st, err := os.Stat(w.path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(e.Copy)); !os.IsNotExist(err) {
		t.Errorf("the copy stays: %v", err)
	}
}

func TestEditInvalid(t *testing.T) {
	w := newWorld(t, "edit_invalid")
	before := w.file()
	e := w.edit(func(s string) string { return "[vault]\nnmae = 1\n[defaults]\njobs = 0\nwhat = 2\n" })
	r, err := e.Review(t.Context())
	if err != nil || r.Invalid == nil || len(r.Problems) < 2 {
		t.Fatalf("%+v %v", r, err)
	}
	p := r.Problems[0]
	if p.Line != 2 || p.Source != "nmae = 1" || !strings.Contains(p.Text, `did you mean "name"`) {
		t.Errorf("%+v", p)
	}
	if err := e.Save(t.Context(), r, ""); fault.CodeOf(err) != fault.Usage || w.file() != before || w.trail != nil {
		t.Errorf("%v\n%s", err, w.file())
	}
}

// TestEditMeanwhile: what somebody else saved while the editor was open is
// shown, and never overwritten.
func TestEditMeanwhile(t *testing.T) {
	w := newWorld(t, "edit_meanwhile")
	e := w.edit(replace("TEST", "MINE"))
	theirs := strings.Replace(w.file(), "TEST", "THEIRS", 1)
	if err := os.WriteFile(w.path, []byte(theirs), 0o640); err != nil {
		t.Fatal(err)
	}
	r, err := e.Review(t.Context())
	if err != nil || len(r.Meanwhile) == 0 || len(r.Diff) == 0 {
		t.Fatalf("%+v %v", r, err)
	}
	if err := e.Save(t.Context(), r, ""); !errors.Is(err, config.ErrChanged) || w.file() != theirs || w.trail != nil {
		t.Errorf("%v\n%s", err, w.file())
	}
}

// TestEditKeepsLess: rules that give archives up ask for their number.
func TestEditKeepsLess(t *testing.T) {
	w := newWorld(t, "edit_keeps")
	for range 3 {
		if err := w.Backup(t.Context(), vault.BackupOptions{Database: "edit_keeps"}, func(vault.Event) {}); err != nil {
			t.Fatal(err)
		}
	}
	e := w.edit(replace("# keep    = { last = 3, daily = 7, weekly = 4, monthly = 6 }", "keep = { last = 1 }"))
	r, err := e.Review(t.Context())
	if err != nil || len(r.Deletes) != 2 || r.Needs() != "2" {
		t.Fatalf("%+v %v", r, err)
	}
	before := w.file()
	for _, typed := range []string{"", "1", "yes", "22"} {
		if err := e.Save(t.Context(), r, typed); fault.CodeOf(err) != fault.Refused || w.file() != before {
			t.Errorf("%q: %v", typed, err)
		}
	}
	w.fails = errors.New("no room")
	if err := e.Save(t.Context(), r, " 2 "); fault.CodeOf(err) != fault.Partial || w.file() == before {
		t.Errorf("%v", err)
	}
	// More is kept again: nothing to type.
	e = w.edit(replace("last = 1", "last = 9"))
	if r, err = e.Review(t.Context()); err != nil || r.Needs() != "" {
		t.Errorf("%+v %v", r, err)
	}
	// What cannot be weighed is not saved.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err = e.Review(ctx); fault.CodeOf(err) != fault.Refused {
		t.Errorf("archives that cannot be listed: %v", err)
	}
}

func TestEditReadOnly(t *testing.T) {
	w := newWorld(t, "edit_read_only")
	d := &Desk{Path: w.path, Vault: openVault(t, w.path, w.dir, true)}
	if _, err := d.Begin(); fault.CodeOf(err) != fault.Refused || !strings.Contains(fault.As(err).Why, "read only") {
		t.Errorf("%v", err)
	}
	if _, err := (&Desk{}).Begin(); fault.CodeOf(err) != fault.NoVault {
		t.Errorf("no file: %v", err)
	}
}

func TestEditor(t *testing.T) {
	w := newWorld(t, "edit_editor")
	e := w.edit(func(s string) string { return s })
	at := e.line("[[place]]")
	if at < 10 || strings.Split(w.file(), "\n")[at-1] != "[[place]]" {
		t.Errorf("line %d", at)
	}
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	if got := e.Editor("").Args; !slices.Equal(got, []string{"/bin/sh", "-c", `vi "$@"`, "vi", "+1", e.Copy}) {
		t.Errorf("%q", got)
	}
	t.Setenv("EDITOR", "/usr/bin/nano -w")
	if got := e.Editor("[[place]]").Args; !slices.Contains(got, fmt.Sprintf("+%d", at)) || got[2] != `/usr/bin/nano -w "$@"` {
		t.Errorf("%q", got)
	}
	t.Setenv("VISUAL", "sed -i s/TEST/EDITED/")
	if out, err := e.Editor("[[place]]").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if r, err := e.Review(t.Context()); err != nil || r.Summary() != "vault.label TEST > EDITED" {
		t.Errorf("%+v %v", r, err)
	}
}
