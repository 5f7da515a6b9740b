package vault

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkListing lists many archives on disk: every manifest read and
// checked (nothing is remembered, and the place has no listing of its own, as
// where its files were copied to), cold (nothing is remembered here, the place
// has the listing that a backup leaves), fresh (the place is asked, what has
// not changed is not checked again) and cached. BENCH_ARCHIVES sets how many.
func BenchmarkListing(b *testing.B) {
	w := manyArchives(b)
	ctx := context.Background()
	list := func(b *testing.B, v *Vault, fresh bool) {
		l, err := v.Listing(ctx, fresh)
		if err != nil || len(l.Archives) == 0 || l.Cached == fresh {
			b.Fatalf("%d archives, cached %v: %v", len(l.Archives), l.Cached, err)
		}
		b.ReportMetric(float64(len(l.Archives)), "archives")
	}
	forgotten := func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			os.RemoveAll(w.path("state"))
			b.StartTimer()
			list(b, w.vault(), true)
		}
	}
	b.Run("every", forgotten)
	v := w.vault()
	seen, err := v.look(ctx, verbWait)
	if err != nil {
		b.Fatal(err)
	}
	v.leaveListings(ctx, seen)
	b.Run("cold", forgotten)
	list(b, w.vault(), true)
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			list(b, w.vault(), true)
		}
	})
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			list(b, w.vault(), false)
		}
	})
}

// manyArchives makes a vault with an archive an hour of each of eight
// databases, each with the proof of its self-check.
func manyArchives(b *testing.B) *world {
	b.Helper()
	n := 1000
	if s := os.Getenv("BENCH_ARCHIVES"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			b.Fatal(err)
		}
	}
	w := newWorld(b)
	for i := range n {
		w.fabricate(made{database: fmt.Sprint("db", i%8), at: noon.Add(-time.Duration(i/8) * time.Hour), seq: int64(n - i), proof: ProofReadable})
	}
	return w
}
