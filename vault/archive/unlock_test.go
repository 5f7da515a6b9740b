package archive

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"pgvault/fault"
)

// asked is a sealed archive and a request for it.
func asked(t *testing.T, b *bench) (*sealed, *Opened, *UnlockRequest) {
	t.Helper()
	s := b.seal(t, nil, noise(t, 100), noise(t, 100_000), noise(t, 5000))
	o := must(s.open(t.Context()))(t)
	return s, o, must(o.NewRequest(t.Context(), "main", "db1"))(t)
}

// answerTo goes the way of pgvault unlock.
func answerTo(t *testing.T, text string, keys *Keys) string {
	t.Helper()
	answer, name, err := must(ParseRequest(text))(t).Answer(keys)
	if err != nil || !strings.HasPrefix(name, "age1") {
		t.Fatalf("%q, %v", name, err)
	}
	return answer
}

func TestUnlock(t *testing.T) {
	b := newBench(t)
	s, _, req := asked(t, b)
	q := must(ParseRequest(" " + req.Text[:100] + "\r\n  " + req.Text[100:] + "\n"))(t)
	if q.Vault != "main" || q.Database != testDB || q.ID != s.id || q.Host != "db1" || !q.Started.Equal(testTime) {
		t.Errorf("the request says %+v", q)
	}
	answer := answerTo(t, req.Text, b.keys)
	t.Logf("request %d characters, answer %d", len(req.Text), len(answer))
	if len(req.Text) > 2000 || len(answer) > 700 {
		t.Errorf("request %d characters, answer %d", len(req.Text), len(answer))
	}
	u := must(req.Open(answer))(t)
	text := must(u.Text())(t)
	again := must(ParseUnlocked(text))(t)
	if !IsUnlocked(text) || IsUnlocked(answer) || again.ID() != s.id || again.Names() != b.keys.Names() {
		t.Errorf("%s %s", again.ID(), again.Names())
	}
	var keys Keys
	keys.AddUnlocked(again)
	o := must(s.open(t.Context()))(t)
	sameBytes(t, MainPart, must(readPart(t.Context(), o, MainPart, &keys))(t), s.dump)
	c := must(o.Contents(t.Context(), &keys))(t)
	m := must(o.Main(t.Context(), c, &keys))(t)
	defer m.Close()
	sameBytes(t, "toc", must(m.TOC())(t), s.dump[:100])
	if name := must(o.Try(t.Context(), &keys))(t); name != b.keys.Names() {
		t.Errorf("opened by %q", name)
	}

	// The same from identities at hand, for a runner that gets no more.
	local := must(o.Unlock(t.Context(), b.keys))(t)
	if must(local.Text())(t) != text {
		t.Error("unlocked here and elsewhere is not the same")
	}

	// It opens this archive alone.
	other := b.seal(t, nil, noise(t, 100), noise(t, 100))
	oo := must(other.open(t.Context()))(t)
	_, err := readPart(t.Context(), oo, MainPart, &keys)
	wantFault(t, "another archive", err, fault.NoKey, "opens another archive", s.id, other.id)
	_, err = oo.Try(t.Context(), &keys)
	wantFault(t, "try another archive", err, fault.NoKey, s.id)

	again.Wipe()
	for part, k := range again.doc.Keys {
		if !bytes.Equal(k, make([]byte, 16)) {
			t.Errorf("%s is not wiped", part)
		}
	}
}

// TestUnlockRefused: every way in which the two texts can be wrong is told
// from the others, and no secret is repeated.
func TestUnlockRefused(t *testing.T) {
	b := newBench(t)
	s, o, req := asked(t, b)
	answer := answerTo(t, req.Text, b.keys)
	secret := must(age.GenerateX25519Identity())(t).String()

	stranger := loadKey(t, secret)
	_, _, err := must(ParseRequest(req.Text))(t).Answer(stranger)
	wantFault(t, "stranger", err, fault.NoKey, "no given identity opens", s.id)
	_, err = o.Try(t.Context(), stranger)
	wantFault(t, "stranger tries", err, fault.NoKey, "no given identity opens")
	_, err = o.Unlock(t.Context(), &Keys{})
	wantFault(t, "nobody", err, fault.NoKey, "no identity")

	second := must(o.NewRequest(t.Context(), "main", "db1"))(t)
	_, err = second.Open(answer)
	wantFault(t, "another request", err, fault.NoKey, "another request")
	_, _, third := asked(t, b)
	stolen := must(ParseRequest(req.Text))(t)
	stolen.to = third.once.recipient
	forged, _, err := stolen.Answer(b.keys)
	if err != nil {
		t.Fatal(err)
	}
	_, err = third.Open(forged)
	wantFault(t, "another archive", err, fault.NoKey, "opens another archive", s.id, third.ID)

	for what, c := range map[string]struct{ text, says string }{
		"empty": {"", "does not begin"}, "answer": {answer, "this is an answer"}, "secret": {secret, "this is a secret key"},
		"newer": {"pgvault-unlock-2:" + req.Text[len(requestPrefix):], "another version"}, "cut": {req.Text[:len(req.Text)-1], "cut or was altered"},
		"not base64": {requestPrefix + "*!", "cut or was altered"}, "only the name": {requestPrefix, "cut or was altered"},
		"empty document": {must(encodeText(requestPrefix, struct{}{}))(t), "lacks"}, "no JSON": {packText(requestPrefix, []byte("rubbish")), "cannot be understood"},
	} {
		_, err := ParseRequest(c.text)
		wantFault(t, what, err, fault.NoKey, c.says)
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the secret is repeated", what)
		}
	}
	for what, c := range map[string]struct{ text, says string }{
		"request": {req.Text, "the request itself"}, "cut": {answer[:len(answer)/2], "cut or was altered"},
		"no age file":    {packText(answerPrefix, []byte("rubbish")), "not an answer"},
		"sealed rubbish": {packText(answerPrefix, sealTo(t, req.once.recipient, "rubbish")), "not an answer"},
		"sealed nothing": {packText(answerPrefix, sealTo(t, req.once.recipient, "{}")), "lacks"},
	} {
		_, err := req.Open(c.text)
		wantFault(t, what, err, fault.NoKey, c.says)
	}
	for i := range answer {
		bad := []byte(answer)
		bad[i] ^= 1
		if _, err := req.Open(string(bad)); err == nil {
			t.Fatalf("character %d of the answer can be changed", i)
		}
	}
}

// TestRequestForMore: a host that lies asks for one archive and sends the
// headers of others too.
func TestRequestForMore(t *testing.T) {
	b := newBench(t)
	_, _, req := asked(t, b)
	_, _, other := asked(t, b)
	var doc, more requestDoc
	for r, d := range map[*UnlockRequest]*requestDoc{req: &doc, other: &more} {
		if err := decodeText(requestPrefix, r.Text, d); err != nil {
			t.Fatal(err)
		}
	}
	if q := must(ParseRequest(req.Text))(t); q.Files() != len(doc.Parts) {
		t.Errorf("%d files", q.Files())
	}
	for i, p := range more.Parts {
		q := doc
		q.Parts = append(doc.Parts[:len(doc.Parts):len(doc.Parts)], p)
		for range 2 { // the second time under another name
			_, err := ParseRequest(must(encodeText(requestPrefix, q))(t))
			wantFault(t, p.Name, err, fault.NoKey, "more than one archive", "do not answer")
			q.Parts[len(doc.Parts)].Name = fmt.Sprint("more-", i)
		}
	}
}

func sealTo(t *testing.T, to age.Recipient, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := must(age.Encrypt(&out, to))(t)
	must(w.Write([]byte(text)))(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestUnlockDamage: a header that was changed in the place is damage, not a
// wrong key, wherever it is found out.
func TestUnlockDamage(t *testing.T) {
	b := newBench(t)
	s, o, req := asked(t, b)
	u := must(req.Open(answerTo(t, req.Text, b.keys)))(t)
	src := readFile(t, s.file(ContentsPart))
	src[80] ^= 1
	writeFile(t, s.file(ContentsPart), src)
	_, err := o.Unlock(t.Context(), b.keys)
	wantFault(t, "unlock", err, fault.Differs, ContentsPart)
	_, err = o.Try(t.Context(), b.keys)
	wantFault(t, "try", err, fault.Differs, ContentsPart)
	var keys Keys
	keys.AddUnlocked(u)
	_, err = o.Contents(t.Context(), &keys)
	wantFault(t, "unlocked", err, fault.Differs, ContentsPart)
	writeFile(t, s.file(ContentsPart), bytes.Repeat([]byte("x"), len(src)))
	_, err = o.NewRequest(t.Context(), "main", "db1")
	wantFault(t, "no header", err, fault.Differs, ContentsPart)
}

// TestUnlockKinds: post-quantum archives ask for a post-quantum answer, and
// an SSH key can give one.
func TestUnlockKinds(t *testing.T) {
	pq := must(age.GenerateHybridIdentity())(t)
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sshFile, sshLine := sshKey(t, priv, pub, "opensesame")
	for name, c := range map[string]struct{ recipient, identity, to string }{
		"post-quantum": {pq.Recipient().String(), pq.String(), "age1pq1"},
		"SSH":          {sshLine, string(sshFile), "age1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.to = must(ParseRecipients([]byte(c.recipient), "recipients.txt"))(t)
			s, o, req := asked(t, b)
			n := 0
			keys := must(Load(Source{Texts: []string{c.identity}, Passphrase: answer("opensesame", &n)}))(t)
			q := must(ParseRequest(req.Text))(t)
			if !strings.HasPrefix(q.doc.To, c.to) {
				t.Errorf("sealed to %.12s…", q.doc.To)
			}
			text, _, err := q.Answer(keys)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("request %d characters, answer %d", len(req.Text), len(text))
			var got Keys
			got.AddUnlocked(must(req.Open(text))(t))
			sameBytes(t, MainPart, must(readPart(t.Context(), o, MainPart, &got))(t), s.dump)
		})
	}
}

func TestDescribeSecret(t *testing.T) {
	x := must(age.GenerateX25519Identity())(t).String()
	pq := must(age.GenerateHybridIdentity())(t).String()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plainSSH, sshPub := sshKey(t, priv, priv.Public(), "")
	locked, _ := sshKey(t, priv, priv.Public(), "opensesame")
	b := newBench(t)
	_, _, req := asked(t, b)
	reply := answerTo(t, req.Text, b.keys)
	for what, c := range map[string]struct{ text, state, says string }{
		"nothing":          {" \n", "", ""},
		"begun":            {x[:20], "", "AGE-SECRET-KEY-1..., 20 characters of 74"},
		"prefix":           {"AGE-S", "", "5 characters"},
		"whole":            {x + "\n", "ok", "AGE-SECRET-KEY-1..., 74 characters, checksum ok"},
		"changed":          {x[:73] + flip(x[73:]), "x", "checksum is wrong"},
		"long":             {x + "A", "x", "it should be 74"},
		"file":             {"# created\n# public key: age1\n" + x + "\r\n", "ok", "74 characters, checksum ok"},
		"two":              {x + "\n" + pq, "ok", "(2 identities)"},
		"second not whole": {x + "\n" + pq[:30], "", "30 characters of 77 (2 identities)"},
		"comments":         {"# x", "", "only comments"},
		"pq":               {pq, "ok", "AGE-SECRET-KEY-PQ-1..., 77 characters, checksum ok"},
		"ssh":              {string(plainSSH), "ok", "an SSH private key"},
		"ssh locked":       {string(locked), "ok", "with a passphrase"},
		"ssh cut":          {string(plainSSH[:90]), "", "its end is still missing"},
		"ssh damaged":      {strings.Replace(string(plainSSH), "AAAA", "AAAB", 1), "x", "no whole SSH private key"},
		"age file":         {string(lockFile(t, []byte(x), "opensesame", true)), "ok", "an encrypted identity file"},
		"age file cut":     {string(lockFile(t, []byte(x), "opensesame", true)[:60]), "", "its end is still missing"},
		"age binary":       {string(lockFile(t, []byte(x), "opensesame", false)), "x", "cannot be pasted"},
		"public":           {sshPub, "x", "public key"},
		"plugin":           {"AGE-PLUGIN-YUBIKEY-1", "", "not whole yet"},
		"answer":           {reply, "ok", "checksum ok"},
		"answer cut":       {reply[:300], "", "300 characters, not whole yet"},
		"request":          {req.Text, "x", "the request itself"},
		"rubbish":          {"hello", "x", "no kind of key"},
	} {
		got := DescribeSecret([]byte(c.text))
		if got.State != c.state || !strings.Contains(got.Text, c.says) || (c.says == "") != (got.Text == "") {
			t.Errorf("%s: %+v", what, got)
		}
		if c := strings.TrimSpace(c.text); len(c) > 40 && strings.Contains(got.Text, c[20:40]) {
			t.Errorf("%s: shows what it should hide: %s", what, got.Text)
		}
	}
}

// flip gives another letter of the bech32 alphabet.
func flip(s string) string {
	if s == "Q" {
		return "P"
	}
	return "Q"
}

func FuzzParseRequest(f *testing.F) {
	f.Add("pgvault-unlock-1:AAAA")
	text, err := encodeText(requestPrefix, requestDoc{ID: "20261122T213000Z-7f3a", To: "age1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, s string) {
		if q, err := ParseRequest(s); err == nil {
			if _, _, err := q.Answer(&Keys{}); err == nil {
				t.Fatal("answered without a key")
			}
		}
		DescribeSecret([]byte(s))
	})
}
