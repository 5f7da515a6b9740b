package vault

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"pgvault/pg"
)

// endless gives rows without end and tells when it is read although the load
// has returned.
type endless struct {
	t        *testing.T
	reads    int
	returned *atomic.Bool
	after    int // reads before cancel is called
	cancel   func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.returned.Load() {
		e.t.Error("read after the load has returned: what it reads from may be closed by then")
		return 0, io.EOF
	}
	if e.reads++; e.reads == e.after {
		e.cancel()
	}
	n := copy(p, strings.Repeat("1\n", len(p)/2))
	if e.returned.Load() {
		e.t.Error("the load returned while its rows were read")
	}
	return n, nil
}

// TestCancelledLoadReadsNoMore: a load that is cancelled has let go of its
// rows when it returns, and the session's table is as it was.
func TestCancelledLoadReadsNoMore(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t (v int)")
	for i := range 40 {
		l, err := pg.OpenLoader(t.Context(), settings(), "origin", "UTF8")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var returned atomic.Bool
		_, err = l.Copy(ctx, "public", "t", "COPY public.t (v) FROM stdin;\n", &endless{t: t, returned: &returned, after: 1 + i, cancel: cancel})
		returned.Store(true)
		if err == nil {
			t.Error("a load without end has ended")
		}
		cancel()
		l.Close()
	}
	noSessions(t)
	if n := one[int](t, "origin", "SELECT count(*) FROM public.t"); n != 0 {
		t.Errorf("%d rows were kept", n)
	}
}
