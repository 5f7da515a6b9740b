package disk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"pgvault/vault/store/storetest"
)

// childEnv makes this test binary run one of the children below instead.
const childEnv = "PGVAULT_DISK_TEST_CHILD"

func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(childEnv), "\x1f")
	switch args[0] {
	case "":
		os.Exit(m.Run())
	case "writer":
		childWriter(args[1], args[2])
	case "stuck":
		childStuck(args[1], args[2])
	case "limited":
		childLimited(args[1])
	}
	os.Exit(99)
}

// child gives a command that runs this binary as the child named first.
func child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\x1f"))
	cmd.Stderr = os.Stderr
	return cmd
}

// sizes of the objects that childWriter makes, in turn.
var sizes = []int{0, 100, 70_000, 1 << 20, 3<<20 + 5, 10 << 20}

// childWriter writes objects without end and says on stdout how far it is:
// w before each piece, c before Commit, and the number after it.
func childWriter(path, mode string) {
	d, err := Open(path)
	if err != nil {
		panic(err)
	}
	modes[mode](d)
	for i := 0; ; i++ {
		w, err := d.Create(context.Background(), fmt.Sprintf("main/db/%d/part", i))
		if err != nil {
			panic(err)
		}
		data := storetest.Bytes(sizes[i%len(sizes)], uint64(i))
		for len(data) > 0 {
			fmt.Println("w")
			n := min(len(data), 64<<10)
			if _, err := w.Write(data[:n]); err != nil {
				panic(err)
			}
			data = data[n:]
		}
		fmt.Println("c")
		if err := w.Commit(context.Background()); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

// childStuck writes 3 MiB of an object, says so, and waits to be killed.
func childStuck(path, mode string) {
	d, err := Open(path)
	if err != nil {
		panic(err)
	}
	modes[mode](d)
	w, err := d.Create(context.Background(), "main/db/a/part")
	if err == nil {
		_, err = w.Write(storetest.Bytes(3<<20, 1))
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("stuck")
	select {}
}

// childLimited may write files of at most 2 MiB. It exits 0 when a larger
// object gave the exit code for no space and left nothing.
func childLimited(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 2 << 20, Max: 2 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	d, err := Open(path)
	if err != nil {
		panic(err)
	}
	fmt.Print(fillUp(d, 5<<20))
	os.Exit(0)
}
