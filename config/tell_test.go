package config

import (
	"strings"
	"testing"
	"time"
)

const canary = "Canary7Secret8Never9Shown"

func TestTell(t *testing.T) {
	env := map[string]string{"PASS": canary, "ALL": "slack://hook:TABCDEFGH-BABCDEFGH-" + canary + "@webhook", "BAD": "shlack://" + canary}
	lookup := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	for src, want := range map[string]string{ // empty: it is good
		`on_failure = ["smtp://u:${PASS}@mail.example.org:587/?from=a@b.c&to=d@e.f", "${ALL}", "https://h.example.org/${PASS}"]`: "",
		`on_failure = []`:                                     "",
		`on_failure = ["shmtp://u:${PASS}@h/"]`:               `line 2: on_failure number 1: there is no kind of sink "shmtp"; did you mean "smtp"?`,
		`on_failure = ["${BAD}"]`:                             "no such kind of sink",
		`on_failure = ["https://h/", "http://h/${PASS}"]`:     "on_failure number 2: http to another machine",
		`on_failure = ["${PASS}"]`:                            "scheme://",
		`on_failure = ["smtp://u:${PASS}@h/?from=a@b.c"]`:     "toAddress",
		`on_failure = ["ntfy://h/${NONE}"]`:                   "NONE is not set",
		`on_failure = "ntfy://h/t"`:                           "list of texts",
		`metrics_file = "/x/y.txt"`:                           ".prom",
		`reminder = "0d"`:                                     "above zero",
		`on_success = ["ntfy://h/t"]`:                         "unknown key",
		"ping_file = \"p.url\"\nmetrics_file = \"/x/y.prom\"": "",
	} {
		c, err := Parse([]byte("[tell]\n"+src+"\n"), "/etc/x/config.toml", lookup)
		if (err == nil) != (want == "") {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if err == nil {
			if c.Tell.PingFile != "" && c.Tell.PingFile != "/etc/x/p.url" || c.Tell.Reminder != 24*time.Hour {
				t.Errorf("%+v", c.Tell)
			}
			continue
		}
		text := err.Error()
		for _, p := range Problems(err) {
			text += "\n" + strings.Join([]string{"line", string(rune('0' + p.Line))}, " ") + ": " + p.Text
		}
		if !strings.Contains(text, want) || strings.Contains(text, canary) {
			t.Errorf("%s: %q does not say %q", src, text, want)
		}
	}
}

func TestChangesHideAddresses(t *testing.T) {
	a, b := Default(), Default()
	a.Tell.OnFailure, b.Tell.OnFailure = []string{"ntfy://h/" + canary}, []string{"ntfy://h/2" + canary}
	got := Changes(a, b)
	if len(got) != 1 || strings.Contains(got[0].String(), canary) || got[0].String() != "tell.on_failure addresses > another" {
		t.Errorf("%v", got)
	}
}

func TestHide(t *testing.T) {
	src := `# see https://example.org/docs and smtp://u:` + canary + `@h
url = "s3://b/p?endpoint=https://minio:9000"
dbname = "postgresql://pgvault@db1/postgres"
[tell]
on_failure = ["smtp://u:` + canary + `@mail.example.org:587/?from=a@b.c&to=d@e.f", 'https://h.example.org/a "b" ` + canary + `',
  "slack://` + canary + `@webhook", "ntfy://u:\"` + canary + `@ntfy.sh/t", "generic+https://h/` + canary + `"] # https://h/` + canary + `
on_success = "https://h.example.org"
a = "${ALL}"
b = "SMTP://u:${PASS}@mail.example.org/` + canary + `"
`
	got := string(Hide([]byte(src)))
	for _, want := range []string{"endpoint=https://minio:9000\"", `"postgresql://pgvault@db1/postgres"`, `"smtp://mail.example.org:587/…", 'https://h.example.org/…'`, `"slack://…", "ntfy://…", `,
		`on_success = "https://h.example.org"`, `a = "${ALL}"`, "# see https://example.org/… and smtp://h/…"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, canary) || strings.Count(got, "\n") != strings.Count(src, "\n") {
		t.Errorf("%s", got)
	}
	if again := string(Hide([]byte(got))); again != got {
		t.Errorf("hidden twice:\n%s", again)
	}
}
