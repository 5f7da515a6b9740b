package gcs

import (
	"context"
	"crypto/md5" // the service's own checksum
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
)

// childEnv makes this test binary write one object of 2 GiB to the endpoint
// that it names.
const childEnv = "PGVAULT_GCS_TEST_CHILD"

const twoGiB = 2 << 30

func TestMain(m *testing.M) {
	endpoint := os.Getenv(childEnv)
	if endpoint == "" {
		os.Exit(m.Run())
	}
	if err := childWrites(endpoint); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// childWrites publishes the object and prints the most memory that it had.
func childWrites(endpoint string) error {
	ctx := context.Background()
	g, err := Open(ctx, address.Address{Bucket: "b", Endpoint: endpoint}, address.Options{})
	if err != nil {
		return err
	}
	w, err := g.Create(ctx, "x")
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

// swallow takes an upload session as the service does, and keeps only its
// checksums: the emulator would keep the object in memory, and compute its
// checksums anew with each piece.
type swallow struct {
	mu   sync.Mutex
	have int64
	sums *sums
}

func (s *swallow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPost {
		w.Header().Set("Location", r.URL.Path+"?upload_id=1")
		return
	}
	_, total, _ := strings.Cut(r.Header.Get("Content-Range"), "/")
	n, err := io.Copy(s.sums, r.Body)
	s.have += n
	if all, terr := strconv.ParseInt(total, 10, 64); err == nil && terr == nil && all == s.have {
		_, _ = fmt.Fprintf(w, `{"kind":"storage#object","name":"x","size":"%d","generation":"1","crc32c":%q,"md5Hash":%q}`, s.have, s.sums.crc32c(), s.sums.md5Hash())
		return
	}
	w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", s.have-1))
	w.WriteHeader(http.StatusPermanentRedirect)
}

// TestMemoryIsFlat writes 2 GiB from a process of its own.
func TestMemoryIsFlat(t *testing.T) {
	s := &swallow{sums: newSums()}
	front := httptest.NewServer(s)
	defer front.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+front.URL)
	out, err := cmd.Output()
	kib, perr := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || perr != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s.have != twoGiB || kib >= 128<<10 {
		t.Errorf("%d bytes arrived, with %d KiB of memory", s.have, kib)
	}
	t.Logf("%d MiB of memory for 2 GiB", kib>>10)
}

// TestSums has the checksums of the service's own documentation's form.
func TestSums(t *testing.T) {
	s := newSums()
	_, _ = s.Write([]byte("hello")) // never fails
	all := md5.Sum([]byte("hello"))
	if s.crc32c() != "mnG7TA==" || s.md5Hash() != base64.StdEncoding.EncodeToString(all[:]) || crc32.Checksum([]byte("hello"), crc32.MakeTable(crc32.Castagnoli)) != s.crc.Sum32() {
		t.Errorf("%s %s", s.crc32c(), s.md5Hash())
	}
}
