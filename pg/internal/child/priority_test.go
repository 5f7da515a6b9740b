package child

import (
	"io"
	"strings"
	"testing"
)

// TestLowPriority: the child and what it starts stand back, and neither this
// process nor a child that is started afterwards does.
func TestLowPriority(t *testing.T) {
	const ask = `cut -d' ' -f19 /proc/self/stat; sh -c 'ionice -p $$; true'`
	said := func(o Options, low bool) string {
		t.Helper()
		ctx := t.Context()
		if low {
			ctx = AtLowPriority(ctx)
		}
		p, out := sh(t, ctx, o, ask)
		src, err := io.ReadAll(out)
		if err == nil {
			err = p.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(src))
	}
	usual := said(Options{}, false)
	for name, got := range map[string]string{"by its context": said(Options{}, true), "by its options": said(Options{Low: true}, false)} {
		if lines := strings.Split(got, "\n"); len(lines) != 2 || len(lines[0]) < 2 || lines[1] != "idle" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for range 20 { // whatever thread starts it
		if again := said(Options{}, false); again != usual {
			t.Fatalf("a later child: %q, before: %q", again, usual)
		}
	}
}

// TestBatch: the child is of the batch class, with the nice value of this
// process, and no child that is started afterwards is.
func TestBatch(t *testing.T) {
	const ask = `cut -d' ' -f19,41 /proc/self/stat`
	said := func(o Options) string {
		t.Helper()
		p, out := sh(t, t.Context(), o, ask)
		src, err := io.ReadAll(out)
		if err == nil {
			err = p.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(src))
	}
	usual := said(Options{})
	nice, policy, _ := strings.Cut(usual, " ")
	if policy != "0" && policy != "3" {
		t.Fatalf("usual: %q", usual)
	}
	if got := said(Options{Batch: true}); got != nice+" 3" {
		t.Errorf("batch: %q, usual: %q", got, usual)
	}
	if got := said(Options{Batch: true, Low: true}); got != "10 3" {
		t.Errorf("batch and low: %q", got)
	}
	for range 20 { // whatever thread starts it
		if again := said(Options{}); again != usual {
			t.Fatalf("a later child: %q, before: %q", again, usual)
		}
	}
}
