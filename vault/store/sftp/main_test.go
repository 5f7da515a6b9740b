package sftp

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
)

var errNotDir = syscall.ENOTDIR

// childEnv makes this test binary run one of the children instead.
const childEnv = "PGVAULT_SFTP_TEST_CHILD"

func TestMain(m *testing.M) {
	// Servers of package sftp in this process offer nothing beyond the
	// protocol: OpenSSH stands for those that do.
	if err := sftp.SetSFTPExtensions(); err != nil {
		panic(err)
	}
	args := strings.Split(os.Getenv(childEnv), "\x1f")
	switch args[0] {
	case "":
		os.Exit(m.Run())
	case "netcat":
		netcat(args[1])
	case "stuck":
		childStuck(args[1:])
	case "two gigabytes":
		childBig(args[1:])
	}
	os.Exit(99)
}

// netcat passes stdin and stdout on to an address, as a ProxyCommand does.
func netcat(addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		os.Exit(0)
	}()
	_, _ = io.Copy(os.Stdout, c)
	os.Exit(0)
}
