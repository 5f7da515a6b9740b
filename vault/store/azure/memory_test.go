package azure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// childEnv makes this test binary write one object of 2 GiB to the account,
// container and endpoint that it names.
const childEnv = "PGVAULT_AZURE_TEST_CHILD"

const twoGiB = 2 << 30

func TestMain(m *testing.M) {
	args := strings.Fields(os.Getenv(childEnv))
	if len(args) == 0 {
		os.Exit(m.Run())
	}
	if err := childWrites(args[0], args[1], args[2]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// childWrites publishes the object and prints the most memory that it had.
func childWrites(account, container, endpoint string) error {
	ctx := context.Background()
	z, err := Open(ctx, address.Address{Account: account, Bucket: container, Endpoint: endpoint}, address.Options{Getenv: os.Getenv})
	if err != nil {
		return err
	}
	w, err := z.Create(ctx, "x")
	if err != nil {
		return err
	}
	data := storetest.Bytes(1<<20, 1)
	for i := range twoGiB >> 20 {
		data[0] = byte(i)
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	if err := w.Commit(ctx); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println(strings.Fields(kib)[0])
		}
	}
	return nil
}

// TestMemoryIsFlat writes 2 GiB from a process of its own, which reads them
// back: Azurite does not say which checksum it found.
func TestMemoryIsFlat(t *testing.T) {
	s := servers.AzureOnDisk(t, t.TempDir())
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), s.Env()...), childEnv+"="+s.Account+" "+s.Container+" "+s.Endpoint)
	out, err := cmd.Output()
	kib, perr := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || perr != nil {
		t.Fatalf("%v: %s", err, out)
	}
	z := open(t, s, s.Endpoint, s.CA.Pool, "")
	if info, err := z.Stat(t.Context(), "x"); err != nil || info.Size != twoGiB || kib >= 128<<10 {
		t.Errorf("%+v, %v, with %d KiB of memory", info, err, kib)
	}
	t.Logf("%d MiB of memory for 2 GiB", kib>>10)
}
