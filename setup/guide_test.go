package setup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
)

// walked is a guide that a test walks through, with a real server and vault;
// its jobs run in this process.
type walked struct {
	*vault.Vault
	t       *testing.T
	s       *guide.Session
	g       *guide.Guide
	w       World
	dir     string
	orders  []vault.Order
	secrets []vault.Secrets
}

// Launch notes the order; Watch carries it out.
func (w *walked) Launch(_ context.Context, o vault.Order, s vault.Secrets) (vault.Job, error) {
	w.orders, w.secrets = append(w.orders, o), append(w.secrets, s)
	return vault.Job{ID: string(o.Kind), Order: o}, nil
}

func (w *walked) Watch(ctx context.Context, id string, sink vault.Sink) error {
	for i, o := range w.orders {
		switch {
		case string(o.Kind) != id:
		case o.Kind == vault.KindBackup:
			return w.Vault.Backup(ctx, vault.BackupOptions{Database: o.Database}, sink)
		default:
			return w.Vault.Verify(ctx, vault.VerifyOptions{ID: o.ID, Level: o.Level, Identities: w.secrets[i].Identities()}, sink)
		}
	}
	return &fault.Error{What: "no such job"}
}

func newWalked(t *testing.T) *walked {
	t.Helper()
	w := &walked{t: t, dir: t.TempDir()}
	path, state := filepath.Join(w.dir, "etc", "config.toml"), filepath.Join(w.dir, "state")
	w.w = World{Path: path, StateDir: state, Program: "/usr/bin/pgvault", User: "pgvault", Access: vault.Access{Act: true}, Random: rand.Reader,
		Open: func() (Vault, error) {
			w.Vault = openVault(t, path, state, false)
			return w, nil
		}}
	w.g = Guide(w.w)
	w.begin(guide.New(w.g, nil))
	return w
}

func (w *walked) begin(s *guide.Session) {
	w.s = s
	w.t.Cleanup(s.Close)
	w.settle()
}

// settle runs everything that is pending, jobs to their end.
func (w *walked) settle() {
	w.t.Helper()
	for p := w.s.Pending(); p != nil; p = w.s.Pending() {
		p.Run(w.t.Context(), guide.Talk{}, func(e vault.Event) { w.s.Event(p, e) })
		w.s.Done(p)
	}
}

func (w *walked) set(key, text string) {
	w.t.Helper()
	w.s.Values().Set(key, text)
	w.s.Edited(key)
	w.settle()
}

func (w *walked) next(want string) {
	w.t.Helper()
	if say := w.s.Next(); say != "" {
		w.t.Fatalf("at %s: %s", w.s.Step().Key, say)
	}
	w.settle()
	if w.s.Err() != nil || w.s.Step().Key != want {
		w.t.Fatalf("at %s, not %s: %v", w.s.Step().Key, want, w.s.Err())
	}
}

// stuck presses Enter and wants to stay, with an error that holds text.
func (w *walked) stuck(text string) {
	w.t.Helper()
	at := w.s.Step().Key
	say := w.s.Next()
	w.settle()
	if err := w.s.Err(); err != nil {
		say += err.Error()
	}
	if w.s.Step().Key != at || !strings.Contains(say, text) {
		w.t.Fatalf("at %s: %q", w.s.Step().Key, say)
	}
}

func (w *walked) act(key string) guide.Effect {
	w.t.Helper()
	if say := w.s.Act(key); say != "" {
		w.t.Fatalf("%s: %s", key, say)
	}
	var e guide.Effect
	for p := w.s.Pending(); p != nil; p = w.s.Pending() {
		p.Run(w.t.Context(), guide.Talk{}, nil)
		if got := w.s.Done(p); got != (guide.Effect{}) {
			e = got
		}
	}
	return e
}

func (w *walked) draft() string {
	w.t.Helper()
	src, err := os.ReadFile(filepath.Join(w.w.StateDir, draftName))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(src)
}

// TestGuideToAProvenBackup is the whole way, with a stop in the middle.
func TestGuideToAProvenBackup(t *testing.T) {
	sql(t, "postgres", "CREATE DATABASE guided")
	sql(t, "guided", "CREATE TABLE a AS SELECT generate_series(1, 100) AS i")
	w := newWalked(t)
	w.set(keyServer, "host=/nonexistent")
	w.stuck("does not answer")
	w.set(keyServer, server().Conninfo)
	w.next("databases")
	w.set(keyWhich, "some")
	w.stuck("nothing is given yet")
	w.s.Values().SetList(keyDatabases, []string{"guided"})
	w.s.Edited(keyDatabases)
	w.settle()
	w.next("keys")

	mine, safe := pair(t, "ops", false), pair(t, "safe", false)
	w.set(keyRecipients, mine.Lines()+" "+safe.Lines())
	w.stuck("four words are missing")
	w.set(keyWords, "not these words here")
	w.stuck("not the four words")
	w.set(keyHold, "paste")
	w.s.Values().SecretOf(keyHoldPaste).Insert(0, []byte(pair(t, "", false).Secret()))
	w.stuck("does not open")
	w.s.Values().SecretOf(keyHoldPaste).Wipe()
	w.s.Values().SecretOf(keyHoldPaste).Insert(0, []byte(mine.Secret()))
	w.next("places")
	if n := w.s.Values().SecretOf(keyHoldPaste).Len(); n != 0 {
		t.Errorf("%d bytes of the key stay", n)
	}

	w.set(keyPlace, filepath.Join(w.dir, "place"))
	w.set(keyVault, "../x")
	w.stuck("vault name")
	w.set(keyVault, "main")
	w.next("keep")
	w.set(keyKeep, "5 daily")
	if strings.Contains(w.draft(), "SECRET-KEY") || !strings.Contains(w.draft(), `"step": "keep"`) {
		t.Errorf("draft %s", w.draft())
	}

	// Killed here: the same step, the same answers, and the key is not asked
	// for again.
	d, going := Unfinished(w.w.StateDir, w.w.Path)
	if !going || d.Step != "keep" {
		t.Fatalf("%+v %t", d, going)
	}
	w.g = Guide(w.w)
	w.begin(guide.Resume(w.g, d))
	if w.s.Values().Get(keyPlace) != filepath.Join(w.dir, "place") || w.s.Values().List(keyDatabases)[0] != "guided" {
		t.Errorf("%+v", w.s.Draft())
	}
	for _, at := range []string{"places", "keys"} {
		if say, ok := w.s.Back(); !ok || w.s.Step().Key != at {
			t.Fatalf("%s at %s", say, w.s.Step().Key)
		}
		w.settle()
	}
	w.set(keyHold, "words")
	for _, at := range []string{"places", "keep", "when"} {
		w.next(at)
	}
	if e := w.act("c"); !strings.HasSuffix(e.Copy, " backup --due\n") || !strings.Contains(e.Copy, w.w.Path) {
		t.Errorf("%+v", e)
	}
	if e := w.act("s"); !strings.Contains(e.Copy, "[Timer]") {
		t.Errorf("%+v", e)
	}
	if _, err := os.Stat(w.w.Path); !os.IsNotExist(err) {
		t.Errorf("something was written before it was time: %v", err)
	}
	w.next("first")
	if c, err := config.Load(w.w.Path, nil); err != nil || c.Defaults.MaxAge != 24*time.Hour || c.Databases[0].Name != "guided" {
		t.Errorf("%+v %v", c, err)
	}
	if d := w.s.Values().Ended("first"); d == nil || d.Result != vault.ResultOK || d.Proof != vault.ProofReadable {
		t.Fatalf("the backup ended as %+v", d)
	}
	if _, going := Unfinished(w.w.StateDir, w.w.Path); !going {
		t.Error("the set-up that wrote this configuration is not gone on with")
	}
	w.next("rehearse")
	w.set(keyProof, "file")
	key := filepath.Join(t.TempDir(), "safe.txt")
	if err := safe.Save(key); err != nil {
		t.Fatal(err)
	}
	w.set(keyProofFile, key)
	w.next("proof")
	if d := w.s.Values().Ended("proof"); d == nil || d.Proof != vault.ProofRestored || d.TablesEqual != 1 {
		t.Fatalf("the proof ended as %+v", d)
	}
	if o := w.orders[1]; o.Level != vault.ProofRestored || len(w.secrets[1].Files)+len(w.secrets[1].Texts) != 0 {
		t.Errorf("the runner got more than this archive: %+v", o)
	}
	if say := w.s.Next(); say != "" {
		t.Fatal(say)
	}
	w.settle()
	if _, there := LoadDraft(w.w.StateDir); there || !w.s.Finished() {
		t.Error("the draft stays")
	}
}

// TestGuideMakesAPair: refused on this host unless asked for, never in
// pgvault's own folders, shown once.
func TestGuideMakesAPair(t *testing.T) {
	w := newWalked(t)
	w.set(keyServer, server().Conninfo)
	w.next("databases")
	w.next("keys")
	if say := w.s.Act("n"); !strings.Contains(say, "first") {
		t.Errorf("%q", say)
	}
	path := filepath.Join(t.TempDir(), "ops.txt")
	w.set(keyNew, "yes")
	w.set(keyNewName, "ops")
	w.set(keyNewPath, path)
	w.act("n")
	if err := w.s.Err(); fault.CodeOf(err) != fault.Refused {
		t.Fatalf("on this host: %v", err)
	}
	w.set(keyNewHere, "yes")
	if err := os.MkdirAll(w.w.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.set(keyNewPath, filepath.Join(w.w.StateDir, "ops.txt"))
	w.act("n")
	if err := w.s.Err(); fault.CodeOf(err) != fault.Refused {
		t.Fatalf("in the state folder: %v", err)
	}
	w.set(keyNewPath, path)
	e := w.act("n")
	if !strings.HasPrefix(e.Say, "saved in "+path) || !strings.Contains(w.s.Values().Get(keyRecipients), "# ops age1") {
		t.Errorf("%+v %q %v", e, w.s.Values().Get(keyRecipients), w.s.Err())
	}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := w.act("S").Say
	if !strings.HasPrefix(shown, "AGE-SECRET-KEY-1") || !strings.Contains(string(src), shown) {
		t.Error("another secret is shown than saved")
	}
	if say := w.s.Act("S"); say == "" {
		t.Error("it can be shown twice")
	}
	w.stuck("only one recipient")
	d, err := json.Marshal(w.s.Draft())
	if err != nil || strings.Contains(string(d), "SECRET") {
		t.Errorf("%s %v", d, err)
	}
}

func TestGuideReadOnly(t *testing.T) {
	w := newWalked(t)
	w.w.Access = vault.Access{Why: "read only: it was started with --read-only"}
	w.begin(guide.New(Guide(w.w), nil))
	w.set(keyServer, server().Conninfo)
	w.stuck("nothing may be changed")
}

// TestDraftWithoutSecrets: what was pasted into the wrong field is not kept.
func TestDraftWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	id := pair(t, "", false)
	err := SaveDraft(dir, guide.Draft{Guide: guideName, Texts: map[string]string{keyRecipients: id.Secret(), keyServer: "host=x password = y", keyPlace: "/p", keyCredential: "hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	d, there := LoadDraft(dir)
	if !there || len(d.Texts) != 1 || d.Texts[keyPlace] != "/p" {
		t.Errorf("%+v", d)
	}
}
