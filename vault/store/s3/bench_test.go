package s3

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// benchFile gives a server and a file of 256 MiB.
func benchFile(b *testing.B) (*servers.S3Server, string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "part")
	if err := os.WriteFile(file, bytes.Repeat(storetest.Bytes(1<<20, 1), 256), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(256 << 20)
	return servers.S3(b), file
}

// BenchmarkPut sends a file to a server on this machine. Hashing, TLS and
// the server share the processors; BenchmarkRclone is the measure.
func BenchmarkPut(b *testing.B) {
	s, file := benchFile(b)
	p, err := Open(b.Context(), at(s, "vault"), address.Options{Getenv: s.Getenv})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		in, err := os.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		w, err := p.CreateSized(b.Context(), fmt.Sprint("main/", i), 256<<20)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, 1<<20)); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads it.
func BenchmarkGet(b *testing.B) {
	s, file := benchFile(b)
	p, err := Open(b.Context(), at(s, "vault"), address.Options{Getenv: s.Getenv})
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	w, err := p.Create(b.Context(), "main/x")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		r, err := p.Open(b.Context(), "main/x", 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != 256<<20 || err != nil {
			b.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRclone has rclone copy the same file to the same kind of server,
// four pieces at once, as it does by itself.
func BenchmarkRclone(b *testing.B) {
	s, file := benchFile(b)
	rclone := storetest.Program(b, "rclone")
	b.ResetTimer()
	for i := range b.N {
		cmd := exec.CommandContext(b.Context(), rclone, "--ca-cert", s.CAFile, "--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth",
			"--s3-endpoint", s.Endpoint, "--s3-region", s.Region, "--s3-no-check-bucket", "copyto", file, fmt.Sprintf(":s3:%s/%d", s.Bucket, i))
		cmd.Env = []string{"AWS_ACCESS_KEY_ID=" + s.Key, "AWS_SECRET_ACCESS_KEY=" + s.Secret, "HOME=" + b.TempDir()}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}
