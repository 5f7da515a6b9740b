package job

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// newDir is an empty folder of jobs whose path is too long for the address
// of a socket.
func newDir(t *testing.T) Dir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 20), strings.Repeat("state-", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return Dir{Path: filepath.Join(dir, "jobs")}
}

func create(t *testing.T, d Dir, cancel func()) *Run {
	t.Helper()
	r, err := d.Create(time.Now, rand.Reader, map[string]string{"what": "shop"}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t *testing.T, d Dir, id string) Status {
	t.Helper()
	s, err := d.Read(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLifeOfAJob(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	if s := read(t, d, r.ID()); s.State != Running || s.PID != os.Getpid() || string(s.Order) != `{"what":"shop"}` || !d.Alive(r.ID()) {
		t.Errorf("%+v", s)
	}
	r.Append([]byte(`{"n":1}`))
	r.SetFacts(map[string]int{"rows": 7})
	if s := read(t, d, r.ID()); string(s.Facts) != `{"rows":7}` || s.Journal != 8 {
		t.Errorf("%+v", s)
	}
	if err := r.End("ok", map[string]int{"rows": 8}); err != nil {
		t.Error(err)
	}
	s := read(t, d, r.ID())
	if s.State != "ok" || string(s.Facts) != `{"rows":8}` || s.Ended.IsZero() || d.Alive(r.ID()) {
		t.Errorf("%+v", s)
	}
	if list, err := d.List(); err != nil || len(list) != 1 || list[0].ID != r.ID() {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := os.Lstat(d.path(r.ID(), ctlFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// TestWhoMayRead: the owner alone, or with Shared the group as well, whatever
// the umask.
func TestWhoMayRead(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o177))
	for _, shared := range []bool{false, true} {
		folder, file := os.FileMode(0o700), os.FileMode(0o600)
		if shared {
			folder, file = 0o750, 0o640
		}
		base := t.TempDir()
		if err := os.Chmod(base, 0o700); err != nil {
			t.Fatal(err)
		}
		d := Dir{Path: filepath.Join(base, "jobs"), Shared: shared}
		r := create(t, d, func() {})
		log, err := r.Stderr()
		if err != nil {
			t.Fatal(err)
		}
		log.Close()
		r.SetFacts(1)
		for name, want := range map[string]os.FileMode{"": folder, orderFile: file, statusFile: file, journalFile: file, lockFile: file, stderrFile: file, ctlFile: 0o600} {
			if st, err := os.Stat(d.path(r.ID(), name)); err != nil || st.Mode().Perm() != want {
				t.Errorf("shared %v: %q has %v, %v, not %v", shared, name, st.Mode(), err, want)
			}
		}
		r.Discard()
		if entries, err := os.ReadDir(d.Path); err != nil || len(entries) != 0 {
			t.Errorf("%v, %v are left", entries, err)
		}
	}
}

// TestStatusIsNotWrittenMoreThanFourTimesASecond, and the last is never lost.
func TestStatusIsNotWrittenMoreThanFourTimesASecond(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	inodes := map[uint64]bool{}
	var last Status
	start := time.Now()
	for i := range 2000 {
		r.SetFacts(i)
		var st unix.Stat_t
		if err := unix.Stat(d.path(r.ID(), statusFile), &st); err != nil {
			t.Fatal(err)
		}
		inodes[st.Ino] = true
	}
	took := time.Since(start)
	if most := 2 + int(took/statusEvery); len(inodes) > most {
		t.Errorf("written %d times in %v", len(inodes), took)
	}
	_, err := d.Follow(t.Context(), r.ID(), Reader{Status: func(s Status) {
		if last = s; string(s.Facts) == "1999" {
			go r.End("ok", "end")
		}
	}})
	if err != nil || string(last.Facts) != `"end"` {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestCancelThroughTheSocket(t *testing.T) {
	d := newDir(t)
	var asked atomic.Int32
	r := create(t, d, func() { asked.Add(1) })
	for range 3 {
		if err := d.Cancel(t.Context(), r.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	err := inFolder(d.path(r.ID()), func(short string) error { // somebody who says something else
		conn, err := dialIn(t.Context(), d.path(r.ID()), ctlFile)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = fmt.Fprintln(conn, "dance")
		answer := make([]byte, 20)
		n, rerr := conn.Read(answer)
		if got := string(answer[:n]); got != "unknown\n" {
			t.Errorf("answered %q, %v", got, rerr)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := r.End("cancelled", nil); err != nil {
		t.Error(err)
	}
	if err := d.Cancel(t.Context(), r.ID()); fault.CodeOf(err) != fault.Refused {
		t.Errorf("cancelled after its end: %v", err)
	}
}

// TestNotACancel: a job that died without its socket gone, and one that never
// was.
func TestNotACancel(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	r.ctl.close()
	r.lock.Close()
	if err := d.Cancel(t.Context(), r.ID()); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "died") {
		t.Errorf("%v", err)
	}
	if err := d.Cancel(t.Context(), "20260101T000000Z-0000"); err == nil {
		t.Error("a job that is not there was cancelled")
	}
}

// TestJournalOnAFullDisk: no half line, and nothing lost when there is room
// again.
func TestJournalOnAFullDisk(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	real, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.Append([]byte(`{"n":1}`))
	journal := r.journal
	r.journal = real
	r.Append([]byte(`{"n":2}`))
	r.Append([]byte(`{"n":3}`))
	real.Close()
	r.journal = journal
	r.Append([]byte(`{"n":4}`))
	if err := r.End("ok", nil); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("End says %v", err)
	}
	src, err := os.ReadFile(d.path(r.ID(), journalFile))
	if want := "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"; err != nil || string(src) != want {
		t.Errorf("%q, %v", src, err)
	}
}

// TestDamagedFolders: what others, or a crash, have left is passed over, or
// made the best of.
func TestDamagedFolders(t *testing.T) {
	d := newDir(t)
	if list, err := d.List(); err != nil || len(list) != 0 {
		t.Errorf("before the first job: %v, %v", list, err)
	}
	r := create(t, d, func() {})
	r.Append([]byte("{}"))
	r.ctl.close()
	r.lock.Close() // it dies
	id := r.ID()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(d.Path, "foreign"), 0o700))
	must(os.Mkdir(d.path("20260101T000000Z-0000"), 0o700)) // empty
	must(os.WriteFile(filepath.Join(d.Path, "20260101T000000Z-0001"), nil, 0o600))
	must(os.Mkdir(d.path("20260101T000000Z-0002"), 0o700))
	must(unix.Mkfifo(d.path("20260101T000000Z-0002", statusFile), 0o600)) // nobody ever writes
	must(unix.Mkfifo(d.path("20260101T000000Z-0002", lockFile), 0o600))
	for _, damage := range []string{"", "{", `{"id":"another"}`, "null", "[]"} {
		must(os.WriteFile(d.path(id, statusFile), []byte(damage), 0o600))
		list, err := d.List()
		if err != nil || len(list) != 1 || list[0].State != Died || list[0].ID != id || string(list[0].Order) != `{"what":"shop"}` || list[0].Ended.IsZero() {
			t.Errorf("%q: %+v, %v", damage, list, err)
		}
	}
	must(os.Remove(d.path(id, orderFile)))
	_, err := d.Read(id)
	if e := fault.As(err); err == nil || e.What == "" || e.Do == "" {
		t.Errorf("%+v", e)
	}
}

func TestFind(t *testing.T) {
	d := newDir(t)
	for _, id := range []string{"20260101T000000Z-7f3a", "20260101T000000Z-7f3b", "20260201T000000Z-aaaa"} {
		if err := os.MkdirAll(d.path(id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for part, want := range map[string]string{"7f3a": "20260101T000000Z-7f3a", "202602": "20260201T000000Z-aaaa", "20260101T000000Z-7f3b": "20260101T000000Z-7f3b", "a": ""} {
		if got, err := d.Find(part); got != want || (want == "") != (fault.CodeOf(err) == fault.Usage) {
			t.Errorf("%q is %q, %v", part, got, err)
		}
	}
	for _, part := range []string{"", "zzz", "2026", "/", ".."} {
		if got, err := d.Find(part); err == nil {
			t.Errorf("%q is %q", part, got)
		}
	}
}

func TestPrune(t *testing.T) {
	d := newDir(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	put := func(id string, more ...string) {
		t.Helper()
		if err := os.MkdirAll(d.path(id), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(more, statusFile, journalFile, orderFile, lockFile) {
			if err := os.WriteFile(d.path(id, name), []byte(`{"id":"`+id+`","state":"ok"}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 510 {
		put(now.Add(-time.Duration(i)*time.Hour).Format("20060102T150405Z") + "-0000")
	}
	put("20260101T000000Z-0000")
	put("20260101T000000Z-0001", "letter.txt")
	put(comingPrefix + "20261122T000000Z-0000")
	put(comingPrefix + "20261122T115900Z-0000") // may be on its way
	put("not-a-job")
	r := create(t, d, func() {}) // runs, and is the newest
	d.Prune(now)
	list, err := d.List()
	if err != nil || len(list) != 500 || list[0].ID != r.ID() {
		t.Errorf("%d are left, %v", len(list), err)
	}
	for path, want := range map[string]bool{"20260101T000000Z-0000": false, goingPrefix + "20260101T000000Z-0001/letter.txt": true, comingPrefix + "20261122T000000Z-0000": false,
		comingPrefix + "20261122T115900Z-0000": true, "not-a-job/" + statusFile: true} {
		if _, err := os.Lstat(filepath.Join(d.Path, path)); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	r.Discard()
}

// TestListOf500IsFast: a screen asks for it every second.
func TestListOf500IsFast(t *testing.T) {
	d := newDir(t)
	s := Status{Schema: 1, State: "ok", Order: json.RawMessage(`{}`), Facts: json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)}
	for i := range 500 {
		s.ID = fmt.Sprintf("20261122T000000Z-%04x", i)
		s.Started = time.Unix(int64(i), 0)
		src, _ := json.Marshal(s)
		if err := errors.Join(os.MkdirAll(d.path(s.ID), 0o700), os.WriteFile(d.path(s.ID, statusFile), src, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	best := time.Hour
	for range 5 {
		start := time.Now()
		list, err := d.List()
		if err != nil || len(list) != 500 || list[0].ID != s.ID {
			t.Fatalf("%d, %v", len(list), err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("%v", best)
	if best > 200*time.Millisecond {
		t.Errorf("500 jobs take %v", best)
	}
}

// TestFollow reads 100 000 lines, half a line that never becomes whole, and
// sees the runner die.
func TestFollow(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	const n = 100_000
	line := strings.Repeat("x", 120)
	for i := range n {
		r.Append(fmt.Appendf(nil, `{"n":%d,"x":"%s"}`, i, line))
	}
	got, start := 0, time.Now()
	done := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	ended, err := d.Follow(ctx, r.ID(), Reader{Line: func(l []byte) bool {
		var v struct{ N int }
		if err := json.Unmarshal(l, &v); err != nil || v.N != got {
			t.Errorf("line %d: %q, %v", got, l[:min(len(l), 30)], err)
		}
		if got++; got == n {
			stop(done)
		}
		return false
	}})
	if ended || !errors.Is(err, done) || got != n {
		t.Fatalf("%v, %v after %d lines", ended, err, got)
	}
	t.Logf("%d lines in %v", n, time.Since(start))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("%d lines took %v", n, took)
	}
	if _, err := r.journal.WriteString(`{"n":`); err != nil {
		t.Fatal(err)
	}
	r.ctl.close()
	r.lock.Close() // it dies in the middle of a line
	got = 0
	ended, err = d.Follow(t.Context(), r.ID(), Reader{Line: func([]byte) bool { got++; return false }})
	if ended || err != nil || got != n {
		t.Errorf("%v, %v after %d lines", ended, err, got)
	}
	got = 0
	if err := d.Replay(t.Context(), r.ID(), func([]byte) bool { got++; return false }); err != nil || got != n {
		t.Errorf("%d lines, %v", got, err)
	}
}

// TestFollowWhileItGrows sees lines and states as they come, a state never
// before the lines it counts, and the end.
func TestFollowWhileItGrows(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	lines, states := 0, 0
	ended, err := d.Follow(t.Context(), r.ID(), Reader{
		Line: func(l []byte) bool {
			if lines++; string(l) != fmt.Sprint(lines) {
				t.Errorf("line %d is %q", lines, l)
			}
			if lines == 4 {
				go r.End("ok", nil)
			}
			return lines == 4
		},
		Status: func(s Status) {
			states++
			var told int
			_ = json.Unmarshal(s.Facts, &told)
			if told != lines {
				t.Errorf("the state tells of %d lines, %d were given", told, lines)
			}
			r.Append([]byte(fmt.Sprint(lines + 1)))
			r.SetFacts(lines + 1)
		},
	})
	if !ended || err != nil || lines != 4 || states < 3 {
		t.Errorf("%v, %v: %d lines, %d states", ended, err, lines, states)
	}
	if s := read(t, d, r.ID()); s.State != "ok" { // who saw the end sees no running job
		t.Errorf("%+v", s)
	}
}
