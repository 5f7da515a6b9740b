package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// FaultTarget is a kind of place behind a fault proxy.
type FaultTarget struct {
	Proxy *FaultProxy

	// Open gives an empty place through the proxy, called once per case. It
	// tries again as retry says, which does not wait between attempts and
	// takes a short silence for a dead connection where the case is of one.
	Open func(t *testing.T, retry remote.Retry) store.Store
	// Direct gives the place that Open gave last, past the proxy.
	Direct func(t *testing.T) store.Store

	Large      int           // bytes of an object that goes in several pieces
	ErrorBody  string        // what the service sends beside a status of 500
	SlowDown   string        // what it sends beside 503
	ErrorIn200 string        // what it sends beside 200 when it means an error; "" when it never does
	Bound      time.Duration // no case may take longer; 0 means 20 s

	// TwiceMayExist: a request that arrives twice may make Commit give
	// ErrExist, because the service cannot tell whose object it is.
	TwiceMayExist bool
}

// RunFaults makes every request of every operation go wrong in every way,
// once and each time it is tried. The operation then gives the right result,
// or an error with its four lines, within the bound; what lies in the place
// is whole or not there. behind gives a proxy of its own, before a server
// that may be shared, for each group of cases; groups run in parallel.
func RunFaults(t *testing.T, behind func(t *testing.T) FaultTarget) {
	was := log.Writer()
	log.SetOutput(io.Discard) // net/http tells of answers that nobody asked for
	t.Cleanup(func() { log.SetOutput(was) })
	target := behind(t)
	for _, op := range faultOps(target.Large) {
		requests := op.count(t, target)
		for n := 1; n <= requests; n++ {
			t.Run(fmt.Sprintf("%s, request %d", op.name, n), func(t *testing.T) {
				t.Parallel()
				target := behind(t)
				if target.Bound == 0 {
					target.Bound = 20 * time.Second
				}
				for _, rule := range target.rules() {
					for name, times := range map[string]int{"once": 1, "always": -1} {
						rule := rule
						rule.Nth, rule.Times = n, times
						if rule.Do == FaultAnswer {
							name = fmt.Sprintf("%d, %s", rule.Status, name)
						}
						t.Run(fmt.Sprintf("%s, %s", rule.Do, name), func(t *testing.T) { op.run(t, target, rule) })
					}
				}
			})
		}
	}
}

func (ft FaultTarget) rules() []FaultRule {
	all := []FaultRule{FaultAnswering(500, ft.ErrorBody), FaultAnswering(503, ft.SlowDown)}
	if ft.ErrorIn200 != "" {
		all = append(all, FaultAnswering(200, ft.ErrorIn200))
	}
	for f := FaultResetRequest; f <= FaultLoseAnswer; f++ {
		all = append(all, FaultRule{Do: f})
	}
	return all
}

// faultOp is one operation of a store, as a case of RunFaults.
type faultOp struct {
	name    string
	prepare func(t *testing.T, direct store.Store)
	// do works through the proxy; wrong tells of a result that no fault excuses.
	do func(t *testing.T, s store.Store) (err, wrong error)
	// after looks at what lies there; err is what do gave.
	after func(t *testing.T, direct store.Store, err error) error
	// alters: what comes may be other bytes of the same length when the
	// response is altered on its way. TLS excludes it; archives have hashes.
	alters bool
	puts   bool
}

const faultName = "main/db/a/part"

func faultOps(large int) []faultOp {
	small := Bytes(3000, 5)
	there := func(t *testing.T, s store.Store) { Put(t, s, faultName, small) }
	return []faultOp{
		faultPut("put", small, func(s store.Store, t *testing.T) (store.Writer, error) { return s.Create(t.Context(), faultName) }),
		faultPut("put empty", nil, func(s store.Store, t *testing.T) (store.Writer, error) { return s.Create(t.Context(), faultName) }),
		faultPut("put in pieces", Bytes(large, 6), func(s store.Store, t *testing.T) (store.Writer, error) {
			return store.CreateSized(t.Context(), s, faultName, int64(large))
		}),
		faultRead("read", Bytes(200_000, 7), 0, -1), faultRead("read a range", Bytes(200_000, 7), 70_001, 60_000),
		{name: "stat", prepare: there, do: func(t *testing.T, s store.Store) (error, error) {
			info, err := s.Stat(t.Context(), faultName)
			return err, faultUnless(err != nil || info.Size == int64(len(small)), "size %d", info.Size)
		}},
		{name: "list", prepare: func(t *testing.T, s store.Store) {
			there(t, s)
			Put(t, s, "main/x", nil)
		}, do: func(t *testing.T, s store.Store) (error, error) {
			list, err := s.List(t.Context(), "main/")
			names := []string{}
			for _, i := range list {
				names = append(names, fmt.Sprint(i.Name, " ", i.Size))
			}
			want := []string{fmt.Sprint(faultName, " ", len(small)), "main/x 0"}
			return err, faultUnless(err != nil || slices.Equal(names, want), "the list %q", names)
		}},
		{name: "remove", prepare: there, do: func(t *testing.T, s store.Store) (error, error) {
			return s.Remove(t.Context(), faultName), nil
		}, after: func(t *testing.T, direct store.Store, err error) error {
			_, gone := direct.Stat(t.Context(), faultName)
			return faultUnless(err != nil || errors.Is(gone, store.ErrNotExist), "Remove gave nil, Stat gives %v", gone)
		}},
	}
}

// faultPut is a writing operation: afterwards the object is whole or not there.
func faultPut(name string, data []byte, create func(store.Store, *testing.T) (store.Writer, error)) faultOp {
	return faultOp{name: name, puts: true, do: func(t *testing.T, s store.Store) (error, error) {
		w, err := create(s, t)
		if err != nil {
			return err, nil
		}
		for piece := range slices.Chunk(data, 64<<10) {
			if _, err := w.Write(piece); err != nil {
				_ = w.Abort() // the fault may hold it up, too
				return err, nil
			}
		}
		err = w.Commit(t.Context())
		_ = w.Abort() // does nothing after Commit
		return err, nil
	}, after: func(t *testing.T, direct store.Store, err error) error {
		if _, absent := direct.Stat(t.Context(), faultName); errors.Is(absent, store.ErrNotExist) {
			return faultUnless(err != nil, "Commit gave nil, and there is nothing")
		}
		return faultUnless(bytes.Equal(Get(t, direct, faultName), data), "an object that is not what was written, Commit gave %v", err)
	}}
}

// faultRead is a reading operation.
func faultRead(name string, data []byte, offset, length int64) faultOp {
	want := data[offset:]
	if length >= 0 {
		want = want[:length]
	}
	return faultOp{name: name, alters: true,
		prepare: func(t *testing.T, s store.Store) { Put(t, s, faultName, data) },
		do: func(t *testing.T, s store.Store) (error, error) {
			r, err := s.Open(t.Context(), faultName, offset, length)
			if err != nil {
				return err, nil
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err != nil {
				return err, faultUnless(bytes.HasPrefix(want, got), "%d wrong bytes before the error", len(got))
			}
			return nil, faultUnless(bytes.Equal(got, want), "%d bytes, %d are right, or others", len(got), len(want))
		}}
}

func faultUnless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// count runs the operation without a fault and tells how many requests it takes.
func (op faultOp) count(t *testing.T, target FaultTarget) int {
	t.Helper()
	target.Proxy.Set()
	s, direct := target.Open(t, faultRetry(FaultRule{})), target.Direct(t)
	if op.prepare != nil {
		op.prepare(t, direct)
	}
	target.Proxy.Set()
	err, wrong := op.do(t, s)
	if op.after != nil && wrong == nil {
		wrong = op.after(t, direct, err)
	}
	if err != nil || wrong != nil {
		t.Fatalf("without a fault: %v, %v", err, wrong)
	}
	return target.Proxy.Requests()
}

// faultRetry says how a place behind the fault tries again. Silence has to be
// short where it is the fault, and long elsewhere, so that a busy machine is
// not taken for a dead connection.
func faultRetry(rule FaultRule) remote.Retry {
	r := remote.Retry{Attempts: 3, Stall: 15 * time.Second, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if rule.Do == FaultStall || rule.Do == FaultStallResponse {
		r.Stall, r.Attempts = 400*time.Millisecond, 2
		if rule.Times == 1 {
			r.Attempts = 5
		}
	}
	return r
}

// run is one case.
func (op faultOp) run(t *testing.T, target FaultTarget, rule FaultRule) {
	var (
		direct     store.Store
		err, wrong error
		took       time.Duration
		log        []string
	)
	for range 3 { // with short waits a busy machine may fail before its turn comes
		var s store.Store
		s, direct = target.Open(t, faultRetry(rule)), target.Direct(t)
		if op.prepare != nil {
			op.prepare(t, direct)
		}
		target.Proxy.Set(rule)
		begun := time.Now()
		err, wrong = op.do(t, s)
		took, log = time.Since(begun), target.Proxy.Log()
		if target.Proxy.Done(0) > 0 || faultRetry(rule).Attempts == 3 {
			break
		}
	}
	if target.Proxy.Done(0) == 0 {
		t.Fatalf("the fault did not happen: %q", log)
	}
	target.Proxy.Set()
	if took > target.Bound {
		t.Errorf("it took %s", took)
	}
	if wrong != nil && !(op.alters && rule.Do == FaultWrongResponse) {
		t.Errorf("a wrong result: %v; %q", wrong, log)
	}
	if op.after != nil {
		if wrong := op.after(t, direct, err); wrong != nil {
			t.Errorf("afterwards: %v; %q", wrong, log)
		}
	}
	var four *fault.Error
	twice := target.TwiceMayExist && (rule.Do == FaultTwiceRequest || rule.Do == FaultLoseAnswer)
	switch {
	case err == nil:
	case op.puts && errors.Is(err, store.ErrExist) && twice:
	case !errors.As(err, &four):
		t.Errorf("an error without its four lines: %v; %q", err, log)
	case four.Why == "" || four.Left == "" || four.Do == "":
		t.Errorf("an error with empty lines: %+v", four)
	case rule.Times == 1 && rule.Do != FaultWrongRequest && rule.Do != FaultWrongResponse:
		t.Errorf("one fault is too much: %v; %q", err, log)
	}
}
