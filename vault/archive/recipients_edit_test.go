package archive

import (
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"pgvault/fault"
)

func editKey(t *testing.T) string {
	t.Helper()
	return must(age.GenerateX25519Identity())(t).Recipient().String()
}

// TestAddRecipient: what was there stays byte for byte, and nothing gets in
// that could not be sealed to or told from another.
func TestAddRecipient(t *testing.T) {
	a, b, c := editKey(t), editKey(t), editKey(t)
	for _, src := range []string{"# on duty\n" + a + "\n\n# a word\n# in the safe\n" + b + "\n", a + "\n" + b} {
		out, after, err := AddRecipient([]byte(src), c, "the new one", "r")
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(src, "\n") + "\n# the new one\n" + c + "\n"; string(out) != want {
			t.Errorf("wrote %q\nwant %q", out, want)
		}
		if len(after.Public) != 3 || after.Public[2].Name != "the new one" {
			t.Errorf("%+v", after.Public)
		}
	}
	src := []byte("# on duty\n" + a + "\n")
	pq := must(age.GenerateHybridIdentity())(t).Recipient().String()
	for name, try := range map[string][2]string{
		"there already": {a, "x"}, "post-quantum": {pq, "x"}, "the same name": {b, "on duty"}, "no name": {b, ""}, "a line": {b, "x\ny"},
		"a mark": {b, "x # y"}, "retired": {b, "retired 2026-01-01"}, "too long": {b, strings.Repeat("x", 101)}, "no key": {"age1x", "x"}, "an escape": {b, "\x1b[2J"},
	} {
		if out, _, err := AddRecipient(src, try[0], try[1], "r"); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// TestRetireRecipient: a comment remembers who it was, no other line changes,
// and nobody else gets their name.
func TestRetireRecipient(t *testing.T) {
	a, b, c := editKey(t), editKey(t), editKey(t)
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	src := "# our keys\n\n# of the office\n# on duty\n" + a + "\n" + b + "\n# in the safe\n" + c + "\n# again\n" + a + "\n"
	r := must(ParseRecipients([]byte(src), "r"))(t)
	i := must(r.Find("on duty"))(t)
	out, after, err := r.RetireRecipient([]byte(src), i, now, "r")
	if err != nil {
		t.Fatal(err)
	}
	if want := "# our keys\n\n# of the office\n# retired 2026-11-23: " + a + " (on duty)\n" + b + "\n# in the safe\n" + c + "\n"; string(out) != want {
		t.Errorf("wrote %q\nwant %q", out, want)
	}
	if len(after.Public) != 2 || after.Public[0].Name != shorten(b) || after.Public[1].Name != "in the safe" {
		t.Errorf("%+v", after.Public)
	}
	if len(after.Retired) != 1 || after.Retired[0] != (Retired{"2026-11-23", "on duty", r.Public[i].Fingerprint, shorten(a)}) {
		t.Errorf("%+v", after.Retired)
	}
	if _, _, err := must(ParseRecipients([]byte(a), "r"))(t).RetireRecipient([]byte(a), 0, now, "r"); err == nil {
		t.Error("the last one was retired")
	}
}

func TestFindRecipient(t *testing.T) {
	a, b := editKey(t), editKey(t)
	r := must(ParseRecipients([]byte("# one\n"+a+"\n# one\n"+b+"\n"), "r"))(t)
	for _, who := range []string{a, r.Public[0].Fingerprint, r.Public[0].Fingerprint[:20]} {
		if i, err := r.Find(who); err != nil || i != 0 {
			t.Errorf("%s: %d, %v", who, i, err)
		}
	}
	for _, who := range []string{"one", "SHA256:", "nobody", ""} {
		if _, err := r.Find(who); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: %v", who, err)
		}
	}
	secret := must(age.GenerateX25519Identity())(t).String()
	if _, err := r.Find(secret); err == nil || strings.Contains(fault.As(err).Error(), secret[20:]) {
		t.Errorf("a secret: %v", err)
	}
}

// TestResealedManifestChecks: an archive cannot pass for one of another moment.
func TestResealedManifestChecks(t *testing.T) {
	s := newBench(t).seal(t, nil, []byte("toc"))
	digest := strings.Repeat("ab", 32)
	same := s.id[:idSecond] + "-0000"
	if s.id == same {
		same = s.id[:idSecond] + "-0001"
	}
	for name, r := range map[string]*Resealed{
		"itself": {ID: s.id, Manifest: digest}, "another moment": {ID: "20200101T000000Z-0000", Manifest: digest}, "no id": {Manifest: digest}, "no digest": {ID: same, Manifest: "ab"},
	} {
		m := s.manifest
		m.Resealed = r
		if err := m.check(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	s.resign(t, func(m *Manifest) { m.Resealed = &Resealed{ID: same, Manifest: digest, At: testTime} })
	if o, err := s.open(t.Context()); err != nil || o.Manifest.Resealed == nil || o.Manifest.Resealed.ID != same {
		t.Errorf("%v", err)
	}
}
