package vault

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNewestFirst: the random end of an id says nothing of time, so within
// one second the sequence number decides.
func TestNewestFirst(t *testing.T) {
	want := []Archive{
		{ID: "20261123T002822Z-0000", Database: "a", Seq: 4},
		{ID: "20261123T002821Z-1aed", Database: "a", Seq: 3},
		{ID: "20261123T002821Z-ffff", Database: "a", Seq: 2},
		{ID: "20261123T002821Z-6eb8", Database: "b", Seq: 9},
		{ID: "20261123T002821Z-7eb8", Database: "b", Seq: 8},
		{ID: "20261123T002821Z-9999", Database: "c", Seq: 0},
		{ID: "20261123T002821Z-8888", Database: "c", Seq: 0},
		{ID: "20251123T002821Z-eeee", Database: "a", Seq: 1},
	}
	got := slices.Clone(want)
	shuffle := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		shuffle.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, func(a, b Archive) int {
			switch {
			case newer(&a, &b):
				return -1
			case newer(&b, &a):
				return 1
			}
			return 0
		})
		for i := range want {
			if got[i].ID != want[i].ID {
				t.Fatalf("place %d has %s, not %s", i, got[i].ID, want[i].ID)
			}
		}
	}
}
