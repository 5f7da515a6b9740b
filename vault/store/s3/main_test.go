package s3

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest/servers"
)

// childEnv makes this test binary run one of the children below instead.
const childEnv = "PGVAULT_S3_TEST_CHILD"

func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(childEnv), "\x1f")
	switch args[0] {
	case "":
		os.Exit(m.Run())
	case "stuck":
		childStuck(childPlace(args[1:]))
	case "big":
		childBig(childPlace(args[1:]), args[4])
	}
	os.Exit(99)
}

// child gives a command that runs this binary as the child named first, with
// the place at a prefix on a server.
func child(ctx context.Context, s *servers.S3Server, name, prefix string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	args = append([]string{name, s.Endpoint, s.Bucket, prefix}, args...)
	cmd.Env = append(s.Env(), childEnv+"="+strings.Join(args, "\x1f"), "PATH=/usr/bin:/bin", "TMPDIR="+os.TempDir())
	cmd.Stderr = os.Stderr
	return cmd
}

func childPlace(args []string) *Place {
	p, err := Open(context.Background(), address.Address{Endpoint: args[0], Bucket: args[1], Prefix: args[2], PathStyle: true}, address.Options{})
	if err != nil {
		panic(err)
	}
	return p
}

// childStuck writes some pieces of an object, says so, and waits to be killed.
func childStuck(p *Place) {
	w, err := p.Create(context.Background(), "main/db/a/part")
	if err == nil {
		_, err = w.Write(make([]byte, 3*firstPiece+1000))
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("stuck")
	select {}
}

// childBig writes an object of a given size and reads it again, and says what
// memory that took at most.
func childBig(p *Place, size string) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	w, err := p.Create(ctx, "main/db/a/part")
	if err != nil {
		panic(err)
	}
	wrote, read := sha256.New(), sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w, wrote), random{rand.NewChaCha8([32]byte{1})}, n); err != nil {
		panic(err)
	}
	if err := w.Commit(ctx); err != nil {
		panic(err)
	}
	r, err := p.Open(ctx, "main/db/a/part", 0, -1)
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(read, r); err != nil {
		panic(err)
	}
	if string(wrote.Sum(nil)) != string(read.Sum(nil)) {
		panic("other bytes came back")
	}
	fmt.Println(highWater())
	os.Exit(0)
}

// random never ends.
type random struct{ *rand.ChaCha8 }

// highWater is the most memory that this process has had, in KiB.
func highWater() string {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			return strings.TrimSuffix(strings.TrimSpace(v), " kB")
		}
	}
	panic("no VmHWM")
}
