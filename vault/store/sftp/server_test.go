package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

// wantFault checks that an error has its four lines, a code, and words.
func wantFault(t *testing.T, err error, code fault.Code, words ...string) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("%v (%T), want a fault with %q", err, err, words)
	}
	text := strings.Join([]string{f.What, f.Why, f.Left, f.Do}, "\n")
	if f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" || fault.CodeOf(err) != code {
		t.Errorf("code %d, want %d, of\n%s", fault.CodeOf(err), code, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\a\r\x00") {
		t.Errorf("a terminal would obey %q", text)
	}
	return f
}

// put publishes and gives the error.
func put(t *testing.T, s store.Store, name string, data []byte) error {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit(t.Context())
}

func TestServerWhoseRenameReplacesIsRefused(t *testing.T) {
	srv := tiny{replaces: true}
	srv.begin(t)
	dir := newFolder(t)
	s := srv.place(t, dir)
	wantFault(t, put(t, s, "main/x", []byte("x")), fault.Refused, "it replaces a file whose name is taken", "hard links")
	_, err := s.Promises(t.Context())
	wantFault(t, err, fault.Refused)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("trying it out left %v, %v", left, err)
	}
}

func TestPromises(t *testing.T) {
	var srv tiny
	srv.begin(t)
	p, err := srv.place(t, newFolder(t)).Promises(t.Context())
	if err != nil || !strings.HasPrefix(p.NoOverwrite, "rename") || !strings.HasPrefix(p.Durable, "unknown") {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = at(t, openssh(t)).Promises(t.Context())
	if err != nil || !strings.Contains(p.NoOverwrite, "hard link") || !strings.HasPrefix(p.Durable, "fsync") || !strings.Contains(p.Compared, "SHA-256") {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestUnlikeBytesGetNoName: what comes back is not what was sent.
func TestUnlikeBytesGetNoName(t *testing.T) {
	srv := tiny{flip: true}
	srv.begin(t)
	s := srv.place(t, newFolder(t))
	wantFault(t, put(t, s, "main/x", storetest.Bytes(100_000, 1)), fault.Failed, "read back")
	if got := storetest.Names(t, s, ""); len(got) > 0 {
		t.Errorf("listed: %q", got)
	}
	noLeftovers(t, s)
}

// TestQuota: the server says that it failed, and what a terminal would obey.
func TestQuota(t *testing.T) {
	srv := tiny{quota: 1 << 20}
	srv.begin(t)
	s := srv.place(t, newFolder(t))
	noLeftovers(t, s)
	f := wantFault(t, put(t, s, "main/x", storetest.Bytes(3<<20, 1)), fault.PlaceUnreachable, "owned", "quota")
	if len(f.Why) > 2000 {
		t.Errorf("%d bytes of why", len(f.Why))
	}
	if got := storetest.Names(t, s, ""); len(got) > 0 {
		t.Errorf("listed: %q", got)
	}
}

func TestBannerAndDenial(t *testing.T) {
	srv := tiny{deny: true, banner: "\x1b]0;owned\a\x1b[2Jcall\r\nthe admin " + strings.Repeat("long ", 1000)}
	srv.begin(t)
	_, err := srv.place(t, newFolder(t)).Free(t.Context())
	f := wantFault(t, err, fault.PlaceUnreachable, "does not let somebody in", "id_ed25519", "owned", "call", "authorized_keys")
	if len(f.Why) > 2000 {
		t.Errorf("%d bytes of why", len(f.Why))
	}
}

func TestFolderThatIsNoPlace(t *testing.T) {
	srv := openssh(t)
	for name, make := range map[string]func(dir string) error{
		"it does not exist there":              func(string) error { return nil },
		"it is no folder":                      func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"other users of that server can write": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) },
		"can write to it (mode 0770)":          func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) },
	} {
		s := at(t, srv)
		must(t, os.Remove(s.addr.Path))
		must(t, make(s.addr.Path))
		_, err := s.List(t.Context(), "")
		code := fault.PlaceUnreachable
		if strings.Contains(name, "write") {
			code = fault.Refused
		}
		wantFault(t, err, code, name, s.addr.Path)
	}
}

func TestInit(t *testing.T) {
	s := at(t, openssh(t))
	must(t, os.Remove(s.addr.Path))
	for range 2 { // the second finds it
		must(t, s.Init(t.Context()))
		if fi, err := os.Stat(s.addr.Path); err != nil || fi.Mode().Perm() != 0o700 {
			t.Fatalf("%v, %v", fi, err)
		}
	}
	storetest.Put(t, s, "main/x", []byte("x"))
	must(t, s.Init(t.Context()))
	storetest.Get(t, s, "main/x")
}

// TestModes: nobody else reads what is made, under any umask of the server.
func TestModes(t *testing.T) {
	s := at(t, openssh(t, "Subsystem sftp internal-sftp -u 0"))
	storetest.Put(t, s, "main/db/x", []byte("x"))
	for name, want := range map[string]os.FileMode{"main": 0o700, "main/db": 0o700, "main/db/x": 0o600} {
		if fi, err := os.Stat(filepath.Join(s.addr.Path, name)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

// TestLinks: a symbolic link below the place is neither followed nor listed
// nor removed.
func TestLinks(t *testing.T) {
	s := at(t, openssh(t))
	outside := t.TempDir()
	must(t, os.WriteFile(outside+"/secret", []byte("secret"), 0o600))
	storetest.Put(t, s, "main/x", []byte("x"))
	must(t, os.Symlink(outside, s.addr.Path+"/main/folder"))
	must(t, os.Symlink(outside+"/secret", s.addr.Path+"/main/file"))
	if got := storetest.Names(t, s, ""); len(got) != 1 {
		t.Errorf("listed: %q", got)
	}
	for what, err := range map[string]error{
		"read":         readErr(t, s, "main/file"),
		"read below":   readErr(t, s, "main/folder/secret"),
		"write below":  put(t, s, "main/folder/y", []byte("y")),
		"remove":       s.Remove(t.Context(), "main/file"),
		"remove below": s.Remove(t.Context(), "main/folder/secret"),
	} {
		if f := wantFault(t, err, fault.Refused, "symbolic link"); f == nil {
			t.Error(what)
		}
	}
	if _, err := s.List(t.Context(), "main/folder/"); err == nil {
		t.Error("a link is listed as a folder")
	}
	if err := put(t, s, "main/file", []byte("y")); !errors.Is(err, store.ErrExist) {
		t.Errorf("over a link: %v", err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func readErr(t *testing.T, s store.Store, name string) error {
	t.Helper()
	r, err := s.Open(t.Context(), name, 0, -1)
	if err == nil {
		_ = r.Close()
	}
	return err
}

func TestServerTime(t *testing.T) {
	s := at(t, openssh(t))
	noLeftovers(t, s)
	now, err := s.ServerTime(t.Context())
	if err != nil || now.IsZero() {
		t.Errorf("%v, %v", now, err)
	}
}

// TestReadFolder reads small objects together; what is not as it was listed
// is left out.
func TestReadFolder(t *testing.T) {
	s := at(t, openssh(t))
	var want []store.Info
	for i := range 40 {
		name := fmt.Sprintf("%d.json", i)
		storetest.Put(t, s, "main/db/"+name, storetest.Bytes(i*20_000, uint64(i)))
		want = append(want, store.Info{Name: name, Size: int64(i * 20_000)})
	}
	must(t, os.Symlink("1.json", s.addr.Path+"/main/db/link"))
	odd := []store.Info{{Name: "missing", Size: 1}, {Name: "../x", Size: 1}, {Name: "link", Size: 20_000}, {Name: "1.json", Size: 19_999}, {Name: "2.json", Size: 40_001}}
	got, err := s.ReadFolder(t.Context(), "main/db/", append(odd, want[3:]...))
	must(t, err)
	if len(got) != len(want)-3 {
		t.Errorf("%d objects", len(got))
	}
	for name, data := range got {
		var i int
		_, err := fmt.Sscanf(name, "%d.json", &i)
		if err != nil || !bytes.Equal(data, storetest.Bytes(i*20_000, uint64(i))) {
			t.Errorf("%s came back changed", name)
		}
	}
	if got, err := s.ReadFolder(t.Context(), "main/none/", want); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ReadFolder(ctx, "main/db/", want); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestClose: calls after it fail at once, and what was open, too.
func TestClose(t *testing.T) {
	s := at(t, openssh(t))
	storetest.Put(t, s, "x", storetest.Bytes(8<<20, 1))
	r, err := s.Open(t.Context(), "x", 0, -1)
	must(t, err)
	defer r.Close()
	w, err := s.Create(t.Context(), "y")
	must(t, err)
	must(t, s.Close())
	_, err = s.List(t.Context(), "")
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("List: %v", err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Commit: %v", err)
	}
}
