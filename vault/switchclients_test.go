package vault

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clientLog is what the clients of TestSwitchUnderClients saw.
type clientLog struct {
	sync.Mutex
	seen   map[string]int // pairs of marks
	errors map[string]int
	gap    time.Duration // the longest time in which nobody could log in
	last   time.Time     // of a login
	logins atomic.Int64
	old    atomic.Int64 // logins that found the live one
	fresh  atomic.Int64 // logins that found the restored one
}

func (l *clientLog) login(pair string) {
	l.Lock()
	defer l.Unlock()
	now := time.Now()
	if !l.last.IsZero() {
		l.gap = max(l.gap, now.Sub(l.last))
	}
	l.last = now
	l.seen[pair]++
	l.logins.Add(1)
	switch pair {
	case "live live":
		l.old.Add(1)
	case "restored restored":
		l.fresh.Add(1)
	}
}

func (l *clientLog) failed(err error) {
	l.Lock()
	defer l.Unlock()
	text := err.Error()
	l.errors[text[max(0, len(text)-60):]]++
}

// client logs in again and again, and reads both marks in one session; every
// fourth client stays and asks on, in transactions, until its session ends.
func (w *switchWorld) client(ctx context.Context, n int, l *clientLog) {
	for ctx.Err() == nil {
		conn, err := w.conf.Server.Connect(ctx, w.name)
		if err != nil {
			if ctx.Err() == nil {
				l.failed(err)
			}
			continue
		}
		for stay := true; stay && ctx.Err() == nil; stay = n%4 == 0 {
			var a, b string
			tx, err := conn.Begin(ctx)
			if err == nil {
				err = tx.QueryRow(ctx, "SELECT v FROM public.a").Scan(&a)
			}
			if err == nil {
				err = tx.QueryRow(ctx, "SELECT v FROM public.b").Scan(&b)
			}
			if err == nil {
				err = tx.Commit(ctx)
			}
			if err != nil {
				break
			}
			l.login(a + " " + b)
		}
		_ = conn.Close(context.Background())
	}
}

// TestSwitchUnderClients switches there and back under 50 clients that
// reconnect in a loop: the name is absent for less than a second, and none of
// them ever sees a mixture of both databases.
func TestSwitchUnderClients(t *testing.T) {
	w := newSwitchWorld(t, "sw_many")
	l := &clientLog{seen: map[string]int{}, errors: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range 50 {
		clients.Go(func() { w.client(ctx, n, l) })
	}
	defer clients.Wait()
	defer stop()
	more := func(what string, count *atomic.Int64) {
		t.Helper()
		from := count.Load()
		until(t, what, func() bool { return count.Load() >= from+200 })
	}
	more("the clients find the live one", &l.old)
	closed := []string{}
	for round := range 3 {
		p := w.planSwitch()
		if len(p.Live.Sessions) == 0 {
			t.Error("no session is there to be ended")
		}
		closed = append(closed, w.closedFor(w.doSwitch(w.vault(), p).ok(t)))
		more(fmt.Sprintf("round %d: the clients find the restored one", round), &l.fresh)
		closed = append(closed, w.closedFor(w.undo().ok(t)))
		more(fmt.Sprintf("round %d: the clients find the live one again", round), &l.old)
	}
	stop()
	clients.Wait()
	for pair, n := range l.seen {
		if pair != "live live" && pair != "restored restored" {
			t.Errorf("%d times a client saw %q", n, pair)
		}
	}
	if l.gap >= time.Second || l.logins.Load() < 1000 {
		t.Errorf("for %v nobody could log in; %d logins", l.gap, l.logins.Load())
	}
	t.Logf("%d logins, longest time without one %v, closed for %v, refused with %v", l.logins.Load(), l.gap, closed, l.errors)
}

// closedFor is what the run says of how long the name took no logins.
func (w *switchWorld) closedFor(p *tape) string {
	w.t.Helper()
	for _, n := range all[Notice](p) {
		if _, s, ok := strings.Cut(n.Text, "accepted no logins for "); ok {
			if !strings.HasPrefix(s, "0.") {
				w.t.Errorf("%s took no logins for %s", w.name, s)
			}
			return s
		}
	}
	w.t.Error("nothing says for how long no logins were accepted")
	return ""
}
