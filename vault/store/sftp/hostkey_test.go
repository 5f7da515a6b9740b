package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest/servers"
)

// hostLine gives one line of known_hosts.
func hostLine(marker, hosts string, key ssh.PublicKey) string {
	return strings.TrimSpace(marker + " " + hosts + " " + string(ssh.MarshalAuthorizedKey(key)))
}

func newPublic(t *testing.T) (ssh.PublicKey, ssh.Signer) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := ssh.NewPublicKey(pub)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return key, signer
}

// tried connects with a known_hosts of its own.
func tried(t *testing.T, srv *servers.SFTPServer, known string) error {
	t.Helper()
	must(t, os.WriteFile(srv.KnownHosts, []byte(known), 0o600))
	_, err := at(t, srv).List(t.Context(), "")
	return err
}

func TestHostKeys(t *testing.T) {
	srv := openssh(t)
	host := fmt.Sprintf("[%s]:%d", srv.Host, srv.Port)
	ed, rsa, ec := srv.HostKey(ssh.KeyAlgoED25519), srv.HostKey(ssh.KeyAlgoRSA), srv.HostKey(ssh.KeyAlgoECDSA256)
	other, _ := newPublic(t)
	hashed := func(line string) string {
		file := filepath.Join(t.TempDir(), "known")
		must(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
		if out, err := exec.Command("ssh-keygen", "-H", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		text, err := os.ReadFile(file)
		must(t, err)
		return string(text)
	}
	for name, known := range map[string]string{
		"ed25519 alone":          hostLine("", host, ed),
		"rsa alone":              hostLine("", host, rsa),
		"ecdsa alone":            hostLine("", host, ec),
		"hashed, rsa":            hashed(hostLine("", host, rsa)),
		"one of several names":   hostLine("", "elsewhere,"+host+",10.0.0.1", ed),
		"pattern":                hostLine("", "["+srv.Host[:8]+"*]:"+fmt.Sprint(srv.Port), ed),
		"without the port":       hostLine("", srv.Host, ed),
		"two lines, one is old":  hostLine("", host, other) + "\n" + hostLine("", host, ed),
		"other types revoked":    hostLine("", host, ed) + "\n" + hostLine("@revoked", "*", rsa),
		"comments, empty lines":  "# x\n\n" + hostLine("", host, ed) + "\n\n",
		"another authority also": hostLine("@cert-authority", "*.example.org", other) + "\n" + hostLine("", host, rsa),
	} {
		if err := tried(t, srv, known); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	prints := func(keys ...ssh.PublicKey) (words []string) {
		for _, k := range keys {
			words = append(words, k.Type(), ssh.FingerprintSHA256(k))
		}
		return words
	}
	for name, c := range map[string]struct {
		known string
		words []string
	}{
		"nothing known":        {"", append(prints(ed), "it is not known", "ssh-keyscan -t ed25519", fmt.Sprintf("-p %d", srv.Port), srv.KnownHosts)},
		"others known":         {hostLine("", "example.org", other), append(prints(ed), "it is not known")},
		"excluded":             {hostLine("", "!"+srv.Host+",!"+host+",*", ed), append(prints(ed), "it is not known")},
		"changed":              {"# one\n" + hostLine("", host, other), append(prints(ed, other), srv.KnownHosts+":2", "another one than before", "ssh-keygen -R '"+host+"'")},
		"changed, hashed":      {hashed(hostLine("", host, other)), append(prints(ed, other), "another one than before")},
		"changed, no port":     {hostLine("", srv.Host, other), append(prints(ed, other), "another one than before")},
		"port's line is first": {hostLine("", host, other) + "\n" + hostLine("", "["+srv.Host+"]:22", other), append(prints(ed, other), "another one than before")},
		"revoked":              {hostLine("", host, ed) + "\n" + hostLine("@revoked", "*", ed), append(prints(ed), "marked as revoked", srv.KnownHosts+":2")},
		"an authority's key":   {hostLine("@cert-authority", host, ed), append(prints(ed), "not known")},
		"a line that is none":  {host + " ssh-ed25519 !!!", []string{srv.KnownHosts + ":1", "known host keys cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) { wantFault(t, tried(t, srv, c.known), fault.Refused, c.words...) })
	}
	must(t, os.Remove(srv.KnownHosts))
	_, err := at(t, srv).List(t.Context(), "")
	wantFault(t, err, fault.Refused, "there is no known_hosts file")
}

// TestStrictHostKeyCheckingIsNotRelaxed: whatever the configuration says.
func TestStrictHostKeyCheckingIsNotRelaxed(t *testing.T) {
	srv := openssh(t)
	for _, relaxed := range []string{"StrictHostKeyChecking no", "StrictHostKeyChecking accept-new", "StrictHostKeyChecking off\nUserKnownHostsFile /dev/null",
		"NoHostAuthenticationForLocalhost yes", "CheckHostIP no\nVerifyHostKeyDNS yes\nUpdateHostKeys yes", "KnownHostsCommand /bin/true"} {
		writeConfig(t, srv, relaxed+"\nIdentityFile "+srv.KeyFile)
		wantFault(t, tried(t, srv, ""), fault.Refused, "it is not known")
		if text, err := os.ReadFile(srv.KnownHosts); err != nil || len(text) > 0 {
			t.Errorf("%s: known_hosts became %q, %v", relaxed, text, err)
		}
	}
}

func writeConfig(t *testing.T, srv *servers.SFTPServer, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(srv.Home, ".ssh", "config"), []byte(text+"\n"), 0o600))
}

// TestHostCertificate: a server that shows a certificate is known by its
// authority, for the names in it, as long as it is valid.
func TestHostCertificate(t *testing.T) {
	ca, signer := newPublic(t)
	folder := t.TempDir()
	cert := filepath.Join(folder, "cert.pub")
	must(t, os.WriteFile(cert, nil, 0o600))
	srv := openssh(t, "HostCertificate "+cert)
	issue := func(t *testing.T, principal string, key ssh.PublicKey, until uint64) {
		c := &ssh.Certificate{Key: key, CertType: ssh.HostCert, KeyId: "host", ValidPrincipals: []string{principal}, ValidBefore: until}
		must(t, c.SignCert(rand.Reader, signer))
		must(t, os.WriteFile(cert, ssh.MarshalAuthorizedKey(c), 0o600))
		srv.Kill()
		srv.Start()
	}
	ed, rsa := srv.HostKey(ssh.KeyAlgoED25519), srv.HostKey(ssh.KeyAlgoRSA)
	host := fmt.Sprintf("[%s]:%d", srv.Host, srv.Port)
	for _, key := range []ssh.PublicKey{ed, rsa} {
		issue(t, srv.Host, key, ssh.CertTimeInfinity)
		for _, hosts := range []string{host, "127.*", "*"} {
			if err := tried(t, srv, hostLine("@cert-authority", hosts, ca)); err != nil {
				t.Errorf("%s, %s: %v", key.Type(), hosts, err)
			}
		}
	}
	wantFault(t, tried(t, srv, hostLine("@cert-authority", "*", ca)+"\n"+hostLine("@revoked", "*", ca)), fault.Refused, "revoked")
	wantFault(t, tried(t, srv, hostLine("@cert-authority", "*.example.org", ca)), fault.Refused, "not known")
	issue(t, "other.example.org", ed, ssh.CertTimeInfinity)
	wantFault(t, tried(t, srv, hostLine("@cert-authority", "*", ca)), fault.Refused, "certificate is not valid", ssh.FingerprintSHA256(ed))
	issue(t, srv.Host, ed, 1000)
	wantFault(t, tried(t, srv, hostLine("@cert-authority", "*", ca)), fault.Refused, "certificate is not valid", "expired")
}

// TestHostKeyAlias: the key is looked up under another name.
func TestHostKeyAlias(t *testing.T) {
	srv := openssh(t)
	writeConfig(t, srv, "Host nas\n HostName "+srv.Host+"\n HostKeyAlias Vault-Nas\n IdentityFile "+srv.KeyFile)
	must(t, os.WriteFile(srv.KnownHosts, []byte(hostLine("", "vault-nas", srv.HostKey(ssh.KeyAlgoED25519))), 0o600))
	a := address.Address{Scheme: address.SFTP, User: srv.User, Host: "nas", Port: srv.Port, Path: srv.Dir}
	if _, err := openAt(t, srv, a).List(t.Context(), ""); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(srv.KnownHosts, []byte(hostLine("", fmt.Sprintf("[%s]:%d", srv.Host, srv.Port), srv.HostKey(ssh.KeyAlgoED25519))), 0o600))
	_, err := openAt(t, srv, a).List(t.Context(), "")
	wantFault(t, err, fault.Refused, "it is not known")
}

// TestHostKeyAlgorithms: what the configuration names is all that is asked
// for.
func TestHostKeyAlgorithms(t *testing.T) {
	srv := openssh(t)
	config := "IdentityFile " + srv.KeyFile + "\nHostKeyAlgorithms "
	writeConfig(t, srv, config+"rsa-sha2-512")
	if err := tried(t, srv, hostLine("", fmt.Sprintf("[%s]:%d", srv.Host, srv.Port), srv.HostKey(ssh.KeyAlgoRSA))); err != nil {
		t.Error(err)
	}
	err := tried(t, srv, hostLine("", fmt.Sprintf("[%s]:%d", srv.Host, srv.Port), srv.HostKey(ssh.KeyAlgoED25519)))
	wantFault(t, err, fault.Refused, ssh.FingerprintSHA256(srv.HostKey(ssh.KeyAlgoRSA)))
}
