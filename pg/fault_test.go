package pg_test

import (
	"context"
	"errors"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// big has more bytes than the pipes and sockets between the server and the
// reader hold: pg_dump cannot end before the reader goes on.
var big = []string{"CREATE TABLE big (i int, s text)", "INSERT INTO big SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i"}

// stalledDump starts a dump and reads its first bytes of rows.
func stalledDump(t *testing.T, ctx context.Context, s pg.Settings, database string) *pg.Dump {
	t.Helper()
	d, err := pg.StartDump(ctx, s, programs(t), pg.DumpOptions{Database: database}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(d, make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	return d
}

// end reads the rest; a dump that was ended has an end like any other.
func end(t *testing.T, d *pg.Dump) error {
	t.Helper()
	if _, err := io.Copy(io.Discard, d); err != nil {
		t.Errorf("Read ends with %v", err)
	}
	return d.Wait()
}

func wantFault(t *testing.T, err error, code fault.Code, texts ...string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("no fault.Error: %v", err)
	}
	if fault.CodeOf(err) != code {
		t.Errorf("code %d, want %d: %v", fault.CodeOf(err), code, err)
	}
	all := f.What + "\n" + f.Why + "\n" + f.Do
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q is not in:\n%s", text, all)
		}
	}
	if f.Left == "" || f.Do == "" {
		t.Errorf("four lines wanted: %+v", f)
	}
}

func TestDumpKilled(t *testing.T) {
	newDatabase(t, "src", big...)
	d := stalledDump(t, t.Context(), settings(), "src")
	if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantFault(t, end(t, d), fault.Failed, "killed", "before the dump was whole")
}

func TestDumpCancelled(t *testing.T) {
	newDatabase(t, "src", big...)
	ctx, cancel := context.WithCancel(t.Context())
	d := stalledDump(t, ctx, settings(), "src")
	cancel()
	if err := d.Wait(); !errors.Is(err, context.Canceled) || fault.CodeOf(err) != fault.Cancelled {
		t.Errorf("Wait: %v", err)
	}
	if err := syscall.Kill(d.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("pg_dump is still there: %v", err)
	}
}

func TestDumpKill(t *testing.T) {
	newDatabase(t, "src", big...)
	d := stalledDump(t, t.Context(), settings(), "src")
	d.Kill()
	wantFault(t, d.Wait(), fault.Failed, "killed")
}

func TestDumpBackendTerminated(t *testing.T) {
	newDatabase(t, "src", big...)
	d := stalledDump(t, t.Context(), settings(), "src")
	var ended int
	err := connectTo(t, "").QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = 'src' AND query LIKE 'COPY%'`).Scan(&ended)
	if err != nil || ended != 1 {
		t.Fatal(ended, err)
	}
	// Whether the server's last words arrive is a matter of luck: it waits for
	// nobody to read what it sent before.
	wantFault(t, end(t, d), fault.DBUnreachable, "log; then run this again")
}

func TestServerStopsDuringDump(t *testing.T) {
	for _, how := range []string{"fast", "immediate"} {
		t.Run(how, func(t *testing.T) {
			own, err := pgtest.Start(t.Context(), pgtest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer own.Stop()
			conn, err := own.Settings().Connect(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range append([]string{"SET search_path = public"}, big...) {
				exec(t, conn, q)
			}
			conn.Close(t.Context())
			snap, err := pg.OpenSnapshot(t.Context(), own.Settings(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer snap.Close(t.Context())
			d := stalledDump(t, t.Context(), own.Settings(), "postgres")
			if how == "fast" {
				own.StopFast()
			} else {
				own.StopImmediate()
			}
			if err := own.StartAgain(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantFault(t, end(t, d), fault.DBUnreachable)
			wantFault2 := snap.Alive(t.Context())
			if fault.CodeOf(wantFault2) != fault.DBUnreachable {
				t.Errorf("the snapshot's session: %v", wantFault2)
			}
		})
	}
}

func TestDumpWaitsForLockOnlySoLong(t *testing.T) {
	newDatabase(t, "src", "CREATE TABLE free (i int)", "CREATE TABLE busy (i int)")
	conn := connectTo(t, "src")
	exec(t, conn, "SET application_name = 'the migration'")
	exec(t, conn, "BEGIN")
	exec(t, conn, "LOCK TABLE public.busy")
	// The catalog must not wait for the same lock.
	if c := catalogOf(t, settings(), "src"); len(c.Tables) != 2 {
		t.Errorf("tables: %+v", c.Tables)
	}
	start := time.Now()
	_, err := dump(t, settings(), pg.DumpOptions{Database: "src", LockWait: 200 * time.Millisecond})
	wantFault(t, err, fault.Failed, "public.busy", "200ms", "the migration", "of postgres", "pg_terminate_backend")
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	exec(t, conn, "COMMIT")
	if _, err := dump(t, settings(), pg.DumpOptions{Database: "src", LockWait: 200 * time.Millisecond}); err != nil {
		t.Error(err)
	}
}

func TestDumpWithSnapshotThatIsGone(t *testing.T) {
	newDatabase(t, "src")
	snap, err := pg.OpenSnapshot(t.Context(), settings(), "src")
	if err != nil {
		t.Fatal(err)
	}
	snap.Close(t.Context())
	_, err = dump(t, settings(), pg.DumpOptions{Database: "src", Snapshot: snap.ID})
	wantFault(t, err, fault.Failed, "snapshot")
}

// TestParentKilled runs this test's binary as a pgvault that dumps and is
// killed: neither pg_dump nor the private server may outlive it.
func TestParentKilled(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		var err error // the server's user must be able to enter
		if dir, err = os.MkdirTemp("", "pgv"); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PGVAULT_TEST_ROLE=dumper", "PGVAULT_TEST_DIR="+filepath.Join(dir, "c"))
	cmd.Stderr, cmd.Stdout = os.Stderr, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	buf := make([]byte, 100)
	n, err := r.Read(buf)
	if err != nil {
		t.Fatal(err, cmd.Wait())
	}
	var fds []int
	for _, f := range strings.Fields(string(buf[:n])) {
		pid, err := strconv.Atoi(f)
		if err != nil || pid <= 1 {
			t.Fatalf("it said %q", buf[:n])
		}
		fd, err := pidfdOpen(pid)
		if err != nil {
			t.Fatalf("process %d does not run before the kill: %v", pid, err)
		}
		fds = append(fds, fd)
	}
	if len(fds) != 2 {
		t.Fatalf("it said %q", buf[:n])
	}
	cmd.Process.Kill()
	cmd.Wait()
	for i, name := range []string{"pg_dump", "postgres"} {
		if !endsWithin(fds[i], 10*time.Second) {
			t.Errorf("%s lives on", name)
		}
		syscall.Close(fds[i])
	}
}

// runRole is the child of TestParentKilled: it never ends by itself.
func runRole(string) int {
	ctx := context.Background()
	c, err := pgtest.Start(ctx, pgtest.Options{Dir: os.Getenv("PGVAULT_TEST_DIR")})
	if err != nil {
		println(err.Error())
		return 1
	}
	conn, err := c.Settings().Connect(ctx, "")
	if err != nil {
		println(err.Error())
		return 1
	}
	for _, q := range append([]string{"SET search_path = public"}, big...) {
		if _, err := conn.Exec(ctx, q); err != nil {
			println(err.Error())
			return 1
		}
	}
	all, _, _ := pg.FindPrograms(ctx, c.BinDir)
	d, err := pg.StartDump(ctx, c.Settings(), all[0], pg.DumpOptions{Database: "postgres"}, nil)
	if err == nil {
		_, err = io.ReadFull(d, make([]byte, 1<<20))
	}
	if err != nil {
		println(err.Error())
		return 1
	}
	os.Stdout.WriteString(strconv.Itoa(d.Pid()) + " " + strconv.Itoa(c.Pid()) + "\n")
	select {}
}
