package tell

import (
	"maps"
	"slices"
	"time"
)

// Condition is one thing that is the matter now.
type Condition struct {
	Key   string // the same as long as it is the same matter: "late/shop"
	Title string // for people: "shop: late"
	Lines
}

// State is what was told, kept from one look to the next in the state
// folder. It holds no address.
type State struct {
	Open     map[string]Open   `json:"open"`     // what was told and is not over
	Listed   time.Time         `json:"listed"`   // when all that is open was last told of
	Failing  map[string]Broken `json:"failing"`  // sinks that did not take the last message, by what Show gives
	Attempts Attempts          `json:"attempts"` // of a message that no sink took
}

// Open is a condition that was told.
type Open struct {
	Title string    `json:"title"`
	Since time.Time `json:"since"` // when it was first told
	Lines
}

// Broken is a sink that does not work.
type Broken struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"` // scrubbed
}

// Attempts counts the tries to tell the same news.
type Attempts struct {
	Keys []string  `json:"keys,omitempty"` // of the news, sorted
	N    int       `json:"n,omitempty"`
	Last time.Time `json:"last,omitzero"`
}

// News is what is to be told now; empty: nothing.
type News struct {
	New    []Condition
	Over   []Over
	Still  []Condition // told before; with Remind as full as what is new
	Remind bool
}

// Over is a condition that was told and is no longer there.
type Over struct {
	Key string
	Open
}

// Empty tells whether there is nothing to tell.
func (n News) Empty() bool { return len(n.New) == 0 && len(n.Over) == 0 && !n.Remind }

// Decide says what is to be told: what was not told yet, what was told and
// is over, and, where something stays the matter and all of it was last told
// of longer than remind ago, all of it again. Of a key for which unsure says
// true nothing is known now: it is not over because it is not in now. A
// message that no sink took is tried again after pauses that grow from five
// minutes to remind, so that a sink which fails after it has delivered to
// some is no flood. Decide has no clock and changes nothing: what it decided
// is noted by State.Told or State.NotTold.
func Decide(s State, at time.Time, now []Condition, unsure func(key string) bool, remind time.Duration) News {
	var n News
	is := map[string]bool{}
	for _, c := range now {
		is[c.Key] = true
		if _, told := s.Open[c.Key]; told {
			n.Still = append(n.Still, c)
		} else {
			n.New = append(n.New, c)
		}
	}
	open := 0
	for _, k := range slices.Sorted(maps.Keys(s.Open)) {
		switch {
		case is[k]:
			open++
		case unsure != nil && unsure(k):
			o := s.Open[k]
			n.Still = append(n.Still, Condition{Key: k, Title: o.Title, Lines: o.Lines})
			open++
		default:
			n.Over = append(n.Over, Over{k, s.Open[k]})
		}
	}
	n.Remind = open > 0 && remind > 0 && at.Sub(s.Listed) >= remind
	if !n.Empty() && slices.Equal(s.Attempts.Keys, n.keys()) && at.Sub(s.Attempts.Last) < s.Attempts.pause(remind) {
		return News{}
	}
	return n
}

// pause is how long to wait before the next attempt.
func (a Attempts) pause(most time.Duration) time.Duration {
	if most <= 0 {
		most = 24 * time.Hour
	}
	d := 5 * time.Minute
	for range min(a.N-1, 8) {
		d *= 4
	}
	return min(d, most)
}

// keys names the news, whatever the order: + new, - over, * a reminder.
func (n News) keys() []string {
	var out []string
	for _, c := range n.New {
		out = append(out, "+"+c.Key)
	}
	for _, o := range n.Over {
		out = append(out, "-"+o.Key)
	}
	if n.Remind {
		out = append(out, "*")
	}
	slices.Sort(out)
	return out
}

// Told is the state after the news arrived somewhere.
func (s State) Told(n News, at time.Time) State {
	open := maps.Clone(s.Open)
	if open == nil {
		open = map[string]Open{}
	}
	for _, c := range n.New {
		open[c.Key] = Open{Title: c.Title, Since: at, Lines: c.Lines}
	}
	for _, c := range n.Still {
		o := open[c.Key]
		o.Title, o.Lines = c.Title, c.Lines
		open[c.Key] = o
	}
	for _, o := range n.Over {
		delete(open, o.Key)
	}
	s.Open, s.Attempts, s.Listed = open, Attempts{}, at
	return s
}

// NotTold is the state after no sink took the news.
func (s State) NotTold(n News, at time.Time) State {
	if keys := n.keys(); !slices.Equal(keys, s.Attempts.Keys) {
		s.Attempts = Attempts{Keys: keys}
	}
	s.Attempts.N++
	s.Attempts.Last = at
	return s
}

// Heard notes which sinks work; configured are those that there are now.
func (s State) Heard(results []Result, configured []string, at time.Time) State {
	failing := map[string]Broken{}
	for k, b := range s.Failing {
		if slices.Contains(configured, k) {
			failing[k] = b
		}
	}
	for _, r := range results {
		switch b, was := failing[r.Sink]; {
		case r.Err == nil:
			delete(failing, r.Sink)
		case was:
			failing[r.Sink] = Broken{b.Since, r.Err.Error()}
		default:
			failing[r.Sink] = Broken{at, r.Err.Error()}
		}
	}
	s.Failing = failing
	return s
}
