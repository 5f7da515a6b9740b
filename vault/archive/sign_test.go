package archive

import (
	"bytes"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"pgvault/fault"
)

// run runs a stock program in dir and gives all that it says.
func run(t testing.TB, dir string, stdin []byte, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSSHKeygenVerifiesOurs: OpenSSH accepts our signature for its bytes,
// namespace and key, and for no others.
func TestSSHKeygenVerifiesOurs(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	msg := []byte("{\"format\": 1}\n")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "sig"), must(s.Sign(msg, ManifestNamespace))(t))
	writeFile(t, filepath.Join(dir, "allowed"), []byte("vault "+s.Public()+"\n"))
	writeFile(t, filepath.Join(dir, "others"), []byte("vault "+other.Public()+"\n"))
	for name, c := range map[string]struct {
		allowed, namespace string
		msg                []byte
		good               bool
	}{
		"ours":            {"allowed", ManifestNamespace, msg, true},
		"other bytes":     {"allowed", ManifestNamespace, append(msg, '\n'), false},
		"other namespace": {"allowed", ProofNamespace, msg, false},
		"other key":       {"others", ManifestNamespace, msg, false},
	} {
		out, err := run(t, dir, c.msg, "ssh-keygen", "-Y", "verify", "-f", c.allowed, "-I", "vault", "-n", c.namespace, "-s", "sig")
		if (err == nil) != c.good {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestOursVerifiesSSHKeygen: signatures that OpenSSH made with its own keys,
// and allowed_signers lines in the forms that it takes.
func TestOursVerifiesSSHKeygen(t *testing.T) {
	msg := []byte("{\"format\": 1}\n")
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "manifest.json"), msg)
		for _, args := range [][]string{
			{"-q", "-t", kind, "-N", "", "-f", "key"},
			{"-Y", "sign", "-n", ManifestNamespace, "-f", "key", "manifest.json"},
		} {
			if out, err := run(t, dir, nil, "ssh-keygen", args...); err != nil {
				t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
			}
		}
		sig := readFile(t, filepath.Join(dir, "manifest.json.sig"))
		pub := strings.TrimSpace(string(readFile(t, filepath.Join(dir, "key.pub"))))
		for _, line := range []string{pub, "vault@example.com " + pub, "a@x,b@x " + pub, `vault namespaces="pgvault-manifest@v1" ` + pub,
			`namespaces="other,pgvault-manifest@v1" ` + pub} {
			trust := must(NewTrust([]string{"# the key", "", line}))(t)
			if err := trust.Verify(msg, sig, ManifestNamespace); err != nil {
				t.Errorf("%s, %.40s: %v", kind, line, err)
			}
			if trust.Verify(append(msg, ' '), sig, ManifestNamespace) == nil || trust.Verify(msg, sig, ProofNamespace) == nil {
				t.Errorf("%s, %.40s: accepts too much", kind, line)
			}
		}
		restricted := must(NewTrust([]string{`vault namespaces="pgvault-proof@v1" ` + pub}))(t)
		if restricted.Verify(msg, sig, ManifestNamespace) == nil {
			t.Errorf("%s: a key for proofs signed a manifest", kind)
		}
		for _, line := range []string{"cert-authority " + pub, "vault cert-authority " + pub, `vault valid-before="20200101" ` + pub, `vault namespaces="*" ` + pub, pub[:30], "x"} {
			if _, err := NewTrust([]string{line}); err == nil {
				t.Errorf("%.60q was taken for a trusted key", line)
			}
		}
	}
	if _, err := NewTrust([]string{"", "# none"}); err == nil {
		t.Error("no key is trust enough")
	}
}

// TestSigningKeyRules: who else may read the key, what it is, and that an
// encrypted one is refused, each with exit code 64.
func TestSigningKeyRules(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	writeFile(t, path, must(NewSigningKey(rand.Reader, "x"))(t))
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadSigner(path)
		wantFault(t, mode.String(), err, fault.Usage, path, "chmod 600")
	}
	locked := filepath.Join(dir, "locked")
	if out, err := run(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "opensesame", "-f", locked); err != nil {
		t.Fatal(err, out)
	}
	_, err := LoadSigner(locked)
	wantFault(t, "locked", err, fault.Usage, locked)
	_, err = LoadSigner(filepath.Join(dir, "none"))
	wantFault(t, "missing", err, fault.Usage)
	writeFile(t, filepath.Join(dir, "rubbish"), []byte("rubbish"))
	_, err = LoadSigner(filepath.Join(dir, "rubbish"))
	wantFault(t, "rubbish", err, fault.Usage)
}

// TestAgentSigns: a public key stands for the private one that an agent holds.
func TestAgentSigns(t *testing.T) {
	dir := t.TempDir()
	ring := agent.NewKeyring()
	key := must(ssh.ParseRawPrivateKey(must(NewSigningKey(rand.Reader, "x"))(t)))(t)
	signer := must(ssh.NewSignerFromKey(key))(t)
	path := filepath.Join(dir, "key.pub")
	writeFile(t, path, ssh.MarshalAuthorizedKey(signer.PublicKey()))
	sock := filepath.Join(dir, "agent")
	l := must(net.Listen("unix", sock))(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c); c.Close() }()
		}
	}()
	defer l.Close()
	t.Setenv("SSH_AUTH_SOCK", sock)
	_, err := LoadSigner(path)
	wantFault(t, "empty agent", err, fault.Usage, "ssh-add")
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	s := must(LoadSigner(path))(t)
	trust := must(NewTrust([]string{s.Public()}))(t)
	if err := trust.Verify([]byte("m"), must(s.Sign([]byte("m"), ManifestNamespace))(t), ManifestNamespace); err != nil {
		t.Error(err)
	}
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "none"))
	_, err = LoadSigner(path)
	wantFault(t, "no agent", err, fault.Usage, "SSH_AUTH_SOCK")
}
