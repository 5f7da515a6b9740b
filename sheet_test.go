package main

import (
	"html"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRecoverySheet does what the printed sheet says, line by line, on another
// server: with the distribution's programs, an empty environment and a home
// with nothing in it. Only the one line is filled in that says so. What comes
// back is compared with what was backed up.
func TestRecoverySheet(t *testing.T) {
	dir, database := t.TempDir(), "sheet_before"
	fillSchool(t, database)
	archive := backUpSchool(t, dir, database)
	conf := filepath.Join(dir, "config.toml")
	text := tell(t, "pgvault", "-c", conf, "recovery-sheet")
	lines := sheetLines(t, text, "5  Without pgvault")
	bare := anotherServer(t)
	programs := filepath.Join(dir, "bin")
	for _, name := range []string{"ssh-keygen", "sha256sum", "sed", "grep", "ls", "cp", "age", "zstd", "psql", "createdb", "pg_restore"} {
		link(t, programs, name)
	}
	follow := func(lines []string) (string, error) {
		here := t.TempDir()
		cmd := exec.Command("/bin/bash", "-eu", "-o", "pipefail", "-c", strings.Join(lines, "\n"))
		cmd.Dir = here
		cmd.Env = []string{"PATH=" + programs, "HOME=" + t.TempDir(), "PGHOST=" + bare.SocketDir, "PGUSER=" + bare.Superuser}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	fill := func(id string) []string {
		filled := "KEY=" + filepath.Join(dir, "key.txt") + " DB=" + database + " ID=" + id + " NEWDB=sheet_after"
		if !regexp.MustCompile(`^KEY=\S+ DB=\S+ ID=\S+ NEWDB=\S+$`).MatchString(lines[0]) {
			t.Fatalf("the first line to type is not the one to fill in: %s", lines[0])
		}
		return append([]string{filled}, lines[1:]...)
	}
	listed, err := follow(fill("unknown")[:4]) // as far as the listings
	if err != nil || !strings.Contains(listed, database) {
		t.Fatalf("%v\n%s", err, listed)
	}
	words := strings.Fields(listed)
	id := filepath.Base(filepath.Dir(words[len(words)-1]))
	if id != filepath.Base(archive) {
		t.Fatalf("the last that is listed is %s, not the archive\n%s", id, listed)
	}
	out, err := follow(fill(id))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`Good "pgvault-manifest@v1" signature for pgvault`, "main.dump.zst.age: OK", "globals.sql.zst.age: OK", "contents.json.zst.age: OK", `"id": "` + id + `"`, `"database": "` + database + `"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the lines did not say %q\n%s", want, out)
		}
	}
	before, after := digests(t, cluster, database), digests(t, bare, "sheet_after")
	if strings.Count(before, "\n") < 60 || before != after {
		t.Errorf("the data is not what it was\nbefore:\n%s\nafter:\n%s", before, after)
	}
	fingerprint := strings.Fields(tell(t, "ssh-keygen", "-l", "-f", filepath.Join(dir, "signing_key.pub")))[1]
	recover := sheetLines(t, text, "4  With pgvault")
	if want := "pgvault recover --from file:" + filepath.Join(dir, "place") + ` -i "$KEY" --signer ` + fingerprint; len(recover) != 1 || recover[0] != want {
		t.Errorf("with pgvault: %q\nwant %s", recover, want)
	}
	t.Run("html", func(t *testing.T) {
		page := tell(t, "pgvault", "-c", conf, "recovery-sheet", "--format", "html", "-n")
		for _, l := range append(lines, recover...) {
			if !strings.Contains(page, "<b>    "+html.EscapeString(l)+"</b>") {
				t.Errorf("the page lacks %s", l)
			}
		}
		if regexp.MustCompile(`(?i)(src|href|url)\s*[=(]`).MatchString(page) {
			t.Error("the page needs something from elsewhere")
		}
	})
	t.Run("a changed part", func(t *testing.T) { // the lines stop before pg_restore
		cut := append([]string{}, fill(id)...)
		for i, l := range cut {
			if strings.HasPrefix(l, "ssh-keygen") {
				cut[i] = "echo >> main.dump.zst.age\n" + l
			}
		}
		if out, err := follow(cut); err == nil || strings.Contains(out, `"vault_id"`) {
			t.Errorf("the lines went through\n%s", out)
		}
	})
}

// sheetLines gives the lines to type of a section.
func sheetLines(t *testing.T, text, heading string) []string {
	t.Helper()
	_, section, ok := strings.Cut(text, "\n"+heading)
	if !ok {
		t.Fatalf("there is no section %q:\n%s", heading, text)
	}
	if end := regexp.MustCompile(`\n-+\n(?s:.*?)(\n\n[0-9] )`).FindStringSubmatchIndex(section); end != nil {
		section = section[:end[2]]
	}
	var out []string
	for _, l := range strings.Split(section, "\n") {
		if typed, ok := strings.CutPrefix(l, "    "); ok {
			out = append(out, typed)
		}
	}
	return out
}
