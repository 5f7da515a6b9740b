package archive

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"pgvault/fault"
)

// sshKey gives a private key file, encrypted where pass is not empty, and
// the public line.
func sshKey(t testing.TB, key any, public any, pass string) (file []byte, line string) {
	t.Helper()
	var block *pem.Block
	var err error
	if pass == "" {
		block, err = ssh.MarshalPrivateKey(key, "somebody")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "somebody", []byte(pass))
	}
	if err != nil {
		t.Fatal(err)
	}
	pub := must(ssh.NewPublicKey(public))(t)
	return pem.EncodeToMemory(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " somebody@example.com"
}

// answer is a passphrase callback that counts.
func answer(pass string, asked *int) func(string) (string, error) {
	return func(prompt string) (string, error) {
		*asked++
		if prompt == "" {
			return "", errors.New("asked without a prompt")
		}
		return pass, nil
	}
}

// TestKindsOfKeys: every kind of recipient seals, and its identity opens,
// alone and beside others.
func TestKindsOfKeys(t *testing.T) {
	edPub, ed := func() (ed25519.PublicKey, ed25519.PrivateKey) {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return pub, priv
	}()
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	x := must(age.GenerateX25519Identity())(t)
	pq := must(age.GenerateHybridIdentity())(t)
	edFile, edLine := sshKey(t, ed, edPub, "")
	edLocked, _ := sshKey(t, ed, edPub, "opensesame")
	rsaFile, rsaLine := sshKey(t, rsaKey, &rsaKey.PublicKey, "")
	rsaLocked, _ := sshKey(t, rsaKey, &rsaKey.PublicKey, "opensesame")
	locked := lockFile(t, []byte(x.String()+"\n"), "opensesame", false)
	armored := lockFile(t, []byte(x.String()+"\n"), "opensesame", true)
	for name, c := range map[string]struct {
		recipient, kind string
		file            []byte
		asked           int
	}{
		"X25519":               {x.Recipient().String(), KindX25519, []byte(x.String()), 0},
		"post-quantum":         {pq.Recipient().String(), KindPQ, []byte(pq.String()), 0},
		"SSH ed25519":          {edLine, KindSSH, edFile, 0},
		"SSH rsa":              {rsaLine, KindSSH, rsaFile, 0},
		"SSH ed25519 locked":   {edLine, KindSSH, edLocked, 1},
		"SSH rsa locked":       {rsaLine, KindSSH, rsaLocked, 1},
		"age file locked":      {x.Recipient().String(), KindX25519, locked, 1},
		"age file armored":     {x.Recipient().String(), KindX25519, armored, 1},
		"age file among lines": {x.Recipient().String(), KindX25519, []byte("\n# one\n" + x.String() + "\r\n\n# end"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.to = must(ParseRecipients([]byte(c.recipient), "recipients.txt"))(t)
			if got := b.to.Public[0]; got.Kind != c.kind || !strings.HasPrefix(got.Fingerprint, "SHA256:") || got.Name == "" {
				t.Errorf("recipient %+v", got)
			}
			once := must(NewOneTime(b.to))(t)
			s := b.seal(t, once, noise(t, 100), noise(t, 1000))
			path := filepath.Join(t.TempDir(), "key")
			writeFile(t, path, c.file)
			asked := 0
			keys := must(LoadKeys([]string{path}, answer("opensesame", &asked)))(t)
			if asked != c.asked || keys.Names() == "" {
				t.Errorf("asked %d times, names %q", asked, keys.Names())
			}
			o := must(s.open(t.Context()))(t)
			for _, k := range []*Keys{keys, once.Keys()} {
				sameBytes(t, MainPart, must(readPart(t.Context(), o, MainPart, k))(t), s.dump)
			}
			if c.asked == 0 {
				return
			}
			for what, ask := range map[string]func(string) (string, error){"wrong": answer("wrong", &asked), "nobody": nil, "empty": answer("", &asked),
				"refused": func(string) (string, error) { return "", errors.New("cancelled") }} {
				_, err := LoadKeys([]string{path}, ask)
				wantFault(t, what, err, fault.NoKey, path)
			}
		})
	}
}

// lockFile encrypts an identity file with a passphrase, cheaply.
func lockFile(t testing.TB, text []byte, pass string, armored bool) []byte {
	t.Helper()
	r := must(age.NewScryptRecipient(pass))(t)
	r.SetWorkFactor(2)
	var buf bytes.Buffer
	var dst io.WriteCloser = nopCloser{&buf}
	if armored {
		buf.WriteString("\n \n")
		dst = armor.NewWriter(&buf)
	}
	w := must(age.Encrypt(dst, r))(t)
	must(w.Write(text))(t)
	if err := errors.Join(w.Close(), dst.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// TestLockedFileEndingInSpace: the last byte of an encrypted identity file is
// random; where it looks like white space it still belongs to the file.
func TestLockedFileEndingInSpace(t *testing.T) {
	x := must(age.GenerateX25519Identity())(t)
	path := filepath.Join(t.TempDir(), "key.age")
	asked := 0
	for found := map[byte]bool{}; len(found) < 3; {
		src := lockFile(t, []byte(x.String()), "p", false)
		last := src[len(src)-1]
		if !strings.ContainsRune(" \n\t\r\v\f", rune(last)) {
			continue
		}
		found[last] = true
		writeFile(t, path, src)
		if _, err := LoadKeys([]string{path}, answer("p", &asked)); err != nil {
			t.Errorf("a file ending in %#x: %v", last, err)
		}
	}
}

// TestWrongIdentity: exit code 12, the kinds of stanzas in the message, and
// nothing written.
func TestWrongIdentity(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 100), noise(t, 100_000))
	o := must(s.open(t.Context()))(t)
	stranger := loadKey(t, must(age.GenerateX25519Identity())(t).String())
	before := listing(t, b.path)
	for _, name := range []string{MainPart, GlobalsPart, ContentsPart} {
		_, err := o.Part(t.Context(), name, stranger)
		wantFault(t, name, err, fault.NoKey, "X25519", name, s.id)
		_, err = o.Part(t.Context(), name, &Keys{})
		wantFault(t, name+" without identity", err, fault.NoKey)
	}
	_, err := o.Contents(t.Context(), stranger)
	wantFault(t, "contents", err, fault.NoKey, "X25519")
	_, err = o.Main(t.Context(), &s.contents, stranger)
	wantFault(t, "main", err, fault.NoKey, "X25519")
	_, err = o.Main(t.Context(), &s.contents, &Keys{})
	wantFault(t, "main without identity", err, fault.NoKey)
	if after := listing(t, b.path); after != before {
		t.Errorf("the place has changed from\n%s to\n%s", before, after)
	}
	b.to = must(ParseRecipients([]byte(must(age.GenerateHybridIdentity())(t).Recipient().String()), "r"))(t)
	o = must(b.seal(t, nil, noise(t, 10)).open(t.Context()))(t)
	_, err = o.Part(t.Context(), MainPart, b.keys)
	wantFault(t, "post-quantum", err, fault.NoKey, "mlkem768x25519")
}

func listing(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		fmt.Fprintln(&out, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestBadIdentityFiles: code 12 before anything is opened, and no secret in
// the message.
func TestBadIdentityFiles(t *testing.T) {
	secret := must(age.GenerateX25519Identity())(t).String()
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	ecFile, _ := sshKey(t, ec, &ec.PublicKey, "")
	asked := 0
	for name, src := range map[string][]byte{
		"empty":     nil,
		"comments":  []byte("# nothing\n\n"),
		"cut off":   []byte(secret[:40]),
		"mistyped":  []byte(strings.Replace(secret, secret[30:32], "bb", 1)),
		"trailing":  []byte(secret + " " + secret),
		"public":    []byte("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\n"),
		"ecdsa":     ecFile,
		"pem":       []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
		"age":       []byte("age-encryption.org/v1\n-> X25519 x\n"),
		"locked":    lockFile(t, []byte("no identity"), "p", false),
		"armor":     []byte("-----BEGIN AGE ENCRYPTED FILE-----\n????\n"),
		"plugin":    []byte("AGE-PLUGIN-\n"),
		"too large": make([]byte, maxIdentityFile+1),
	} {
		path := filepath.Join(t.TempDir(), "key.txt")
		writeFile(t, path, src)
		_, err := LoadKeys([]string{path}, answer("p", &asked))
		wantFault(t, name, err, fault.NoKey, path)
		if err != nil && (strings.Contains(fault.As(err).Why, secret[16:30]) || strings.Contains(err.Error(), "AGE-SECRET-KEY-1")) {
			t.Errorf("%s: the message shows the secret: %v", name, err)
		}
	}
	_, err := LoadKeys([]string{filepath.Join(t.TempDir(), "none")}, nil)
	wantFault(t, "missing file", err, fault.NoKey)
	_, err = LoadKeys(nil, nil)
	wantFault(t, "no file", err, fault.NoKey)
	// The key itself where its file should be named: the error may end in a
	// journal.
	for _, name := range []string{secret, "/home/me/" + secret, strings.ToLower(secret), secret[:40], "-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret} {
		_, err := LoadKeys([]string{name}, nil)
		wantFault(t, "the secret as a name", err, fault.NoKey, "where the name of a file belongs")
		if text := strings.ToUpper(fmt.Sprintf("%v %+v", err, fault.As(err))); strings.Contains(text, "AGE-SECRET") {
			t.Errorf("the secret is repeated: %s", text)
		}
	}
}

// TestMissingPlugin: an identity whose plugin is not installed is the
// identity's fault, never damage of the archive.
func TestMissingPlugin(t *testing.T) {
	b := newBench(t)
	o := must(b.seal(t, nil, noise(t, 10)).open(t.Context()))(t)
	keys := loadKey(t, plugin.EncodeIdentity("nosuchthing", []byte{1}))
	_, err := o.Part(t.Context(), MainPart, keys)
	wantFault(t, "plugin", err, fault.NoKey, "age-plugin-nosuchthing")
}

// TestCancelledIsNotDamage: a run that is ended while a part is being opened
// or read says so, and does not accuse the archive.
func TestCancelledIsNotDamage(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 100), noise(t, 1_000_000))
	ctx, cancel := context.WithCancel(t.Context())
	o := must(s.open(ctx))(t)
	r := must(o.Part(ctx, MainPart, b.keys))(t)
	defer r.Close()
	cancel()
	_, err := io.Copy(io.Discard, r)
	wantCancelled(t, "read", err)
	_, err = o.Part(ctx, MainPart, b.keys)
	wantCancelled(t, "open", err)
	_, err = unseal("x", failing{context.Canceled}, b.keys.ids)
	wantCancelled(t, "header", err)
	wantCancelled(t, "check", o.CheckPart(ctx, MainPart, nil))
	_, err = o.Main(ctx, &s.contents, b.keys)
	wantCancelled(t, "main", err)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func wantCancelled(t *testing.T, what string, err error) {
	t.Helper()
	if code := fault.CodeOf(err); code != fault.Cancelled {
		t.Errorf("%s: code %d of %v", what, code, err)
	}
}
