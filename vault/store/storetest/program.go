package storetest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// TB is what helpers here need of a testing.TB, so that a story that is not
// a Go test can use them, too.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	TempDir() string
}

// Cache is where `make test` keeps the programs of servers that Debian does
// not have: $PGVAULT_TEST_CACHE, else pgvault-test in the user's cache.
func Cache(t TB) string {
	t.Helper()
	if dir := os.Getenv("PGVAULT_TEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("the user's cache: %v", err)
	}
	return filepath.Join(dir, "pgvault-test")
}

// Program finds the program of a server: versitygw, fake-gcs-server,
// azurite-blob, sshd, sftp-server. One that is missing fails the test.
func Program(t TB, name string) string {
	t.Helper()
	cache := Cache(t)
	for _, path := range []string{
		filepath.Join(cache, "bin", name), filepath.Join(cache, "azurite", "node_modules", ".bin", name),
		filepath.Join("/usr/sbin", name), filepath.Join("/usr/lib/openssh", name),
	} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if found, err := exec.LookPath(name); err == nil {
		return found
	}
	t.Fatalf("the server program %s is not there: run scripts/install-servers.sh", name)
	return ""
}
