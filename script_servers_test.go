package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"pgvault/vault/store/storetest/servers"
)

// storyTB starts servers that end with a story.
type storyTB struct{ ts *testscript.TestScript }

func (s storyTB) Helper()                           {}
func (s storyTB) Cleanup(f func())                  { s.ts.Defer(f) }
func (s storyTB) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }
func (s storyTB) TempDir() string {
	dir, err := os.MkdirTemp(s.ts.Getenv("WORK"), "server-")
	s.ts.Check(err)
	return dir
}

// cmdServer starts a real server for places: server KIND, one of s3, s3-lock,
// gs, azblob, sftp. Its address, and what it takes to use it, are in the
// environment: $S3_URL and $S3_DIR, $LOCK_URL, $GS_URL, $AZBLOB_URL, $SFTP_URL
// and $SFTP_DIR.
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: server KIND")
	}
	var env []string
	switch t := (storyTB{ts}); args[0] {
	case "s3":
		s := servers.S3(t)
		env = append(s.Env(), "S3_URL="+s.URL("main"), "S3_DIR="+filepath.Join(s.Dir, s.Bucket))
	case "s3-lock":
		s := servers.LockingS3(t)
		env = append(s.Env(), "LOCK_URL="+s.URL("main"))
	case "gs":
		env = []string{"GS_URL=" + servers.GCS(t).URL("main")}
	case "azblob":
		s := servers.Azure(t)
		env = append(s.Env(), "AZBLOB_URL="+s.URL("main"))
	case "sftp":
		s := servers.SFTP(t)
		env = []string{"HOME=" + s.Home, fmt.Sprintf("SFTP_URL=sftp://%s@%s:%d%s", s.User, s.Host, s.Port, s.Dir), "SFTP_DIR=" + s.Dir}
	default:
		ts.Fatalf("no server %q", args[0])
	}
	for _, e := range env {
		k, value, _ := strings.Cut(e, "=")
		ts.Setenv(k, value)
	}
}
