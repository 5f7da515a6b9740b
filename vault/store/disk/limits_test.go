package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

// fillUp writes an object larger than fits and gives what is wrong about how
// that ends, "" for nothing.
func fillUp(d *Disk, size int) string {
	ctx := context.Background()
	small, err := d.Create(ctx, "main/small")
	if err == nil {
		_, err = small.Write([]byte("before"))
		err = errors.Join(err, small.Commit(ctx))
	}
	if err != nil {
		return fmt.Sprintf("a small object: %v", err)
	}
	w, err := d.Create(ctx, "main/db/a/part")
	if err != nil {
		return err.Error()
	}
	for sent := 0; sent < size && err == nil; sent += 64 << 10 {
		_, err = w.Write(storetest.Bytes(64<<10, uint64(sent)))
	}
	if cerr := w.Commit(ctx); err == nil {
		err = cerr
	} else if cerr == nil {
		return "Commit succeeds after a failed Write"
	}
	f := fault.As(err)
	text := f.What + f.Why
	switch {
	case fault.CodeOf(err) != fault.NoSpace:
		return fmt.Sprintf("exit code %d of %v", fault.CodeOf(err), err)
	case !strings.Contains(text, d.path+"/main/db/a/part") || !strings.Contains(text, "bytes were written"):
		return "the path or the bytes are not in: " + text
	case f.Left == "" || f.Do == "":
		return "the four lines are not complete"
	}
	if err := w.Abort(); err != nil {
		return err.Error()
	}
	list, err := d.List(ctx, "")
	left, lerr := d.Leftovers(ctx, "")
	if err != nil || lerr != nil || len(list) != 1 || len(left) != 0 {
		return fmt.Sprintf("afterwards: %v %v, left %v %v", list, err, left, lerr)
	}
	data, err := store.ReadAll(ctx, d, "main/small", 100)
	if string(data) != "before" || err != nil {
		return fmt.Sprintf("the object from before is %q, %v", data, err)
	}
	return ""
}

// TestNoSpace fills a disk of 8 MiB where this user may mount one, and in
// any case runs into the limit of a file's size, which ends the same way.
func TestNoSpace(t *testing.T) {
	for mode := range modes {
		d := newDisk(t)
		out, err := child(t.Context(), "limited", d.path).Output()
		if err != nil || len(out) > 0 {
			t.Errorf("limited file size: %s %v", out, err)
		}
		if os.Geteuid() != 0 {
			continue
		}
		tiny := mountTiny(t, "size=8m")
		modes[mode](tiny)
		if wrong := fillUp(tiny, 12<<20); wrong != "" {
			t.Errorf("%s: %s", mode, wrong)
		}
		if free, err := tiny.Free(t.Context()); err != nil || free < 7<<20 {
			t.Errorf("%s: afterwards %d bytes are free (%v)", mode, free, err)
		}
	}
}

func mountTiny(t *testing.T, options string) *Disk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, options+",mode=0700"); err != nil {
		t.Fatalf("root cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestMountTroubles needs mounts; for others than root the same codes are
// checked on a folder without the right to write.
func TestMountTroubles(t *testing.T) {
	if os.Geteuid() != 0 {
		d := newDisk(t)
		if err := os.Chmod(d.path, 0o500); err != nil {
			t.Fatal(err)
		}
		_, err := d.Create(t.Context(), "main/x")
		wantCode(t, err, fault.PlaceUnreachable)
		return
	}
	d := mountTiny(t, "nr_inodes=8")
	var err error
	for i := 0; err == nil && i < 20; i++ {
		_, err = d.Create(t.Context(), fmt.Sprintf("main/%d/x", i))
	}
	wantCode(t, err, fault.NoSpace)
	if !strings.Contains(fault.As(err).Why, "inodes") {
		t.Errorf("the lack of inodes is told as: %v", err)
	}

	d = mountTiny(t, "size=8m")
	storetest.Put(t, d, "main/x", []byte("x"))
	if err := syscall.Mount("none", d.path, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = d.Create(t.Context(), "main/y")
	wantCode(t, err, fault.PlaceUnreachable)
	wantCode(t, d.Remove(t.Context(), "main/x"), fault.PlaceUnreachable)
	if got := string(storetest.Get(t, d, "main/x")); got != "x" {
		t.Errorf("read-only, the object is %q", got)
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	f := fault.As(cmpErr(err))
	if f.Code != code || f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" {
		t.Errorf("code %d, want %d: %+v", f.Code, code, f)
	}
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// TestNoHandles runs out of file descriptors.
func TestNoHandles(t *testing.T) {
	d := newDisk(t)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = 40
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var err error
	var open []store.Writer
	for i := 0; err == nil && i < 40; i++ {
		var w store.Writer
		if w, err = d.Create(t.Context(), fmt.Sprintf("main/%d", i)); err == nil {
			open = append(open, w)
		}
	}
	for _, w := range open {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	if rerr := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); rerr != nil {
		t.Fatal(rerr)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Fatalf("got %v, want EMFILE", err)
	}
	wantCode(t, err, fault.Failed)
	storetest.Put(t, d, "main/after", nil)
}

// TestUmask checks all modes under the most open and the most closed umask.
func TestUmask(t *testing.T) {
	for _, umask := range []int{0, 0o777, 0o077} {
		base := t.TempDir()
		old := syscall.Umask(umask)
		d, err := Init("file:" + base + "/new/place")
		if err == nil {
			for mode := range modes {
				modes[mode](d)
				w, cerr := d.Create(t.Context(), "main/"+mode+"/part")
				if cerr == nil {
					cerr = w.Commit(t.Context())
				}
				err = errors.Join(err, cerr)
			}
		}
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %03o: %v", umask, err)
		}
		seen := 0
		err = filepath.WalkDir(base+"/new", func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if fi.IsDir() {
				want = 0o700
			}
			if fi.Mode().Perm() != want {
				t.Errorf("umask %03o: %s has mode %04o, want %04o", umask, path, fi.Mode().Perm(), want)
			}
			seen++
			return nil
		})
		if err != nil || seen != 2+1+3+3 {
			t.Errorf("umask %03o: %d files and folders seen, %v", umask, seen, err)
		}
	}
}
