package setup

import (
	"os"
	"strings"
	"testing"
	"time"
)

// rows writes an overview as a table, for comparing.
func rows(o *Overview) string {
	var b strings.Builder
	for _, s := range o.Sections {
		b.WriteString(s.Name + " | " + s.Now + " | " + s.Word + "\n")
	}
	return b.String()
}

func TestOverview(t *testing.T) {
	w := newWorld(t, "overview_a")
	o, err := w.desk.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Sections) != 9 || o.File != w.path || len(o.Digest) != 64 {
		t.Fatalf("%+v", o)
	}
	got := rows(o)
	for _, want := range []string{
		"Databases | 1 of ", " left out) | ! rights\n",
		"Keys | ops, safe; never used to open a backup | ! never tried\n",
		"Places | disk " + w.dir + "/the place | ",
		"Keep | 3 last, 7 daily, 4 weekly, 6 monthly | ok\n",
		"When | newest at most 1d12h old; nothing starts backups by itself | ! by hand\n",
		"Verify | each backup is read back with a one-time key; reaches readable | ok\n",
		"Tell | nobody is told when a backup fails or is late | ! nobody\n",
		"Recovery sheet | never printed | ! never printed\n",
		"This program | 1.2.3, " + w.path + " | ok\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	has(t, o.Sections[0].Lines, "", "overview_a: at most 1d12h old, keeps 3 last")
}

// TestOverviewOfTrouble: each thing that fails is told in its row, and the
// others are as they are.
func TestOverviewOfTrouble(t *testing.T) {
	w := newWorld(t, "overview_b")
	text := strings.Replace(w.file(), server().Conninfo, "host=/nonexistent user=x", 1)
	text = strings.Replace(text, `verify  = "readable"`, "", 1) + "\n[[place]]\nname = \"gone\"\nurl = \"file:/nonexistent/place\"\n"
	text = strings.Replace(text, "[keys]", "[keys]\nself_check = false", 1)
	if err := os.WriteFile(w.path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.dir + "/recipients.txt"); err != nil {
		t.Fatal(err)
	}
	o, err := w.desk.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := rows(o)
	for _, want := range []string{"does not answer | x no answer", "cannot be read | x unusable", " | x 1 down", "no self-check"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if err := os.WriteFile(w.path, []byte("broken"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Overview(t.Context()); err == nil {
		t.Error("a broken file has an overview")
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Minute: "within the hour", 5 * time.Hour: "5h ago", 47 * time.Hour: "47h ago", 50 * time.Hour: "2d ago"} {
		if got := Ago(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
