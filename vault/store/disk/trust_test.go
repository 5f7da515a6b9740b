package disk

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"file:/backup": "/backup", "file:///backup/x/": "/backup/x", "file://localhost/b": "/b", "FILE:/b": "/b",
		"/backup": "/backup", "file:/a%20b%3Fc": "/a b?c", "/a%20b": "/a%20b", "/a:b": "/a:b", "file:/a/../b": "/b",
	} {
		if got, err := Path(in); err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "file:", "file:backup", "file://nas/backup", "s3://bucket/x", "sftp://u:hunter2@nas/pg", "file:/a?b=c", "file:/a#b",
		"file:/a%00b", "/a\x00b", "file:/%zz", "file://u:hunter2@localhost/x",
	} {
		_, err := Path(in)
		wantCode(t, err, fault.Usage)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Path(%q) tells a password: %v", in, err)
		}
	}
	d := newDisk(t)
	again, err := Open(d.String())
	if err != nil || again.path != d.path {
		t.Fatalf("Open(String()) = %v, %v", again, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir + "/missing")
	wantCode(t, err, fault.PlaceUnreachable)
	if do := fault.As(cmpErr(err)).Do; !strings.Contains(do, "mkdir -m 0700 "+dir+"/missing") || !strings.Contains(do, "pgvault init --place file:"+dir) {
		t.Errorf("what to do about a missing folder: %s", do)
	}
	for _, p := range []string{dir + "/file", dir + "/file/below"} {
		_, err = Open(p)
		wantCode(t, err, fault.PlaceUnreachable)
		_, err = Init(p)
		wantCode(t, err, fault.PlaceUnreachable)
	}
	for _, mode := range []os.FileMode{0o777, 0o770, 0o702, 0o720} {
		if err := os.Mkdir(dir+"/open", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir+"/open", mode); err != nil {
			t.Fatal(err)
		}
		_, err = Open(dir + "/open")
		wantCode(t, err, fault.Refused)
		_, err = Init(dir + "/open")
		wantCode(t, err, fault.Refused)
		if err := os.Remove(dir + "/open"); err != nil {
			t.Fatal(err)
		}
	}
	foreign := "/" // belongs to root, so to somebody else for all others
	if os.Geteuid() == 0 {
		foreign = dir + "/foreign"
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	_, err = Open(foreign)
	wantCode(t, err, fault.Refused)
	if why := fault.As(cmpErr(err)).Why; !strings.Contains(why, "belongs to") {
		t.Errorf("why a foreign folder is refused: %s", why)
	}
}

func TestInit(t *testing.T) {
	base := t.TempDir()
	for range 2 { // the second time it is there
		d, err := Init("file:" + base + "/a/b/c")
		if err != nil {
			t.Fatal(err)
		}
		storetest.Names(t, d, "")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base+"/a/b/c", 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Init(base + "/a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if fi, err := os.Stat(base + "/a/b/c"); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("Init changed the mode of a folder that was there: %v %v", fi.Mode(), err)
	}
}

// TestSymlinks plants links at every level, inside and out of the place.
func TestSymlinks(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/part", []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDisk(t)
	storetest.Put(t, d, "main/db/a/part", []byte("inside"))
	storetest.Put(t, d, "main/db/b/part", []byte("inside"))
	for link, to := range map[string]string{
		"main/db/a/out": outside + "/part", "main/db/a/in": "part", "main/db/a/up": "../b/part", "main/db/a/gone": "nowhere",
		"main/db/outdir": outside, "main/db/indir": "a", "other": "main",
	} {
		if err := os.Symlink(to, d.path+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"main/db/a/out", "main/db/a/in", "main/db/a/up", "main/db/a/gone",
		"main/db/outdir/part", "main/db/indir/part", "other/db/a/part",
	} {
		_, err := d.Open(t.Context(), name, 0, -1)
		wantCode(t, err, fault.Refused)
		_, err = d.OpenAt(t.Context(), name)
		wantCode(t, err, fault.Refused)
		_, err = d.Stat(t.Context(), name)
		wantCode(t, err, fault.Refused)
		wantCode(t, d.Remove(t.Context(), name), fault.Refused)
	}
	for _, name := range []string{"main/db/outdir/new", "main/db/indir/new", "other/db/a/new"} {
		_, err := d.Create(t.Context(), name)
		wantCode(t, err, fault.Refused)
	}
	_, err := d.List(t.Context(), "other/")
	wantCode(t, err, fault.Refused)
	for _, name := range []string{"main/db/a/out", "main/db/a/gone"} { // a link takes the name
		w, err := d.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context()); err == nil {
			t.Errorf("Commit replaced the link %s", name)
		}
	}
	if got := storetest.Names(t, d, ""); len(got) != 2 || got[0] != "main/db/a/part" || got[1] != "main/db/b/part" {
		t.Errorf("listed: %q", got)
	}
	if b, err := os.ReadFile(outside + "/part"); string(b) != "outside" || err != nil {
		t.Errorf("outside the place: %q %v", b, err)
	}
	if e, err := os.ReadDir(outside); len(e) != 1 || err != nil {
		t.Errorf("outside the place: %v %v", e, err)
	}
}

// TestOtherFiles has a pipe where an object should be: it must not be waited on.
func TestOtherFiles(t *testing.T) {
	d := newDisk(t)
	storetest.Put(t, d, "main/x", nil)
	if err := syscall.Mkfifo(d.path+"/main/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.path+"/main/bad\nname", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.path+"/lost+found", 0o000); err != nil {
		t.Fatal(err)
	}
	_, err := d.Open(t.Context(), "main/pipe", 0, -1)
	wantCode(t, err, fault.Refused)
	_, err = d.Stat(t.Context(), "main/pipe")
	wantCode(t, err, fault.Refused)
	wantCode(t, d.Remove(t.Context(), "main/pipe"), fault.Refused)
	_, err = d.Create(t.Context(), "main/pipe/x")
	wantCode(t, err, fault.Failed)
	if got := storetest.Names(t, d, ""); len(got) != 1 || got[0] != "main/x" {
		t.Errorf("listed: %q", got)
	}
}

// TestFoldersOfOthers refuses to write below a folder that others can change.
func TestFoldersOfOthers(t *testing.T) {
	d := newDisk(t)
	storetest.Put(t, d, "main/db/x", nil)
	if err := os.Chmod(d.path+"/main/db", 0o770); err != nil {
		t.Fatal(err)
	}
	_, err := d.Create(t.Context(), "main/db/y")
	wantCode(t, err, fault.Refused)
	storetest.Get(t, d, "main/db/x") // reading is allowed
}

// TestEmptyFolderGoes: the last object takes its folder with it, no more.
func TestEmptyFolderGoes(t *testing.T) {
	d := newDisk(t)
	for _, n := range []string{"main/db/a/1", "main/db/a/2"} {
		storetest.Put(t, d, n, nil)
	}
	for i, n := range []string{"main/db/a/1", "main/db/a/2"} {
		if err := d.Remove(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(d.path + "/main/db/a"); (err == nil) != (i == 0) {
			t.Errorf("after %d removals: %v", i+1, err)
		}
	}
	if _, err := os.Stat(d.path + "/main/db"); err != nil {
		t.Error(err)
	}
}

// TestClosedPlace: a reader and a writer outlive the handle on the place.
func TestClosedPlace(t *testing.T) {
	d, err := Init(t.TempDir() + "/p")
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Create(t.Context(), "main/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "main/x"); err == nil {
		t.Error("Stat after Close succeeds")
	}
}

var _ store.RandomAccess = (*Disk)(nil)
