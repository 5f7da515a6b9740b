package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// writeTrail makes a trail of n lines.
func writeTrail(t *testing.T, n int) trail {
	t.Helper()
	tr := trail{dir: filepath.Join(t.TempDir(), "state"), vault: "main", mode: 0o600}
	for i := range n {
		addLine(t, tr, fmt.Sprintf("what %d\n\u202e", i))
	}
	return tr
}

func addLine(t *testing.T, tr trail, what string) {
	t.Helper()
	if err := tr.append(time.Unix(1_800_000_000, 0), auditLine{Kind: "pin", What: what, Result: "ok", Actor: Actor{User: "dba", By: "cli"}}); err != nil {
		t.Fatal(err)
	}
}

func verdict(t *testing.T, tr trail) Trail {
	t.Helper()
	c, err := tr.check()
	if err != nil {
		t.Fatal(err)
	}
	return c.verdict()
}

func trailLines(t *testing.T, tr trail) []string {
	t.Helper()
	src, err := os.ReadFile(tr.path(trailFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(src), "\n"), "\n")
}

func putTrail(t *testing.T, tr trail, lines []string) {
	t.Helper()
	text := strings.Join(lines, "")
	if len(lines) > 0 && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if err := os.WriteFile(tr.path(trailFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTrailIsAChain(t *testing.T) {
	if got := verdict(t, writeTrail(t, 0)); got != (Trail{}) {
		t.Errorf("no trail is %+v", got)
	}
	tr := writeTrail(t, 5)
	lines := trailLines(t, tr)
	got := verdict(t, tr)
	if got.Lines != 5 || got.Broken != 0 || got.Head != digest([]byte(lines[4])) || strings.Contains(lines[0], "\u202e") {
		t.Errorf("%+v of %q", got, lines)
	}
	var l auditLine
	if err := json.Unmarshal([]byte(lines[1]), &l); err != nil || l.Seq != 2 || l.Prev != digest([]byte(strings.TrimSuffix(lines[0], "\n"))) || l.What != "what 1\n\u202e" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, name := range []string{trailFile, trailHeadFile, trailLockFile} {
		if st, err := os.Stat(tr.path(name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

// TestTrailTells whatever is done to a line, now and after further lines.
func TestTrailTells(t *testing.T) {
	const n = 6
	type damage struct {
		name   string
		do     func(lines []string) []string
		broken int64 // the first line that is wrong
	}
	for _, d := range []damage{
		{"a word is changed", func(l []string) []string { l[2] = strings.Replace(l[2], "dba", "eve", 1); return l }, 4},
		{"the first is changed", func(l []string) []string { l[0] = strings.Replace(l[0], "dba", "eve", 1); return l }, 2},
		{"the last is changed", func(l []string) []string { l[n-1] = strings.Replace(l[n-1], "dba", "eve", 1); return l }, n + 1},
		{"one is removed", func(l []string) []string { return slices.Delete(l, 2, 3) }, 3},
		{"the first is removed", func(l []string) []string { return l[1:] }, 1},
		{"two are exchanged", func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }, 3},
		{"one is doubled", func(l []string) []string { return slices.Insert(l, 2, l[2]) }, 4},
		{"the last is removed", func(l []string) []string { return l[:n-1] }, n},
		{"the end is removed", func(l []string) []string { return l[:2] }, 3},
		{"all is removed", func(l []string) []string { return nil }, 1},
		{"a line is no JSON", func(l []string) []string { l[2] = "what?\n"; return l }, 4},
		{"half of one is gone", func(l []string) []string { l[2] = l[2][:20] + "\n"; return l }, 4},
		{"the last is cut", func(l []string) []string { l[n-1] = l[n-1][:20]; return l }, n + 1},
	} {
		tr := writeTrail(t, n)
		putTrail(t, tr, d.do(trailLines(t, tr)))
		if got := verdict(t, tr); got.Broken == 0 || got.Broken > d.broken {
			t.Errorf("%s: %+v, line %d should be the first", d.name, got, d.broken)
		}
		addLine(t, tr, "later") // must not paper over it
		if got := verdict(t, tr); got.Broken == 0 || got.Broken > d.broken {
			t.Errorf("%s, and then another line: %+v", d.name, got)
		}
	}
	tr := writeTrail(t, n)
	if err := os.Remove(tr.path(trailHeadFile)); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, tr); got.Broken != n+1 {
		t.Errorf("without its head: %+v", got)
	}
}

// TestTrailAfterACrash: what a crash leaves at any byte is no damage, is
// kept, and is spoken of.
func TestTrailAfterACrash(t *testing.T) {
	tr := writeTrail(t, 3)
	whole := strings.Join(trailLines(t, tr), "") + "\n"
	head, err := os.ReadFile(tr.path(trailHeadFile))
	if err != nil {
		t.Fatal(err)
	}
	addLine(t, tr, "torn")
	last := strings.TrimPrefix(strings.Join(trailLines(t, tr), "")+"\n", whole)
	for cut := range len(last) + 1 {
		torn := whole + last[:cut] // and the head not yet written
		if err := errors.Join(os.WriteFile(tr.path(trailFile), []byte(torn), 0o600), os.WriteFile(tr.path(trailHeadFile), head, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := verdict(t, tr); got.Broken != 0 {
			t.Fatalf("cut after %d bytes: %+v", cut, got)
		}
		addLine(t, tr, "after")
		src, err := os.ReadFile(tr.path(trailFile))
		if err != nil || !bytes.HasPrefix(src, []byte(torn)) {
			t.Fatalf("cut after %d bytes: what was there is gone", cut)
		}
		got := verdict(t, tr)
		note := strings.Contains(string(src), `"kind":"note"`)
		if want := cut > 0 && cut < len(last)-1; got.Broken != 0 || note != want {
			t.Fatalf("cut after %d bytes: %+v, note %v", cut, got, note)
		}
	}
}

// TestTrailOfMany: writers at once, one chain.
func TestTrailOfMany(t *testing.T) {
	tr := writeTrail(t, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := tr.append(time.Now(), auditLine{Kind: "pin"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := verdict(t, tr); got.Lines != 80 || got.Broken != 0 {
		t.Errorf("%+v", got)
	}
}

// TestActivityReadsOnlyWhatIsNew, and still sees what was changed before.
func TestActivityReadsOnlyWhatIsNew(t *testing.T) {
	w := newWorld(t)
	v := w.vault()
	now := time.Now()
	v.now = func() time.Time { return now }
	audit := func(what string) {
		t.Helper()
		if err := v.Audit(t.Context(), "pin", what, "ok", ""); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(n int, broken bool) {
		t.Helper()
		list, tr, err := v.Activity(t.Context(), 0)
		if err != nil || len(list) != n || (tr.Broken != 0) != broken {
			t.Errorf("%d entries, %+v, %v", len(list), tr, err)
		}
	}
	expect(0, false)
	audit("one")
	expect(1, false)
	audit("two")
	audit("three")
	expect(3, false)
	if list, _, _ := v.Activity(t.Context(), 2); len(list) != 2 || list[0].What != "three" || list[0].Seq != 3 || list[0].Actor.User == "" {
		t.Errorf("%+v", list)
	}
	lines := trailLines(t, v.trail())
	lines[0] = strings.Replace(lines[0], "one", "eno", 1)
	putTrail(t, v.trail(), lines)
	expect(3, true) // same size
	lines[0] = strings.Replace(lines[0], "eno", "one", 1)
	putTrail(t, v.trail(), lines)
	expect(3, false)
	audit("four")
	expect(4, false)
	now = now.Add(recheckEvery)
	expect(4, false)
	v.c.ReadOnly = true
	if err := v.Audit(t.Context(), "pin", "x", "ok", ""); err == nil {
		t.Error("a read-only pgvault wrote")
	}
}
