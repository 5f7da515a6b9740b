package tell

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func pingFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ping.url")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPing(t *testing.T) {
	w := newWeb(t, func(http.ResponseWriter, *http.Request) {})
	file := pingFile(t, w.URL+"/"+canary+"/?rid=7\n", 0o640)
	body := late.Entries[0].Lines.Text()
	for _, s := range []Signal{PingStart, PingSuccess, PingFail} {
		if err := Ping(t.Context(), file, s, body); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, g := range w.requests() {
		paths = append(paths, g.path)
		if g.method != "POST" || g.body != body {
			t.Errorf("%+v", g)
		}
	}
	if want := "/" + canary + "/start?rid=7 /" + canary + "?rid=7 /" + canary + "/fail?rid=7"; strings.Join(paths, " ") != want {
		t.Errorf("%v", paths)
	}
	if got := ShowPing(file); got != "ping "+w.URL {
		t.Errorf("%q", got)
	}
}

// TestPingFails: a server's failure is tried once more, its refusal is not,
// and no error holds the address.
func TestPingFails(t *testing.T) {
	var n atomic.Int32
	status := http.StatusBadGateway
	w := newWeb(t, func(rw http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 2 || status != http.StatusBadGateway {
			rw.Header().Set("Location", "http://example.org/"+canary)
			rw.WriteHeader(status)
		}
	})
	file := pingFile(t, w.URL+"/"+canary, 0o600)
	if err := Ping(t.Context(), file, PingSuccess, ""); err != nil || n.Load() != 2 {
		t.Errorf("%v after %d tries", err, n.Load())
	}
	for _, status = range []int{http.StatusNotFound, http.StatusTemporaryRedirect} {
		n.Store(0)
		if err := Ping(t.Context(), file, PingSuccess, ""); err == nil || n.Load() != 1 || strings.Contains(err.Error(), canary) {
			t.Errorf("%v after %d tries", err, n.Load())
		}
	}
	w.Close()
	if err := Ping(t.Context(), file, PingSuccess, ""); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestCheckPing(t *testing.T) {
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{"https://hc-ping.example.org/" + canary, 0o640, ""},
		{"http://localhost:8000/" + canary, 0o600, ""},
		{"https://hc-ping.example.org/" + canary, 0o644, "chmod o="},
		{"http://hc-ping.example.org/" + canary, 0o600, "only this machine"},
		{"https://a/" + canary + "\nhttps://b/" + canary, 0o600, "one address alone"},
		{"", 0o600, "one address alone"},
		{canary, 0o600, "https://"},
		{"ftp://" + canary, 0o600, "https://"},
		{"https://h/" + strings.Repeat(canary, 1000), 0o600, "one address alone"},
	} {
		err := CheckPing(pingFile(t, c.text, c.mode))
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary)) {
			t.Errorf("%.40q, %04o: %v", c.text, c.mode, err)
		}
	}
	if err := CheckPing(filepath.Join(t.TempDir(), "none")); err == nil || ShowPing("/nowhere") != "ping_file" {
		t.Errorf("no file: %v", err)
	}
}
