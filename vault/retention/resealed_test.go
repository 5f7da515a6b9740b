package retention

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestResealed: of one dump that was encrypted twice, the rules count one, and
// the order is that of the dumps.
func TestResealed(t *testing.T) {
	twin := func(a Archive, id string) Archive {
		a.ID, a.Resealed = id, ""
		return a
	}
	newest, older, oldest := back(0, ""), back(day, ""), back(2*day, "*")
	made := twin(older, "a-made")
	older.Resealed = made.ID
	made2 := twin(oldest, "b-made")
	made2.Proven = false
	oldest.Resealed = made2.ID
	lost := twin(oldest, "c-lost")
	lost.Proven, lost.Resealed = false, "gone"
	for _, c := range []struct {
		name string
		in   []Archive
		want []string
	}{
		{"the old one goes, and fills no rule", []Archive{newest, older, made}, []string{"keep: last 1 of 2, newest good", "keep: last 2 of 2", "drop: resealed as a-made"}},
		{"in any order", []Archive{older, made, newest}, []string{"keep: last 1 of 2, newest good", "keep: last 2 of 2", "drop: resealed as a-made"}},
		{"the newest that a restore has proven stays", []Archive{newest, oldest, made2}, []string{"keep: last 1 of 2, newest good", "keep: last 2 of 2", "keep: newest proven by restore, resealed as b-made"}},
		{"one whose twin is not there counts", []Archive{newest, lost}, []string{"keep: last 1 of 2, newest good", "keep: last 2 of 2"}},
		{"nor one whose twin is damaged", []Archive{newest, older, func() Archive { m := made; m.Good = false; return m }()},
			[]string{"keep: last 1 of 2, newest good", "drop: damaged: does not count", "keep: last 2 of 2"}},
		{"of the newest, the twin is the newest", []Archive{older, made}, []string{"keep: last 1 of 2, newest good", "drop: resealed as a-made"}},
	} {
		got := decisions(t, Policy{Last: 2}, c.in)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
	circle := []Archive{back(0, ""), back(time.Hour, "")}
	circle[0].Resealed, circle[1].Resealed = circle[1].ID, circle[0].ID
	if got := decisions(t, Policy{Last: 2}, circle); !slices.Equal(got, []string{"keep: last 1 of 2, newest good", "keep: last 2 of 2"}) {
		t.Errorf("a circle: %v", got)
	}
}

func decisions(t *testing.T, p Policy, in []Archive) (out []string) {
	t.Helper()
	list, err := Decide(now, time.UTC, p, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		word := "drop: "
		if d.Keep {
			word = "keep: "
		}
		out = append(out, word+strings.Join(d.Reasons, ", "))
	}
	return out
}
