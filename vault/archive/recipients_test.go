package archive

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"pgvault/fault"
)

func TestRecipientsFile(t *testing.T) {
	a := must(age.GenerateX25519Identity())(t).Recipient().String()
	b := must(age.GenerateX25519Identity())(t).Recipient().String()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, line := sshKey(t, priv, pub, "")
	bare := strings.Join(strings.Fields(line)[:2], " ")
	src := "# Keys of the shop\n\n#  duty \n" + a + "\r\n\n" + b + "\n" + a + "\n## again\n" + line + "\n" + bare + "\n" + strings.Replace(bare, " ", "  ", 1) + "\n"
	path := filepath.Join(t.TempDir(), "recipients.txt")
	writeFile(t, path, []byte(src))
	r := must(LoadRecipients(path))(t)
	var names []string
	for _, p := range r.Public {
		names = append(names, p.Name+"/"+p.Kind)
	}
	want := []string{"duty/X25519", shorten(b) + "/X25519", "again/SSH"}
	if strings.Join(names, " ") != strings.Join(want, " ") || len(r.age) != 3 {
		t.Errorf("recipients %q, want %q", names, want)
	}
	if r.Public[0].Fingerprint == r.Public[1].Fingerprint {
		t.Error("two recipients have one fingerprint")
	}
}

// TestRecipientsRefused: each with exit code 64 and the line's number, before
// anything is dumped.
func TestRecipientsRefused(t *testing.T) {
	x := must(age.GenerateX25519Identity())(t)
	pq := must(age.GenerateHybridIdentity())(t)
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, sshLine := sshKey(t, priv, pub, "")
	small := must(rsa.GenerateKey(rand.Reader, 1024))(t)
	_, smallLine := sshKey(t, small, &small.PublicKey, "")
	good := x.Recipient().String()
	for name, c := range map[string]struct{ src, word string }{
		"empty":           {"", "no recipient"},
		"comments":        {"# nobody\n", "no recipient"},
		"mixed":           {good + "\n" + pq.Recipient().String(), "mixes"},
		"mixed with SSH":  {pq.Recipient().String() + "\n" + sshLine, "mixes"},
		"secret":          {good + "\n" + x.String(), "line 2"},
		"lower case":      {strings.ToLower(x.String()), "secret key"},
		"quoted secret":   {`key = "` + x.String() + `"`, "secret key"},
		"plugin identity": {"AGE-PLUGIN-X-1ABC", "secret key"},
		"SSH private":     {string(private), "secret key"},
		"cut off":         {good[:50], "line 1"},
		"two on a line":   {good + " " + good, "line 1"},
		"options":         {`from="x" ` + sshLine, "line 1"},
		"small rsa":       {smallLine, "line 1"},
		"no plugin":       {plugin.EncodeRecipient("nosuchthing", []byte{1}), "plugin"},
		"binary":          {"\x00\xff\x01", "line 1"},
		"long line":       {strings.Repeat("a", 2<<20), "recipients.txt"},
	} {
		_, err := ParseRecipients([]byte(c.src), "recipients.txt")
		wantFault(t, name, err, fault.Usage, c.word)
		f := fault.As(err)
		text := strings.ToUpper(f.What + f.Why + f.Do + err.Error())
		for _, secret := range []string{x.String()[20:40], "B3BLBNNZAC1R", strings.ToUpper(good[10:40])} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: the message repeats the line: %s", name, text)
			}
		}
	}
	_, err = LoadRecipients(filepath.Join(t.TempDir(), "none"))
	wantFault(t, "missing", err, fault.Usage)
}

// TestDuplicateOpensOnce: a recipient given twice is one stanza.
func TestDuplicateOpensOnce(t *testing.T) {
	x := must(age.GenerateX25519Identity())(t)
	line := x.Recipient().String() + "\n"
	r := must(ParseRecipients([]byte(line+"# again\n"+line+line), "r"))(t)
	if len(r.Public) != 1 || len(r.age) != 1 {
		t.Errorf("%d recipients", len(r.Public))
	}
}
