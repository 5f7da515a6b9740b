package child

import (
	"context"
	"io"
	"strings"
	"testing"
)

// said is what a shell started with o prints.
func said(t *testing.T, ctx context.Context, o Options, script string) string {
	t.Helper()
	p, out := sh(t, ctx, o, script)
	src, err := io.ReadAll(out)
	if err == nil {
		err = p.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(src))
}

// TestLowPriority: the child and what it starts stand back, and neither this
// process nor a child that is started afterwards does.
func TestLowPriority(t *testing.T) {
	const ask = `cut -d' ' -f19 /proc/self/stat; sh -c 'ionice -p $$; true'`
	usual := said(t, t.Context(), Options{}, ask)
	for name, got := range map[string]string{
		"by its context": said(t, AtLowPriority(t.Context()), Options{}, ask),
		"by its options": said(t, t.Context(), Options{Low: true}, ask),
	} {
		if lines := strings.Split(got, "\n"); len(lines) != 2 || len(lines[0]) < 2 || lines[1] != "idle" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for range 20 { // whatever thread starts it
		if again := said(t, t.Context(), Options{}, ask); again != usual {
			t.Fatalf("a later child: %q, before: %q", again, usual)
		}
	}
}

// TestBatch: the child is of the batch class, with the nice value of this
// process, and no child that is started afterwards is.
func TestBatch(t *testing.T) {
	const ask = `cut -d' ' -f19,41 /proc/self/stat`
	usual := said(t, t.Context(), Options{}, ask)
	nice, class, _ := strings.Cut(usual, " ")
	if class == "0" { // of another class, which somebody has chosen, it stays
		class = "3"
	}
	if got := said(t, t.Context(), Options{Batch: true}, ask); got != nice+" "+class {
		t.Errorf("batch: %q, usual: %q", got, usual)
	}
	if got := said(t, t.Context(), Options{Batch: true, Low: true}, ask); !strings.HasSuffix(got, " "+class) || len(got) < 4 {
		t.Errorf("batch and low: %q", got)
	}
	for range 20 { // whatever thread starts it
		if again := said(t, t.Context(), Options{}, ask); again != usual {
			t.Fatalf("a later child: %q, before: %q", again, usual)
		}
	}
}
