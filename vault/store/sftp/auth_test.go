package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest/servers"
)

// newAgent serves a keyring on a socket until the test ends.
func newAgent(t *testing.T, files ...string) (socket string) {
	t.Helper()
	ring := agent.NewKeyring()
	for _, f := range files {
		data, err := os.ReadFile(f)
		must(t, err)
		key, err := ssh.ParseRawPrivateKey(data)
		must(t, err)
		must(t, ring.Add(agent.AddedKey{PrivateKey: key}))
	}
	socket = filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	must(t, err)
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			busy.Go(func() {
				defer c.Close()
				_ = agent.ServeAgent(ring, c)
			})
		}
	})
	t.Cleanup(func() { must(t, l.Close()); busy.Wait() })
	return socket
}

// login opens a place with these options, environment and configuration.
func login(t *testing.T, srv *servers.SFTPServer, credentials, config string, env map[string]string) error {
	t.Helper()
	writeConfig(t, srv, config)
	here := client(srv)
	here.getenv = func(name string) string { return env[name] }
	s, err := open(address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: srv.Dir},
		address.Options{Credentials: credentials, Getenv: here.getenv}, here)
	if err != nil {
		return err
	}
	defer s.Close()
	s.retry = quick
	_, err = s.List(t.Context(), "")
	return err
}

// lock writes a copy of a key that needs a passphrase.
func lock(t *testing.T, srv *servers.SFTPServer) (file string) {
	t.Helper()
	data, err := os.ReadFile(srv.KeyFile)
	must(t, err)
	key, err := ssh.ParseRawPrivateKey(data)
	must(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	must(t, err)
	file = filepath.Join(t.TempDir(), "locked")
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) string {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, errors.Join(os.WriteFile(to, data, mode), os.Chmod(to, mode)))
	return to
}

func TestKeys(t *testing.T) {
	srv := openssh(t, "MaxAuthTries 3")
	folder := t.TempDir()
	var strangers []string
	for i := range 5 {
		f := filepath.Join(folder, fmt.Sprint("stranger", i))
		srv.NewKey(f)
		strangers = append(strangers, f)
	}
	good := copyFile(t, srv.KeyFile, filepath.Join(folder, "good"), 0o600)
	open := copyFile(t, srv.KeyFile, filepath.Join(folder, "open"), 0o644)
	signer, err := ssh.ParsePrivateKey(mustRead(t, good))
	must(t, err)
	public := filepath.Join(folder, "good.pub")
	must(t, os.WriteFile(public, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644))
	locked := lock(t, srv)
	all := newAgent(t, append(strangers, good)...)
	none := newAgent(t)
	sock := func(s string) map[string]string { return map[string]string{"SSH_AUTH_SOCK": s} }

	for name, c := range map[string]struct {
		credentials, config string
		env                 map[string]string
	}{
		"file named in the configuration":       {"", "IdentityFile " + good, nil},
		"two files, the second fits":            {"", "IdentityFile " + strangers[0] + "\nIdentityFile " + good, nil},
		"agent":                                 {"", "", sock(newAgent(t, good))},
		"named file first of many in the agent": {"", "IdentityFile " + good, sock(all)},
		"public half names the agent's key":     {"", "IdentitiesOnly yes\nIdentityFile " + public, sock(all)},
		"encrypted, but in the agent":           {"", "IdentitiesOnly yes\nIdentityFile " + locked, sock(all)},
		"IdentityAgent":                         {"", "IdentityFile " + public + "\nIdentityAgent " + all, sock("/nowhere")},
		"IdentityAgent by variable":             {"", "IdentityFile " + public + "\nIdentityAgent $MY_AGENT", map[string]string{"MY_AGENT": all}},
		"an agent that is gone, and a file":     {"", "IdentityFile " + good, sock("/nowhere")},
		"IdentitiesOnly, file not in the agent": {"", "IdentitiesOnly yes\nIdentityFile " + good, sock(none)},
		"credentials = file":                    {"file:" + good, "IdentityFile " + strangers[0], sock(all)},
		"credentials = systemd":                 {"systemd:good", "", map[string]string{"CREDENTIALS_DIRECTORY": folder}},
	} {
		t.Run(name, func(t *testing.T) { must(t, login(t, srv, c.credentials, c.config, c.env)) })
	}
	for name, c := range map[string]struct {
		credentials, config string
		env                 map[string]string
		code                fault.Code
		words               []string
	}{
		"too many in the agent":     {"", "", sock(all), fault.PlaceUnreachable, []string{"gave up", "IdentitiesOnly"}},
		"nothing to offer":          {"", "", nil, fault.PlaceUnreachable, []string{"there is no key to offer", "authorized_keys"}},
		"another key":               {"", "IdentityFile " + strangers[0], nil, fault.PlaceUnreachable, []string{strangers[0], "does not let"}},
		"encrypted, no agent":       {"", "IdentityFile " + locked, nil, fault.PlaceUnreachable, []string{locked, "passphrase", "ssh-add"}},
		"others can read it":        {"", "IdentityFile " + open, nil, fault.PlaceUnreachable, []string{open, "others can read it", "0644"}},
		"credentials, encrypted":    {"file:" + locked, "", sock(all), fault.Refused, []string{locked, "passphrase"}},
		"credentials, readable":     {"file:" + open, "", nil, fault.Refused, []string{open, "others can read it"}},
		"credentials, missing":      {"file:" + folder + "/missing", "", nil, fault.Refused, []string{"no such file"}},
		"credentials, no key":       {"file:" + public, "", nil, fault.Refused, []string{"public key"}},
		"credentials, relative":     {"file:key", "", nil, fault.Usage, []string{"absolute"}},
		"credentials = profile":     {"profile:x", "", nil, fault.Usage, []string{"no profiles", "~/.ssh/config"}},
		"credentials = instance":    {"instance", "", nil, fault.Usage, []string{"identity"}},
		"credentials = something":   {"password:x", "", nil, fault.Usage, []string{"neither"}},
		"systemd without a service": {"systemd:good", "", nil, fault.Usage, []string{"CREDENTIALS_DIRECTORY"}},
		"systemd, a path":           {"systemd:../good", "", map[string]string{"CREDENTIALS_DIRECTORY": folder}, fault.Usage, nil},
		"IdentityAgent none":        {"", "IdentityAgent none\nIdentityFile " + public, sock(all), fault.PlaceUnreachable, []string{public}},
	} {
		t.Run(name, func(t *testing.T) { wantFault(t, login(t, srv, c.credentials, c.config, c.env), c.code, c.words...) })
	}
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return data
}

// TestUserCertificate: the certificate beside a key is offered, too.
func TestUserCertificate(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ca, err := ssh.NewSignerFromKey(private)
	must(t, err)
	folder := t.TempDir()
	authority := filepath.Join(folder, "ca.pub")
	must(t, os.WriteFile(authority, ssh.MarshalAuthorizedKey(ca.PublicKey()), 0o644))
	srv := openssh(t, "TrustedUserCAKeys "+authority)
	mine := filepath.Join(folder, "mine")
	line := srv.NewKey(mine)
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	must(t, err)
	wantFault(t, login(t, srv, "", "IdentityFile "+mine, nil), fault.PlaceUnreachable)
	cert := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{srv.User}, ValidBefore: ssh.CertTimeInfinity}
	must(t, cert.SignCert(rand.Reader, ca))
	must(t, os.WriteFile(mine+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o644))
	must(t, login(t, srv, "", "IdentityFile "+mine, nil))
}

// TestNoSecretInErrors: no error of a login holds what a key file holds.
func TestNoSecretInErrors(t *testing.T) {
	srv := openssh(t)
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2hunter2\n-----END OPENSSH PRIVATE KEY-----\n"), 0o600))
	for _, credentials := range []string{"file:" + file, ""} {
		err := login(t, srv, credentials, "IdentityFile "+file, nil)
		if err == nil || strings.Contains(fmt.Sprintf("%+v", err), "hunter2") {
			t.Errorf("%+v", err)
		}
	}
}
