package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// TestUnlockElsewhere goes the whole way: the archive's host asks, a machine
// with nothing but an identity answers, and a restore here is proven although
// the identity was never on this host; a second process gets only what opens
// this archive.
func TestUnlockElsewhere(t *testing.T) {
	create(t, "unlocked", "")
	sql(t, "unlocked", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
	w := newWorld(t)
	id := w.backup(BackupOptions{Database: "unlocked"}).ok(t).done.ID
	other := w.backup(BackupOptions{Database: "unlocked"}).ok(t).done.ID
	v := w.vault()
	text, err := v.UnlockRequest(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	answer := answered(t, text, w.ids)
	ids := Identities{Unlocked: []string{answer}}
	name, err := v.TryKeys(t.Context(), id, ids)
	if err != nil || !strings.HasPrefix(name, "age1") {
		t.Fatalf("%q %v", name, err)
	}
	line, again, err := v.Unlock(t.Context(), id, ids)
	if err != nil || again != name {
		t.Fatalf("%q %v", again, err)
	}

	// The answer works in the process that asked only, and for this archive.
	for what, c := range map[string]struct {
		v   *Vault
		id  string
		ids Identities
	}{
		"another process":            {w.vault(), id, ids},
		"another archive":            {v, other, ids},
		"another archive, handed on": {v, other, Identities{Unlocked: []string{line}}},
		"nothing":                    {v, id, Identities{}},
		"cut":                        {v, id, Identities{Unlocked: []string{answer[:100]}}},
	} {
		if _, err := c.v.TryKeys(t.Context(), c.id, c.ids); fault.CodeOf(err) != fault.NoKey {
			t.Errorf("%s: %v", what, err)
		}
	}

	// A runner of its own has the line alone.
	w.ids = Secrets{Unlocked: []string{line}}.Identities()
	dropAfter(t, "unlocked_r")
	plan, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: id, ToNew: "unlocked_r", Identities: w.ids})
	if err != nil {
		t.Fatal(err)
	}
	if done := w.apply(t.Context(), plan, nil).ok(t).done; done.TablesEqual != 1 {
		t.Errorf("%+v", done)
	}
	w.verify(id, ProofReadable).ok(t)
	if proofs := w.list()[1].Proofs; proofs[len(proofs)-1].Key != name {
		t.Errorf("the proofs name the key %q, not %q", proofs[len(proofs)-1].Key, name)
	}
	if err := w.vault().DumpTo(t.Context(), id, w.path("out.dump"), nil, w.ids); err != nil {
		t.Error(err)
	}
	if _, c, err := w.vault().Show(t.Context(), id, w.ids); err != nil || len(c.Tables) != 1 {
		t.Errorf("contents: %+v %v", c, err)
	}
}

// answered is what pgvault unlock does.
func answered(t *testing.T, text string, ids Identities) string {
	t.Helper()
	q, err := archive.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := archive.LoadKeys(ids.Files, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := q.Answer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestManyRequests: an answer finds its request among those that wait, and a
// request that was pushed out is told from a text that is wrong.
func TestManyRequests(t *testing.T) {
	create(t, "asking", "")
	w := newWorld(t)
	id := w.backup(BackupOptions{Database: "asking"}).ok(t).done.ID
	v := w.vault()
	var texts []string
	for range maxAsked + 1 {
		text, err := v.UnlockRequest(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for i, want := range map[int]fault.Code{0: fault.NoKey, 1: fault.OK, maxAsked: fault.OK} {
		_, err := v.TryKeys(t.Context(), id, Identities{Unlocked: []string{answered(t, texts[i], w.ids)}})
		if fault.CodeOf(err) != want {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if _, err := v.UnlockRequest(t.Context(), "20200101T000000Z-0000"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no archive: %v", err)
	}
}

// TestSecretsIdentities: texts and passphrases reach a runner, and nobody is
// asked there.
func TestSecretsIdentities(t *testing.T) {
	w := newWorld(t)
	lockedKey(t, w)
	create(t, "handed", "")
	id := w.backup(BackupOptions{Database: "handed"}).ok(t).done.ID
	secret, err := os.ReadFile(w.path("duty"))
	if err != nil {
		t.Fatal(err)
	}
	v := w.vault()
	for what, c := range map[string]struct {
		s    Secrets
		code fault.Code
	}{
		"text":          {Secrets{Texts: []string{string(secret)}}, fault.OK},
		"file":          {Secrets{Files: []string{w.path("duty")}}, fault.OK},
		"text and file": {Secrets{Texts: []string{string(secret)}, Files: []string{w.path("safe")}}, fault.OK},
		"passphrase":    {Secrets{Files: []string{w.path("locked")}, Passphrases: map[string]string{w.path("locked"): "opensesame"}}, fault.OK},
		"no passphrase": {Secrets{Files: []string{w.path("locked")}}, fault.NoKey},
		"public key":    {Secrets{Texts: []string{w.read("duty.pub")}}, fault.NoKey},
		"nothing":       {Secrets{}, fault.NoKey},
	} {
		if _, err := v.TryKeys(context.Background(), id, c.s.Identities()); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// lockedKey adds a recipient whose identity has the passphrase opensesame.
func lockedKey(t *testing.T, w *world) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(priv, "", []byte("opensesame"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	w.write("locked", string(pem.EncodeToMemory(block)))
	w.write("recipients", w.read("recipients")+string(ssh.MarshalAuthorizedKey(public)))
}
