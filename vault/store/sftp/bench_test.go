package sftp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// benchSize is how large the file is that is copied.
const benchSize = 1 << 30

// benchFile makes a file that does not compress.
func benchFile(b *testing.B) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "source")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	block := storetest.Bytes(16<<20, 1)
	for range benchSize / len(block) {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return name
}

// BenchmarkUpload copies a file of 1 GiB to a real sshd on this machine:
// with this package, which syncs and reads all of it back, and with rclone,
// which does neither.
func BenchmarkUpload(b *testing.B) {
	srv := servers.SFTP(b)
	source := benchFile(b)
	s, err := open(address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: srv.Dir},
		address.Options{Getenv: srv.Getenv}, client(srv))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("pgvault", func(b *testing.B) {
		b.SetBytes(benchSize)
		for i := range b.N {
			upload(b, s, source, fmt.Sprintf("object%d", i))
			b.StopTimer()
			if err := s.Remove(b.Context(), fmt.Sprintf("object%d", i)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("rclone", func(b *testing.B) {
		b.SetBytes(benchSize)
		for range b.N {
			cmd := exec.Command("rclone", "--config=", "copy", source, ":sftp:"+srv.Dir+"/rclone", "--sftp-host="+srv.Host,
				"--sftp-port="+strconv.Itoa(srv.Port), "--sftp-user="+srv.User, "--sftp-key-file="+srv.KeyFile, "--sftp-known-hosts-file="+srv.KnownHosts)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("rclone: %v: %s", err, out)
			}
			b.StopTimer()
			if err := os.RemoveAll(filepath.Join(srv.Dir, "rclone")); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

func upload(b *testing.B, s store.Store, source, name string) {
	b.Helper()
	f, err := os.Open(source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w, err := s.Create(b.Context(), name)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, 64<<10)); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDownload reads it again.
func BenchmarkDownload(b *testing.B) {
	srv := servers.SFTP(b)
	source := benchFile(b)
	s, err := open(address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: srv.Dir},
		address.Options{Getenv: srv.Getenv}, client(srv))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	upload(b, s, source, "object")
	b.SetBytes(benchSize)
	for b.Loop() {
		r, err := s.Open(b.Context(), "object", 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != benchSize {
			b.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
