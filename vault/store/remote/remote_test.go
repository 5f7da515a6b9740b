package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
)

// quick is a Retry that waits for nothing and notes what it would have waited.
func quick(attempts int, waited *[]time.Duration) Retry {
	return Retry{Attempts: attempts, First: time.Second, Most: 4 * time.Second, Sleep: func(ctx context.Context, d time.Duration) error {
		if waited != nil {
			*waited = append(*waited, d)
		}
		return ctx.Err()
	}}
}

func TestRetryWaitsLongerEachTime(t *testing.T) {
	var waited []time.Duration
	bad := errors.New("bad")
	calls := 0
	err := quick(6, &waited).Do(t.Context(), func(context.Context) error { calls++; return bad })
	if err != bad || calls != 6 || len(waited) != 5 {
		t.Fatalf("%v after %d calls, waits %v", err, calls, waited)
	}
	for i, most := range []time.Duration{1, 2, 4, 4, 4} {
		if most *= time.Second; waited[i] > most || waited[i] < most/2 {
			t.Errorf("wait %d is %v, want from %v to %v", i, waited[i], most/2, most)
		}
	}
}

func TestRetryStopsAtAPermanentError(t *testing.T) {
	calls := 0
	err := quick(6, nil).Do(t.Context(), func(context.Context) error { calls++; return Permanent(store.ErrExist) })
	if !errors.Is(err, store.ErrExist) || calls != 1 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = quick(6, nil).Do(ctx, func(context.Context) error { calls++; cancel(); return io.ErrUnexpectedEOF })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Fatalf("%v after %d calls and a cancelled context", err, calls)
	}
}

// TestRetryBelievesACertificate: one that nobody vouches for is not tried again.
func TestRetryBelievesACertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	tries := 0
	err := Retry{Sleep: func(context.Context, time.Duration) error { return nil }}.Do(t.Context(), func(context.Context) error {
		tries++
		resp, err := HTTPClient().Get(srv.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	if err == nil || tries != 1 {
		t.Errorf("%d tries: %v", tries, err)
	}
}

// breaking is an object whose connections end after some bytes.
type breaking struct {
	data  string
	after int // bytes a connection gives
	how   error
	opens []int64
}

func (b *breaking) open(_ context.Context, offset, length int64) (io.ReadCloser, int64, error) {
	b.opens = append(b.opens, offset)
	rest := b.data[min(offset, int64(len(b.data))):]
	if length >= 0 && length < int64(len(rest)) {
		rest = rest[:length]
	}
	some := rest[:min(b.after, len(rest))]
	var r io.Reader = strings.NewReader(some)
	if len(some) < len(rest) && b.how != nil {
		r = io.MultiReader(r, iotest.ErrReader(b.how))
	}
	return io.NopCloser(r), int64(len(rest)), nil
}

func TestReaderReadsOn(t *testing.T) {
	data := strings.Repeat("0123456789", 100)
	for _, how := range []error{nil, io.ErrUnexpectedEOF, errors.New("connection reset")} {
		for _, c := range []struct{ offset, length int64 }{{0, -1}, {0, 1000}, {7, 500}, {990, 100}, {0, 0}, {1000, -1}} {
			b := &breaking{data: data, after: 130, how: how}
			r, err := NewReader(t.Context(), quick(2, nil), b.open, c.offset, c.length)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			want := data[c.offset:]
			if c.length >= 0 && c.length < int64(len(want)) {
				want = want[:c.length]
			}
			if err != nil || string(got) != want {
				t.Errorf("%v, %v: %d bytes, %v; want %d", how, c, len(got), err, len(want))
			}
			if n := (len(want) + 129) / 130; len(b.opens) != max(n, 1) {
				t.Errorf("%v, %v: opened at %v", how, c, b.opens)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestReaderGivesUp(t *testing.T) {
	b := &breaking{data: "0123456789", after: 4}
	r, err := NewReader(t.Context(), quick(3, nil), b.open, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := r.Read(p); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	b.after = 0
	if n, err := r.Read(p); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("a body that never goes on: %d, %v", n, err)
	}
	if len(b.opens) != 3 && len(b.opens) != 4 {
		t.Fatalf("opened at %v", b.opens)
	}
	if _, err := r.Read(p); err == nil {
		t.Fatal("the error is forgotten")
	}
}

// TestReaderIsNotFooledByAShorterAnswer: what was promised at first is owed.
func TestReaderIsNotFooledByAShorterAnswer(t *testing.T) {
	b := &breaking{data: "0123456789", after: 4}
	r, err := NewReader(t.Context(), quick(2, nil), b.open, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	b.data = "012345"
	got, err := io.ReadAll(r)
	if err == nil {
		t.Fatalf("an object that became shorter ends quietly after %q", got)
	}
}

// silent never gives a byte until its context ends.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (silent) Close() error               { return nil }

func TestReaderLeavesASilentConnection(t *testing.T) {
	opens := 0
	open := func(ctx context.Context, offset, _ int64) (io.ReadCloser, int64, error) {
		if opens++; opens == 1 {
			return silent{ctx}, 3, nil
		}
		return io.NopCloser(strings.NewReader("abc"[offset:])), 3 - offset, nil
	}
	r, err := NewReader(t.Context(), quick(3, nil), open, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	r.stall = time.Millisecond
	if got, err := io.ReadAll(r); string(got) != "abc" || err != nil || opens != 2 {
		t.Fatalf("%q, %v after %d connections", got, err, opens)
	}
}

func TestSizing(t *testing.T) {
	const mib, gib = int64(1 << 20), int64(1 << 30)
	for _, c := range []struct {
		s    Sizing
		size int64
		must int64 // bytes that have to fit
	}{
		{Sizing{First: 8 * mib, Most: 5 * gib, Parts: 10000}, -1, 5e12},
		{Sizing{First: 8 * mib, Most: 5 * gib, Parts: 10000}, 5e12, 5e12},
		{Sizing{First: 8 * mib, Most: 5 * gib, Parts: 1000}, -1, 5e12},
		{Sizing{First: 8 * mib, Most: 5 * gib, Parts: 1000}, 5e12, 5e12},
		{Sizing{First: 8 * mib, Most: 5 * gib, Parts: 10000}, 100, 100},
		{Sizing{First: 64 * mib, Most: 5 * gib, Parts: 10000, Fixed: true}, -1, 600e9},
	} {
		var sum, largest int64
		for n := 0; ; n++ {
			next := c.s.Next(n, c.size)
			if next == 0 {
				break
			}
			if next < 5*mib || next > c.s.Most {
				t.Fatalf("%+v: piece %d has %d bytes", c.s, n, next)
			}
			sum, largest = sum+next, max(largest, next)
		}
		if sum < c.must {
			t.Errorf("%+v, size %d: only %d bytes fit", c.s, c.size, sum)
		}
		if c.size < 100*gib && c.size >= 0 && largest > 16*mib {
			t.Errorf("%+v: pieces of %d for an object of %d", c.s, largest, c.size)
		}
	}
	for n, want := range map[int]int64{999: 8 * mib, 1000: 16 * mib, 2000: 32 * mib} { // 8 and 24 GiB went before
		if got := (Sizing{First: 8 * mib, Most: 5 * gib, Parts: 10000}).Next(n, -1); got != want {
			t.Errorf("piece %d of an object of unknown size has %d bytes, want %d", n, got, want)
		}
	}
}

func TestBufferBeyondMemory(t *testing.T) {
	dir := t.TempDir()
	b := NewBuffer(dir)
	defer b.Close()
	piece := bytes.Repeat([]byte("0123456789abcdef"), 64<<10/16)
	for range (20 << 20) / len(piece) {
		if _, err := b.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if b.file == nil || b.mem != nil || b.Len() != 20<<20 {
		t.Fatalf("%d bytes, file %v", b.Len(), b.file)
	}
	for range 2 {
		n, err := io.Copy(io.Discard, io.TeeReader(b.Reader(), &checker{t: t, want: piece}))
		if n != 20<<20 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := b.WriteTo(&checker{t: t, want: piece}); n != 20<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := b.Reset(); err != nil || b.Len() != 0 {
		t.Fatal(err)
	}
	_, _ = b.Write([]byte("short"))
	late := b.Reader()
	var all bytes.Buffer
	if n, err := b.WriteTo(&all); n != 5 || all.String() != "short" || err != nil {
		t.Fatalf("%d, %q, %v", n, &all, err)
	}
	if got, err := io.ReadAll(b.Reader()); string(got) != "short" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(late); len(got) > 0 || err != nil { // its memory is not there any more
		t.Fatalf("after Close: %q, %v", got, err)
	}
}

// checker compares what passes with a repeated piece.
type checker struct {
	t    *testing.T
	want []byte
	at   int
}

func (c *checker) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != c.want[c.at%len(c.want)] {
			c.t.Fatalf("byte %d is another one", c.at)
		}
		c.at++
	}
	return len(p), nil
}

func TestCheckEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://s3.example.com": true, "https://127.0.0.1:9000": true, "http://127.0.0.1:9000": true, "http://localhost:80": true, "http://[::1]:7070": true,
		"http://s3.example.com": false, "http://127.0.0.1.example.com": false, "ftp://127.0.0.1": false, "https://u:secret@h": false, "s3.example.com": false, "": false,
		"https://h?token=secret": false, "http://0.0.0.0:9000": false,
	} {
		err := CheckEndpoint(endpoint)
		if (err == nil) != ok {
			t.Errorf("%s: %v", endpoint, err)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || fault.CodeOf(err) != fault.Usage) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestFaultSpeaksForAPerson(t *testing.T) {
	err := Fault("s3://b", "write", "main/x", Unreachable, errors.New("dial\x1b[2J tcp "+strings.Repeat("x", 1000)))
	f := fault.As(err)
	if f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" || f.Code != fault.PlaceUnreachable || strings.ContainsRune(f.Why, 0x1b) || len(f.Why) > 1000 {
		t.Fatalf("%+v", f)
	}
	for _, plain := range []error{store.ErrExist, store.ErrNotExist, context.Canceled} {
		if err := Fault("s3://b", "write", "x", Unreachable, plain); !errors.Is(err, plain) || fault.CodeOf(err) == fault.PlaceUnreachable {
			t.Errorf("%v became %v", plain, err)
		}
	}
}
