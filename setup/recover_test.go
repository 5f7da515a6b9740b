package setup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// recovering is a recovery guide that a test walks through: a place with a
// vault whose host is gone, a real server, and a job that runs in this
// process.
type recovering struct {
	walked
	vault.Runs
	rw          RecoverWorld
	place       string
	fingerprint string
	key         *Identity
	to          *Recipients
	launchErr   error
}

// Launch notes the order; Watch carries it out.
func (w *recovering) Launch(_ context.Context, o vault.Order, s vault.Secrets) (vault.Job, error) {
	if err := w.launchErr; err != nil {
		return vault.Job{}, err
	}
	if _, err := json.Marshal(o); err != nil {
		return vault.Job{}, err
	}
	w.orders, w.secrets = append(w.orders, o), append(w.secrets, s)
	return vault.Job{ID: "job", Order: o}, nil
}

func (w *recovering) Watch(ctx context.Context, _ string, sink vault.Sink) error {
	o, s := w.orders[len(w.orders)-1], w.secrets[len(w.secrets)-1]
	place, err := OpenPlaceToRead(ctx, config.Place{URL: o.Recover.Place})
	if err != nil {
		return err
	}
	v := w.open(place, *o.Recover)
	r := o.Recover
	p, err := v.PlanRecover(ctx, vault.RecoverOptions{Databases: r.Databases, As: r.As, Latest: r.Latest, Roles: r.Roles, Jobs: o.Workers, NoTablespace: o.NoTablespaces, Identities: s.Identities()})
	if err != nil {
		return err
	}
	_ = v.RunRecover(ctx, p, *r, sink) // its RunDone says how it ended
	return nil
}

func (w *recovering) open(s store.Store, o vault.RecoverOrder) *vault.Vault {
	return vault.New(vault.Config{Name: o.Vault, Version: "test", Server: pg.Settings{Service: o.Service, Conninfo: o.Conninfo, BinDir: cluster.BinDir}, StateDir: w.rw.StateDir,
		Places: []vault.Place{{Name: "disk", URL: o.Place, Store: s, ReadBack: vault.ReadBackNever}}, Signers: o.Signers,
		Of: func(string) vault.Database { return vault.Database{Jobs: 1} }})
}

// newRecovering makes a vault with an archive of each database, and takes the
// databases and all but the place away.
func newRecovering(t *testing.T, names ...string) *recovering {
	t.Helper()
	w := &recovering{walked: walked{t: t, dir: t.TempDir()}, key: pair(t, "ops", false)}
	w.place = filepath.Join(w.dir, "place")
	old := filepath.Join(w.dir, "old", "config.toml")
	var err error
	if w.to, err = ReadRecipients([]string{w.key.Lines(), pair(t, "safe", false).Lines()}, "here"); err != nil {
		t.Fatal(err)
	}
	values := config.Values{VaultName: "main", Conninfo: server().Conninfo, Databases: names, Places: []config.Place{{Name: "disk", URL: "file:" + w.place}}}
	if err := Write(old, values, w.to, rand.Reader); err != nil {
		t.Fatal(err)
	}
	v := openVault(t, old, filepath.Join(w.dir, "old-state"), false)
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range names {
			for _, made := range []string{name, name + "2"} {
				if err := pg.Exec(context.Background(), server(), "postgres", "DROP DATABASE IF EXISTS "+made); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for _, name := range names {
		sql(t, "postgres", "CREATE DATABASE "+name)
		sql(t, name, "CREATE TABLE a AS SELECT generate_series(1, 100) AS i", "CREATE TABLE b (t text)")
		if err := v.Backup(t.Context(), vault.BackupOptions{Database: name}, func(vault.Event) {}); err != nil {
			t.Fatal(err)
		}
		sql(t, "postgres", "DROP DATABASE "+name)
	}
	facts, err := v.SheetFacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.fingerprint = facts.Signers[0].Fingerprint
	if err := os.RemoveAll(filepath.Join(w.dir, "old")); err != nil {
		t.Fatal(err)
	}
	w.rw = RecoverWorld{Path: filepath.Join(w.dir, "etc", "config.toml"), StateDir: filepath.Join(w.dir, "state"), Access: vault.Access{Act: true}, Random: rand.Reader, Runs: w,
		Open: func(_ config.Place, s store.Store, o vault.RecoverOrder) (RecoverVault, error) {
			return w.open(s, o), nil
		},
		Took: func(_ context.Context, t *TakeOver, _ *vault.TakeOverPlan) (string, error) {
			return archive.PublicOf(t.Values.SigningKey)
		}}
	return w
}

// start begins the guide with what was given.
func (w *recovering) start(g RecoverGiven) {
	w.rw.Given = g
	s, err := RecoverSession(w.t.Context(), w.rw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.begin(s)
}

// at wants to stand at a step.
func (w *recovering) at(step string) {
	w.t.Helper()
	if got := w.s.Step().Key; got != step || w.s.Err() != nil {
		w.t.Fatalf("at %s, not %s: %v", got, step, w.s.Err())
	}
}

// shows wants text in what the step shows.
func (w *recovering) shows(texts ...string) {
	w.t.Helper()
	var all strings.Builder
	for _, l := range w.s.Lines() {
		all.WriteString(l.State + " " + l.Text + " > " + l.Do + "\n")
	}
	if w.s.Step().Body != nil {
		for _, s := range w.s.Step().Body(w.s.Values()) {
			for _, l := range s.Lines {
				all.WriteString(s.Label + ": " + l.State + " " + l.Text + " > " + l.Do + "\n")
			}
			if s.Table != nil {
				for _, r := range s.Table.Rows {
					all.WriteString(strings.Join(r, " | ") + "\n")
				}
			}
		}
	}
	for _, text := range texts {
		if !strings.Contains(all.String(), text) {
			w.t.Errorf("no %q at %s:\n%s", text, w.s.Step().Key, all.String())
		}
	}
}

func (w *recovering) paste(key, text string) {
	w.t.Helper()
	s := w.s.Values().SecretOf(key)
	s.Wipe()
	s.Insert(0, []byte(text))
	w.s.Edited(key)
	w.settle()
}

// TestRecoverGuideToTheTakeOver is the whole way: from an address to a
// configuration for this host.
func TestRecoverGuideToTheTakeOver(t *testing.T) {
	w := newRecovering(t, "rg_a", "rg_b")
	w.start(RecoverGiven{})
	w.stuck("nothing is given yet")
	w.set(keyPlace, w.dir)
	w.stuck("there is no vault in")
	w.set(keyPlace, w.place)
	w.next("signed") // there is one vault only
	w.set(keySigner, "SHA256:short")
	w.stuck("43 characters")
	if strings.Contains(w.screen(), w.fingerprint) {
		t.Error("the place's key is shown before one was typed")
	}
	w.set(keySigner, "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIQTMZrzvj2HrKc")
	w.stuck("not signed by the key that was named")
	w.fourLines(fault.Refused)
	if !strings.Contains(fault.As(w.s.Err()).Why, w.fingerprint) {
		t.Errorf("what is there is not shown for comparison: %v", w.s.Err())
	}
	w.set(keySigner, " "+w.fingerprint)
	w.next("key")
	w.shows("any one of ops, safe")
	w.set(keyFrom, "paste")
	w.paste(keyKeyPaste, pair(t, "", false).Secret())
	w.stuck("opens")
	w.fourLines(fault.NoKey)
	w.paste(keyKeyPaste, w.key.Secret())
	w.next("server")
	w.set(keyServer, "host=/nonexistent")
	w.stuck("does not answer")
	w.set(keyServer, server().Conninfo)
	w.next("databases")
	w.shows("rg_a | 1 | 20", "rg_b | 1 | 20")
	w.next("how")
	w.set(keyAs, "rg_b")
	w.stuck("not OLD=NEW")
	w.set(keyAs, "rg_b=rg_b2")

	// back to the first step and forward again: nothing is asked anew
	for _, at := range []string{"databases", "server", "key", "signed", "where"} {
		if say, ok := w.s.Back(); !ok || w.s.Step().Key != at {
			t.Fatalf("%s at %s", say, w.s.Step().Key)
		}
		w.settle()
	}
	if _, ok := w.s.Back(); ok {
		t.Error("there is something before the first step")
	}
	for _, at := range []string{"signed", "key", "server", "databases", "how", "checks"} {
		w.next(at)
	}
	w.shows("rg_b as rg_b2, from 20", "all: ! no restore has proven this archive yet", " other checks")
	if strings.Contains(w.screen(), "encoding UTF8") {
		t.Error("what is ok is shown line by line")
	}
	w.act("a")
	w.shows("! no restore has proven this archive yet", "ok encoding UTF8", "ok database rg_b2 is new")
	w.next("plan")
	w.shows("vault: ", "signed:  by "+w.fingerprint, "2:  rg_a", "3:  rg_b as rg_b2", "same as:  pgvault recover --from file:"+w.place+" --signer "+w.fingerprint)
	if e := w.act("Y"); !strings.Contains(e.Copy, " --as 'rg_b=rg_b2'") || !strings.Contains(e.Say, "add -i") || strings.Contains(e.Copy, "SECRET") {
		t.Errorf("%+v", e)
	}
	w.stuck("nothing is given yet")
	w.set(keyBegin, "mian")
	w.stuck("not the vault's name")
	if n := len(w.orders); n > 0 {
		t.Fatalf("%d jobs before it was time", n)
	}
	w.set(keyBegin, "main")

	// a job that does not start leaves the plan as it was
	w.launchErr = &fault.Error{What: "no runner", Why: "x", Left: "nothing", Do: "again", Code: fault.Failed}
	if say := w.s.Next(); say != "" {
		t.Fatal(say)
	}
	w.settle()
	if w.s.Step().Key != "run" || w.s.Err() == nil || w.s.Running() {
		t.Fatalf("%s, %v", w.s.Step().Key, w.s.Err())
	}
	w.launchErr = nil
	w.s.Next()
	w.settle()
	w.at("run")
	w.shows("it has ended: ok", "rg_a | rg_a | ok | 2 of 2 | 100", "rg_b | rg_b2 | ok | 2 of 2")
	o := w.orders[0]
	if o.Kind != vault.KindRecover || o.Recover.As["rg_b"] != "rg_b2" || len(o.Recover.Archives) != 2 || len(w.secrets[0].Unlocked) != 2 || len(w.secrets[0].Texts)+len(w.secrets[0].Files)+len(w.secrets[0].Passphrases) != 0 {
		t.Errorf("%+v", o)
	}
	if src, err := json.Marshal(o); err != nil || strings.Contains(string(src), "SECRET-KEY") {
		t.Errorf("%s, %v", src, err)
	}
	w.next("report")
	w.shows("ok 2 of 2 databases came back whole, 4 of 4 tables equal")
	if say, ok := w.s.Back(); !ok || say == "" || w.s.Step().Key != "report" {
		t.Errorf("what is done can be gone back to: %q", say)
	}
	w.next("over")
	w.set(keyTake, "now")
	w.stuck("nothing is given yet")
	w.set(keyRecipients, strings.ReplaceAll(string(w.to.Text), "\n", " "))
	w.set(keySchedule, "25:00")
	w.stuck("no schedule")
	w.set(keySchedule, "02:00")
	w.next("confirm")
	w.shows("the old host may still write here", "saves:  rg_a, rg_b, into file:"+w.place)
	w.set(keyConfirm, "main")
	w.stuck("the old host may still write here")
	w.fourLines(fault.Refused)
	if _, err := os.Stat(w.rw.Path); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
	w.set(keyGone, "yes")
	w.next("took")
	w.shows("etc/config.toml is written", "key:  this host signs with ssh-ed25519 ", "pgvault timer install")
	c, err := config.Load(w.rw.Path, nil)
	if err != nil || c.Vault.Name != "main" || !slices.Equal([]string{c.Databases[0].Name, c.Databases[1].Name}, []string{"rg_a", "rg_b"}) || c.Defaults.Schedule != "02:00" {
		t.Errorf("%+v, %v", c, err)
	}
	if say := w.s.Next(); say != "" || !w.s.Finished() {
		t.Errorf("%q", say)
	}
	w.settle()
	if _, err := os.Stat(filepath.Join(w.rw.StateDir, recoverName+draftSuffix)); !os.IsNotExist(err) {
		t.Errorf("the draft stays: %v", err)
	}
}

// screen is all that a step shows, as one text.
func (w *recovering) screen() string {
	src, err := json.Marshal([]any{w.s.Step().Question, w.s.Step().Text, w.s.Lines(), w.s.Step().Body(w.s.Values())})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(src)
}

// fourLines wants the step's error to say all of what, why, left and do.
func (w *recovering) fourLines(code fault.Code) {
	w.t.Helper()
	f := fault.As(w.s.Err())
	if f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" || f.Code != code {
		w.t.Errorf("%+v", f)
	}
}

// TestRecoverGuideGoesOn: killed before the job and after it, and with a
// database that fails.
func TestRecoverGuideGoesOn(t *testing.T) {
	w := newRecovering(t, "rg_c", "rg_d")
	key := filepath.Join(t.TempDir(), "key.txt")
	if err := w.key.Save(key); err != nil {
		t.Fatal(err)
	}
	given := RecoverGiven{From: w.place, TrustPlace: true, Server: server().Conninfo, Roles: vault.RolesLeave}
	w.start(given)
	w.at("key") // whose word, and which vault of one, is not asked
	w.paste(keyKeyPaste, w.key.Secret())
	w.set(keyFrom, "paste")
	w.next("databases")
	w.next("how")
	w.next("checks")
	src, err := os.ReadFile(filepath.Join(w.rw.StateDir, recoverName+draftSuffix))
	if err != nil || strings.Contains(string(src), "SECRET") || !strings.Contains(string(src), `"step": "checks"`) {
		t.Errorf("%s, %v", src, err)
	}
	w.s.Close()
	if _, there := LoadDraft(w.rw.StateDir); there {
		t.Error("a recovery is taken for a set-up")
	}

	d, going := RecoverUnfinished(w.rw.StateDir, w.rw.Path)
	if !going || d.Step != "checks" {
		t.Fatalf("%+v, %t", d, going)
	}
	w.rw.Given = RecoverGiven{}
	w.begin(guide.Resume(RecoverGuide(w.rw), d))
	if err := w.s.Err(); fault.CodeOf(err) != fault.NoKey {
		t.Fatalf("without the key: %v", err)
	}
	for w.s.Step().Key != "key" {
		if say, ok := w.s.Back(); !ok {
			t.Fatal(say)
		}
		w.settle()
	}
	w.set(keyFrom, "file")
	w.set(keyKeyFile, key)
	w.next("server")
	w.next("databases")
	w.next("how")
	w.next("checks")
	w.next("plan")
	w.shows("these keys are the place's own word", "1:  no role beforehand", "-i "+key, "--trust-place", "--roles leave")
	found, err := filepath.Glob(filepath.Join(w.place, "main", "rg_d", "*", archive.GlobalsPart))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	part, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	part[0] ^= 1 // of its header
	if err := os.WriteFile(found[0], part, 0o600); err != nil {
		t.Fatal(err)
	}
	w.set(keyBegin, "main")
	if say := w.s.Next(); say != "" {
		t.Fatal(say)
	}
	w.settle()
	w.at("run")
	if s := w.secrets[0]; len(s.Unlocked) != 0 || !slices.Equal(s.Files, []string{key}) {
		t.Errorf("where a header is damaged, the job gets the key to find another archive: %d lines, %q", len(s.Unlocked), s.Files)
	}
	w.next("report")
	w.shows("x 1 of 2 databases came back whole", "rg_c | rg_c | ok", "rg_d | rg_d | x damaged", "what: ", "left: ", "do: ", "again: ")
	if code := RecoverExit(w.s.Values()); code != fault.Differs {
		t.Errorf("exit %d", code)
	}

	// the job is followed again, not started twice
	d, _ = RecoverUnfinished(w.rw.StateDir, w.rw.Path)
	if d.Jobs["run"] != "job" || d.Texts[keyBegin] != "" {
		t.Errorf("%+v", d)
	}
	w.next("over")
	if say := w.s.Next(); say != "" {
		t.Errorf("%q", say)
	}
	w.settle()
	if len(w.orders) != 1 || !w.s.Finished() {
		t.Errorf("%d jobs", len(w.orders))
	}
	if _, going := RecoverUnfinished(w.rw.StateDir, w.rw.Path); going {
		t.Error("the draft stays")
	}
}

// TestRecoverGuideOnlyTakesOver: nothing of a restore is asked where only the
// take-over is wanted, and nothing at all may be done read-only.
func TestRecoverGuideOnlyTakesOver(t *testing.T) {
	w := newRecovering(t, "rg_e")
	given := RecoverGiven{From: w.place, Signers: []string{w.fingerprint}, TakeOver: true, Vault: "main", Server: server().Conninfo}
	w.start(given)
	w.at("over")
	w.set(keyRecipients, string(pair(t, "else", false).Lines()))
	w.stuck("only one recipient")
	w.set(keyAllowOne, "yes")
	w.next("confirm")
	w.shows("new archives would not open for ops")
	w.set(keyConfirm, "main")
	w.set(keyGone, "yes")
	w.stuck("new archives would not open for ops")
	w.set(keyOthers, "yes")
	w.next("took")
	if code := RecoverExit(w.s.Values()); code != fault.OK {
		t.Errorf("exit %d", code)
	}

	w.rw.Access = vault.Access{Why: "read only: it was started with --read-only"}
	w.start(RecoverGiven{})
	w.set(keyPlace, w.place)
	w.stuck("nothing may be changed")
}

func TestWelcome(t *testing.T) {
	s := guide.New(Welcome(false), nil)
	if wanted, _ := WelcomeToRecover(s.Values()); wanted || s.Values().Get(keyWhat) != "setup" {
		t.Error("a set-up is what is offered first")
	}
	s = guide.New(Welcome(true), nil)
	if wanted, anew := WelcomeToRecover(s.Values()); !wanted || anew {
		t.Error("what was left is what is offered first")
	}
	s.Values().Set(keyWhat, "recover")
	s.Edited(keyWhat)
	if wanted, anew := WelcomeToRecover(s.Values()); !wanted || !anew {
		t.Error("a recovery was asked for")
	}
}

// TestRecoverSeveralVaults: a place that has more than one is asked about, and
// one that has none is refused before anything is shown.
func TestRecoverSeveralVaults(t *testing.T) {
	w := newRecovering(t, "rg_f")
	if err := os.MkdirAll(filepath.Join(w.place, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join(w.place, "main", archive.VaultName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.place, "other", archive.VaultName), src, 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(RecoverGiven{})
	w.set(keyPlace, w.place)
	w.next("vault")
	if o := w.s.Fields()[0].Options(w.s.Values()); len(o) != 2 || o[0].Value != "main" || o[1].Value != "other" {
		t.Errorf("%+v", o)
	}
	w.next("signed")
	w.shows("the vault \"main\" in file:" + w.place)
	w.rw.Given = RecoverGiven{From: w.dir}
	if _, err := RecoverSession(t.Context(), w.rw); fault.CodeOf(err) != fault.NoVault {
		t.Errorf("%v", err)
	}
}
