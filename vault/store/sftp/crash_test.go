package sftp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/sftp/sshconf"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// child gives a command that runs this binary as the child named first.
func child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\x1f"))
	cmd.Stderr = os.Stderr
	return cmd
}

// childArgs tells a child how to reach a place.
func childArgs(srv *servers.SFTPServer, s *SFTP) []string {
	return []string{srv.Home, srv.User, srv.Host, strconv.Itoa(srv.Port), s.addr.Path}
}

// childPlace opens it there.
func childPlace(args []string) *SFTP {
	port, err := strconv.Atoi(args[3])
	if err != nil {
		panic(err)
	}
	getenv := func(string) string { return "" }
	s, err := open(address.Address{Scheme: address.SFTP, User: args[1], Host: args[2], Port: port, Path: args[4]}, address.Options{Getenv: getenv},
		&local{conf: sshconf.Source{User: filepath.Join(args[0], ".ssh", "config"), Home: args[0], Local: args[1]}, getenv: getenv})
	if err != nil {
		panic(err)
	}
	return s
}

// childStuck publishes one object, writes 3 MiB of another one, says so and
// waits to be killed.
func childStuck(args []string) {
	s := childPlace(args)
	for name, commit := range map[string]bool{"main/a": true, "main/b": false} {
		w, err := s.Create(context.Background(), name)
		if err == nil {
			_, err = w.Write(storetest.Bytes(3<<20, 1))
		}
		if err == nil && commit {
			err = w.Commit(context.Background())
		}
		if err != nil {
			panic(err)
		}
		if !commit {
			w.(*writer).busy.Wait()
		}
	}
	fmt.Println("stuck")
	select {}
}

// TestKilledInMidUpload: a process that was killed leaves one temporary file,
// which is never listed, is named, and goes away when it is discarded.
func TestKilledInMidUpload(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	cmd := child(t.Context(), append([]string{"stuck"}, childArgs(srv, s)...)...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "stuck\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // says that it was killed
	if got := storetest.Names(t, s, ""); len(got) != 1 || got[0] != "main/a" {
		t.Errorf("listed: %q", got)
	}
	if !bytes.Equal(storetest.Get(t, s, "main/a"), storetest.Bytes(3<<20, 1)) {
		t.Error("what was published has other bytes")
	}
	left, err := s.Unfinished(t.Context())
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].ID, "main/"+store.TempPrefix) || left[0].Size < 2<<20 || left[0].Started.IsZero() {
		t.Fatalf("unfinished: %+v, %v", left, err)
	}
	for _, u := range []store.Upload{{ID: "main/a"}, {ID: ""}, {ID: "../x/.partial-x"}, {ID: "main/.partial-x/y"}, {ID: "/etc/.partial-x"}} {
		if err := s.Discard(t.Context(), u); err == nil {
			t.Errorf("discarding %q is accepted", u.ID)
		}
	}
	must(t, s.Discard(t.Context(), left[0]))
	noLeftovers(t, s)
	storetest.Put(t, s, "main/b", []byte("b"))
}

// TestTwoHosts: two connections create the same names, 20 rounds.
func TestTwoHosts(t *testing.T) {
	srv := openssh(t)
	one := at(t, srv)
	hosts := []*SFTP{one, openAt(t, srv, one.addr), openAt(t, srv, one.addr)}
	for round := range 20 {
		name := fmt.Sprintf("main/seq/%d", round)
		results := make(chan error, len(hosts))
		for i, h := range hosts {
			w, err := h.Create(t.Context(), name)
			must(t, err)
			_, err = w.Write(storetest.Bytes(50_000, uint64(i)))
			must(t, err)
			go func() { results <- w.Commit(t.Context()) }()
		}
		won := 0
		for range hosts {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrExist):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d won", round, won)
		}
	}
	noLeftovers(t, one)
}

// childBig writes 2 GiB, reads them, and says the most memory that it had.
func childBig(args []string) {
	s := childPlace(args)
	w, err := s.Create(context.Background(), "main/big")
	if err != nil {
		panic(err)
	}
	block := storetest.Bytes(1<<20, 1)
	for range 2 << 10 {
		if _, err := w.Write(block); err != nil {
			panic(err)
		}
	}
	if err := w.Commit(context.Background()); err != nil {
		panic(err)
	}
	r, err := s.Open(context.Background(), "main/big", 0, -1)
	if err != nil {
		panic(err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != 2<<30 {
		panic(fmt.Sprint(n, err))
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Println(strings.Fields(line)[1])
		}
	}
	os.Exit(0)
}

func TestMemoryStaysFlat(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	out, err := child(t.Context(), append([]string{"two gigabytes"}, childArgs(srv, s)...)...).Output()
	must(t, err)
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	must(t, err)
	t.Logf("2 GiB there and back took %d MiB", kib>>10)
	if kib > 128<<10 {
		t.Errorf("%d KiB of memory", kib)
	}
	must(t, s.Remove(t.Context(), "main/big"))
}
