package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestImported: an import stands at its date although its Seq is the highest,
// and never takes the place of the newest backup.
func TestImported(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	one := func(id string, days int, seq int64, imported bool) Archive {
		return Archive{ID: id, Database: "shop", Time: now.AddDate(0, 0, -days), Seq: seq, Good: true, Imported: imported}
	}
	list := []Archive{one("b2", 2, 2, false), one("b4", 4, 1, false), one("i1", 1, 9, true), one("i3", 3, 8, true), one("i9", 9, 7, true)}
	got, err := Decide(now, time.UTC, Policy{Last: 1}, list)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, d := range got {
		order = append(order, fmt.Sprint(d.ID, d.Keep))
	}
	if want := []string{"i1true", "b2true", "i3false", "b4false", "i9false"}; !slices.Equal(order, want) {
		t.Errorf("%v, expected %v", order, want)
	}
	got, err = Decide(now, time.UTC, Policy{Daily: 3}, list[2:])
	if err != nil || len(got) != 3 || got[0].ID != "i1" || !got[2].Keep {
		t.Errorf("imports alone: %+v, %v", got, err)
	}
}
