package remote

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
)

func TestWithoutURL(t *testing.T) {
	cause := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	err := WithoutURL(&url.Error{Op: "Put", URL: "https://acct.example.com/c/x?sig=CANARY", Err: cause})
	if strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "acct.example.com: ") || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if plain := io.ErrUnexpectedEOF; WithoutURL(plain) != plain || !Network(plain) || NotSent(plain) || !NotSent(err) || !Network(err) {
		t.Error("an error of a connection is taken for another one")
	}
	if Network(errors.New("bad key")) {
		t.Error("any error is taken for one of a connection")
	}
}

func TestTransient(t *testing.T) {
	for status, want := range map[int]bool{200: false, 308: false, 400: false, 401: false, 403: false, 404: false, 408: true, 409: false,
		412: false, 429: true, 500: true, 502: true, 503: true, 504: true} {
		if Transient(status) != want {
			t.Errorf("%d: %t", status, !want)
		}
	}
}

func TestBrief(t *testing.T) {
	if got := Brief("no  token\x1b[2J for " + strings.Repeat("k", 61) + " here"); got != `no token\x1b[2J for … here` {
		t.Errorf("%q", got)
	}
}

func TestCredentialsFile(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, mode os.FileMode, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, group, all := make("own", 0o600, "CANARY"), make("group", 0o640, "CANARY"), make("all", 0o644, "CANARY")
	large := make("large", 0o600, strings.Repeat("C", maxSecret+1))
	env := func(name string) string { return map[string]string{"CREDENTIALS_DIRECTORY": dir}[name] }
	for _, c := range []struct {
		credentials string
		ok, found   bool
	}{
		{"file:" + own, true, true}, {"file:" + group, false, true}, {"file:" + all, false, true}, {"file:" + large, false, true},
		{"file:" + dir, false, true}, {"file:" + dir + "/none", false, true}, {"file:", false, true},
		{"systemd:own", true, true}, {"systemd:group", true, true}, {"systemd:all", false, true},
		{"systemd:", false, true}, {"systemd:..", false, true}, {"systemd:a/b", false, true}, {"systemd:none", false, true},
		{"", true, false}, {"instance", true, false}, {"profile:x", true, false},
	} {
		secret, found, err := CredentialsFile("gs://b", c.credentials, env)
		if (err == nil) != c.ok || found != c.found || (c.ok && found) != (string(secret) == "CANARY") {
			t.Errorf("%s: %q, %t, %v", c.credentials, secret, found, err)
		}
		if err == nil {
			continue
		}
		if f := fault.As(err); strings.Contains(err.Error()+f.Do, "CANARY") || f.Code != fault.Refused || f.Do == "" || f.Left == "" {
			t.Errorf("%s: %+v", c.credentials, f)
		}
	}
	if _, _, err := CredentialsFile("gs://b", "systemd:own", func(string) string { return "" }); err == nil {
		t.Error("a credential without systemd")
	}
}
