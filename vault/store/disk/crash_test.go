package disk

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgvault/vault/store/storetest"
)

// TestKill kills a writing process at many points: after n lines of what it
// says, and some microseconds later. What is listed afterwards must be whole,
// what was acknowledged must be there, and the next run must succeed.
func TestKill(t *testing.T) {
	for mode := range modes {
		t.Run(mode, func(t *testing.T) {
			d := newDisk(t)
			modes[mode](d)
			for i := range 24 {
				// 1, 2, 3 … lines; every other time wait for a Commit to be
				// under way and hit it a little later.
				atCommit := i%2 == 1
				acked := killed(t, d, mode, 1+i*3, atCommit, time.Duration(i)*53*time.Microsecond)
				checkAfterKill(t, d, acked)
			}
		})
	}
}

// killed runs the writer, kills it and gives the numbers of the objects that
// it said to be committed.
func killed(t *testing.T, d *Disk, mode string, lines int, atCommit bool, later time.Duration) (acked []int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := child(ctx, "writer", d.path, mode)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewScanner(out)
	for n := 1; read.Scan(); n++ {
		line := read.Text()
		if id, err := strconv.Atoi(line); err == nil {
			acked = append(acked, id)
		}
		if n >= lines && (!atCommit || line == "c") {
			for start := time.Now(); time.Since(start) < later; { // shorter than a sleep can be
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			lines = 1 << 30
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the writer was not killed: %v", err)
	}
	return acked
}

func checkAfterKill(t *testing.T, d *Disk, acked []int) {
	t.Helper()
	listed := map[string]bool{}
	for _, name := range storetest.Names(t, d, "") {
		listed[name] = true
		var i int
		if _, err := fmt.Sscanf(name, "main/db/%d/part", &i); err != nil {
			t.Fatalf("%q is listed", name)
		}
		if !bytes.Equal(storetest.Get(t, d, name), storetest.Bytes(sizes[i%len(sizes)], uint64(i))) {
			t.Fatalf("%s is listed and not whole", name)
		}
	}
	for _, i := range acked {
		if !listed[fmt.Sprintf("main/db/%d/part", i)] {
			t.Fatalf("object %d was committed and is not there", i)
		}
	}
	left, err := d.Leftovers(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !d.noTmpfile && len(left) > 0 {
		t.Fatalf("unnamed files left %v", left)
	}
	for _, l := range left {
		dir, base := split(l.Name)
		if !strings.HasPrefix(base, ".partial-") {
			t.Fatalf("a leftover named %q", l.Name)
		}
		if err := d.root.Remove(dir + "/" + base); err != nil {
			t.Fatal(err)
		}
	}
	next := fmt.Sprintf("main/db/%d/part", len(listed))
	if listed[next] {
		t.Fatalf("%s is listed, one before it is not", next)
	}
	storetest.Put(t, d, next, storetest.Bytes(sizes[len(listed)%len(sizes)], uint64(len(listed))))
	for name := range listed {
		if err := d.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Remove(t.Context(), next); err != nil {
		t.Fatal(err)
	}
}

// TestKillMidWrite pins what a kill in the middle of an object leaves: an
// unnamed file nothing, the fallbacks one file that Leftovers names.
func TestKillMidWrite(t *testing.T) {
	for mode, set := range modes {
		d := newDisk(t)
		set(d)
		cmd := child(t.Context(), "stuck", d.path, mode)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "stuck\n" {
			t.Fatalf("the child says %q, %v", line, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed
		if got := storetest.Names(t, d, ""); len(got) > 0 {
			t.Errorf("%s: listed %q", mode, got)
		}
		want := 0
		if d.noTmpfile {
			want = 1
		}
		left, err := d.Leftovers(t.Context(), "main/")
		if err != nil || len(left) != want {
			t.Fatalf("%s: Leftovers = %v, %v; want %d", mode, left, err, want)
		}
		for _, l := range left {
			if !strings.HasPrefix(l.Name, "main/db/a/.partial-") || l.Size != 3<<20 {
				t.Errorf("%s: a leftover %+v", mode, l)
			}
		}
		storetest.Put(t, d, "main/db/a/part", nil)
	}
}
