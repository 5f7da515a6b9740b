package setup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/config"
	"pgvault/vault"
)

// tellDesk is a vault of which only the warnings are asked.
type tellDesk struct {
	vault.Desk
	warnings []vault.Explained
}

func (d tellDesk) Health(context.Context) (*vault.Health, error) {
	return &vault.Health{Warnings: d.warnings}, nil
}

// TestTellSection: who is told, what does not arrive, and nothing secret.
func TestTellSection(t *testing.T) {
	const secret = "Canary7Secret8Never9Shown"
	ping := filepath.Join(t.TempDir(), "ping.url")
	if err := os.WriteFile(ping, []byte("https://hc.example.org/"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(src string, warnings ...vault.Explained) Section {
		t.Helper()
		conf, err := config.Parse([]byte(src), "f", func(name string) (string, bool) {
			return map[string]string{"X": secret}[name], name == "X"
		})
		if err != nil {
			t.Fatal(err)
		}
		s := tellSection(t.Context(), conf, tellDesk{warnings: warnings})
		text := s.Now + s.Word
		for _, l := range s.Lines {
			text += l.Text + l.Do
		}
		if strings.Contains(text, secret) {
			t.Errorf("the secret is shown: %q", text)
		}
		return s
	}
	all := "[tell]\non_failure = [\"smtp://vault:${X}@mail.example.org:587/?from=a@example.org&to=b@example.org\", \"https://hooks.example.org/${X}\"]\nping_file = \"" + ping + "\"\nmetrics_file = \"/x/y.prom\"\n"
	s := look(all)
	if s.Now != "smtp://mail.example.org:587, https://hooks.example.org, ping https://hc.example.org, metrics" || s.Word != "ok" || len(s.Lines) != 5 {
		t.Errorf("%+v", s)
	}
	has(t, s.Lines, "", "once for each change, and again after 1d")
	s = look(all, vault.Explained{Key: "sink/https://hooks.example.org", Why: "it answered 500 (since 2025-06-20 12:00Z)"}, vault.Explained{Key: "drill"})
	if s.Word != "! does not arrive" {
		t.Errorf("%+v", s)
	}
	has(t, s.Lines, "!", "https://hooks.example.org: what is to be told does not arrive: it answered 500")
	if err := os.Chmod(ping, 0o644); err != nil {
		t.Fatal(err)
	}
	s = look(all)
	has(t, s.Lines, "!", "everybody can read "+ping)
	if s = look(""); s.Word != "! nobody" {
		t.Errorf("%+v", s)
	}
}
