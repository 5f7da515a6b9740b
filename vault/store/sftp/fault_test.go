package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// through opens a place on a server behind a proxy at addr.
func through(t *testing.T, srv *servers.SFTPServer, addr, path string) *SFTP {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	must(t, err)
	n, err := strconv.Atoi(port)
	must(t, err)
	known := string(mustRead(t, srv.KnownHosts)) + hostLine("", fmt.Sprintf("[%s]:%s", host, port), srv.HostKey(ssh.KeyAlgoED25519)) + "\n"
	must(t, os.WriteFile(srv.KnownHosts, []byte(known), 0o600))
	return openAt(t, srv, address.Address{Scheme: address.SFTP, User: srv.User, Host: host, Port: n, Path: path})
}

// TestCutAtManyPoints breaks the connection after so many bytes, in either
// direction, while an object is published: it is then there with its bytes or
// not there, no error is lost, and nothing stays behind but what is named.
func TestCutAtManyPoints(t *testing.T) {
	srv := openssh(t)
	proxy := storetest.NewCutProxy(t, srv.Addr())
	direct := at(t, srv)
	data := storetest.Bytes(1500_000, 1)
	s := through(t, srv, proxy.Addr, direct.addr.Path)
	cuts := 0
	try := func(t *testing.T, f storetest.CutFault) {
		name := fmt.Sprintf("main/%t%d/part", f.Up, f.After)
		fresh := openAt(t, srv, s.addr)
		proxy.Set(&f)
		err := put(t, fresh, name, data)
		cuts += proxy.Done()
		proxy.Set(nil)
		if err != nil && !errors.Is(err, errLost) && !strings.Contains(err.Error(), "whether it did is not known") {
			t.Errorf("cut after %d: %v", f.After, err)
		}
		there := storetest.Names(t, direct, fmt.Sprintf("main/%t%d/", f.Up, f.After))
		if (err == nil) != (len(there) == 1) {
			t.Fatalf("cut after %d: %v, and listed is %q", f.After, err, there)
		}
		if err == nil && !bytes.Equal(storetest.Get(t, direct, name), data) {
			t.Fatalf("cut after %d: other bytes", f.After)
		}
		must(t, fresh.Close())
	}
	// The login takes about 4 kB; then come the folders, the bytes, the sync,
	// reading back and the name.
	var points []int64
	for p := int64(100); p < 9_000; p += 890 {
		points = append(points, p)
	}
	for p := int64(20_000); p < 1_500_000; p += 390_000 {
		points = append(points, p)
	}
	for p := int64(1_501_000); p < 1_512_000; p += 710 {
		points = append(points, p)
	}
	for _, p := range points {
		try(t, storetest.CutFault{Up: true, After: p})
		try(t, storetest.CutFault{After: p})
	}
	if cuts < len(points) {
		t.Errorf("%d cuts at %d points", cuts, 2*len(points))
	}
	left, err := direct.Unfinished(t.Context())
	must(t, err)
	for _, u := range left { // a file whose making was cut off, or whose removal was
		must(t, direct.Discard(t.Context(), u))
	}
	t.Logf("%d cuts; %d temporary files had stayed", cuts, len(left))
}

// TestReadsOn: what is read over a connection that breaks again and again is
// whole; when it stays broken, that is an error and never an early end.
func TestReadsOn(t *testing.T) {
	srv := openssh(t)
	proxy := storetest.NewCutProxy(t, srv.Addr())
	direct := at(t, srv)
	data := storetest.Bytes(6<<20, 1)
	storetest.Put(t, direct, "main/x", data)
	s := through(t, srv, proxy.Addr, direct.addr.Path)
	proxy.Set(&storetest.CutFault{After: 1 << 20, Times: -1})
	if !bytes.Equal(storetest.Get(t, s, "main/x"), data) {
		t.Fatal("other bytes")
	}
	if proxy.Done() < 5 {
		t.Errorf("%d cuts", proxy.Done())
	}
	if got := storetest.Names(t, s, ""); len(got) != 1 {
		t.Errorf("listed: %q", got)
	}
	r := store.NewReaderAt(t.Context(), s, "main/x", int64(len(data)))
	defer r.Close()
	for off := 0; off < len(data); off += 600_000 {
		p := make([]byte, 500_000)
		if n, err := r.ReadAt(p, int64(off)); (err != nil && err != io.EOF) || !bytes.Equal(p[:n], data[off:min(off+len(p), len(data))]) {
			t.Fatalf("at %d: %d bytes, %v", off, n, err)
		}
	}
	proxy.Set(nil)
	body, err := s.Open(t.Context(), "main/x", 0, -1)
	must(t, err)
	defer body.Close()
	_, err = io.ReadFull(body, make([]byte, 1000))
	must(t, err)
	proxy.Set(&storetest.CutFault{After: 1000, Times: -1})
	proxy.CutNow()
	n, err := io.Copy(io.Discard, body)
	wantFault(t, err, fault.PlaceUnreachable, "main/x")
	if n >= int64(len(data))-1000 {
		t.Errorf("%d bytes came", n)
	}
}

// TestStall: a connection that gives nothing is left for another one.
func TestStall(t *testing.T) {
	srv := openssh(t)
	proxy := storetest.NewCutProxy(t, srv.Addr())
	direct := at(t, srv)
	data := storetest.Bytes(3<<20, 1)
	s := through(t, srv, proxy.Addr, direct.addr.Path)
	// A busy machine may well be silent for a second.
	s.time = timing{alive: 20 * time.Millisecond, silent: 3 * time.Second, answer: time.Minute, sync: time.Minute}
	for i, f := range []storetest.CutFault{{Stall: true, Up: true, After: 1 << 20}, {Stall: true, After: 1 << 20}} {
		fresh := openAt(t, srv, s.addr)
		fresh.time = s.time
		name := fmt.Sprint("main/x", i)
		proxy.Set(&f)
		must(t, put(t, fresh, name, data))
		if f.Up && proxy.Done() != 1 {
			t.Errorf("%d stalls", proxy.Done())
		}
		fresh = openAt(t, srv, s.addr)
		fresh.time = s.time
		proxy.Set(&storetest.CutFault{Stall: true, After: 1 << 20})
		if !bytes.Equal(storetest.Get(t, fresh, name), data) {
			t.Error("other bytes")
		}
		if proxy.Done() != 1 {
			t.Errorf("%d stalls", proxy.Done())
		}
		proxy.Set(nil)
	}
	noLeftovers(t, direct)
}

// TestServerThatDoesNotAnswer: the connection lives, one request hangs.
func TestServerThatDoesNotAnswer(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	s.time.answer = 300 * time.Millisecond
	s.retry.Attempts = 2
	storetest.Put(t, s, "main/x", nil)
	must(t, os.Remove(s.addr.Path+"/main/x"))
	must(t, unix.Mkfifo(s.addr.Path+"/main/x", 0o600)) // opening it would wait for a writer
	_, err := s.Open(t.Context(), "main/x", 0, -1)
	wantFault(t, err, fault.Refused, "no ordinary file")
	c, err := s.session(t.Context())
	must(t, err)
	_, err = c.open(t.Context(), c.at("main/x"), 0)
	if !errors.Is(err, errLost) || !strings.Contains(err.Error(), "not answered") {
		t.Errorf("%v", err)
	}
	storetest.Put(t, s, "main/y", nil) // over another connection
}

// TestServerKilledInMidUpload: it comes back and the upload goes on, or it
// stays away and that is an error; half an object is never to be seen.
func TestServerKilledInMidUpload(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	s.retry.Attempts, s.retry.Most = 40, 200*time.Millisecond
	data := storetest.Bytes(8<<20, 1)
	for at := 0; at <= len(data); at += 2 << 20 {
		name := fmt.Sprint("main/x", at)
		w, err := s.Create(t.Context(), name)
		must(t, err)
		_, err = w.Write(data[:at])
		must(t, err)
		srv.Kill()
		srv.Start()
		_, err = w.Write(data[at:])
		must(t, err)
		if got := storetest.Names(t, s, ""); len(got) != at>>21 {
			t.Errorf("listed: %q", got)
		}
		must(t, w.Commit(t.Context()))
		if !bytes.Equal(storetest.Get(t, s, name), data) {
			t.Fatal("other bytes")
		}
	}
	noLeftovers(t, s)
	s.retry.Attempts = 3
	w, err := s.Create(t.Context(), "main/never")
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	srv.Kill()
	wantFault(t, w.Commit(t.Context()), fault.PlaceUnreachable, "main/never", "refused")
	srv.Start()
	for _, u := range must2(s.Unfinished(t.Context()))(t) {
		must(t, s.Discard(t.Context(), u))
	}
}

func must2[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T { t.Helper(); must(t, err); return v }
}

// TestLostBytes: what the server acknowledged is gone after it was started
// again, as after a power cut; the object then gets no name.
func TestLostBytes(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	w, err := s.Create(t.Context(), "main/x")
	must(t, err)
	_, err = w.Write(storetest.Bytes(4<<20, 1))
	must(t, err)
	w.(*writer).busy.Wait()
	srv.Kill()
	must(t, os.Truncate(w.(*writer).file.path, 1<<20))
	srv.Start()
	_, err = w.Write(storetest.Bytes(4<<20, 2))
	must(t, err)
	wantFault(t, w.Commit(t.Context()), fault.Failed, "read back")
	if got := storetest.Names(t, s, ""); len(got) > 0 {
		t.Errorf("listed: %q", got)
	}
	noLeftovers(t, s)
}

// TestFullDisk, where this user may mount a small one: SFTP has no word for it; the error has, with numbers.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can mount one; TestQuota has the same answers
	}
	srv := openssh(t)
	s := at(t, srv)
	must(t, unix.Mount("tmpfs", s.addr.Path, "tmpfs", 0, "size=8m,mode=0700"))
	t.Cleanup(func() { must(t, unix.Unmount(s.addr.Path, unix.MNT_DETACH)) })
	noLeftovers(t, s)
	storetest.Put(t, s, "main/small", storetest.Bytes(1<<20, 1))
	wantFault(t, put(t, s, "main/large", storetest.Bytes(20<<20, 1)), fault.NoSpace, "no space is left", "bytes are free")
	if got := storetest.Names(t, s, ""); len(got) != 1 {
		t.Errorf("listed: %q", got)
	}
	free, total, err := s.Capacity(t.Context())
	if err != nil || total != 8<<20 || free < 6<<20 || free > 7<<20 {
		t.Errorf("%d of %d free, %v", free, total, err)
	}
	must(t, unix.Mount("tmpfs", s.addr.Path, "tmpfs", unix.MS_REMOUNT, "nr_inodes=6"))
	var full error
	for i := 0; full == nil && i < 10; i++ {
		full = put(t, s, fmt.Sprint("main/inode", i), nil)
	}
	wantFault(t, full, fault.NoSpace, "inodes")
	for _, n := range storetest.Names(t, s, "") {
		must(t, s.Remove(t.Context(), n))
	}
}

// TestForbidden: the server says no.
func TestForbidden(t *testing.T) {
	srv := openssh(t, "Subsystem sftp internal-sftp -P rename,hardlink")
	s := at(t, srv)
	wantFault(t, put(t, s, "main/x", nil), fault.Refused, "cannot keep a vault", "does not let this user rename")
	linkless := openssh(t, "Subsystem sftp internal-sftp -P rename")
	storetest.Put(t, at(t, linkless), "main/x", []byte("links are enough"))
	reading := openssh(t, "Subsystem sftp internal-sftp -R")
	s = at(t, reading)
	must(t, os.WriteFile(s.addr.Path+"/x", []byte("x"), 0o600))
	wantFault(t, put(t, s, "main/x", nil), fault.Refused, "ls -ld")
	wantFault(t, s.Remove(t.Context(), "x"), fault.Refused, "remove")
	if string(storetest.Get(t, s, "x")) != "x" {
		t.Error("a place for reading only cannot be read")
	}
	wantFault(t, func() error {
		_, err := at(t, openssh(t, "Subsystem sftp /bin/false")).List(t.Context(), "")
		return err
	}(), fault.PlaceUnreachable, "SFTP")
	wantFault(t, func() error {
		_, err := at(t, openssh(t, "Subsystem other /bin/false", "ForceCommand echo no")).List(t.Context(), "")
		return err
	}(), fault.PlaceUnreachable, "SFTP")
}
