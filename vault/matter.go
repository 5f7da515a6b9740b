package vault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/tell"
)

// matter is what is the matter with a vault, as it is told: decided without
// a clock and without input or output.
type matter struct {
	f       *healthFacts
	s       tell.State
	listErr error
	after   *ended

	health    *Health
	databases map[string]DatabaseHealth
}

func newMatter(f *healthFacts, s tell.State, listErr error, after *ended) *matter {
	m := &matter{f: f, s: s, listErr: listErr, after: after, databases: map[string]DatabaseHealth{}}
	if after != nil { // it is about to end
		for db, job := range f.running {
			if job == after.job {
				delete(f.running, db)
			}
		}
		m.addFailure()
	}
	m.health = f.health()
	byName := map[string][]Archive{}
	for _, a := range f.archives {
		byName[a.Database] = append(byName[a.Database], a)
	}
	still := *f // a backup that is running has saved nothing yet
	still.running = nil
	for _, st := range f.status {
		if st.State == "running" {
			st.State = "ok"
		}
		if after != nil && after.done.Database == st.Database {
			st.LateFrom = nil // what was waited for has ended
		}
		m.databases[st.Database] = still.database(st, byName[st.Database])
	}
	return m
}

// addFailure notes how the backup failed where the state folder could not:
// it knows no vault when the place was never reached.
func (m *matter) addFailure() {
	d := m.after.done
	if _, known := m.f.failed[d.Database]; known || d.Result != ResultFailed || d.Exit == fault.Running || d.Database == "" {
		return
	}
	e := fault.As(d.Err)
	m.f.failed[d.Database] = failure{m.f.now, Explained{What: e.What, Why: e.Why, Left: e.Left, Do: e.Do}}
	if !slices.ContainsFunc(m.f.status, func(s DatabaseStatus) bool { return s.Database == d.Database }) {
		m.f.status = append(m.f.status, DatabaseStatus{Database: d.Database, State: "failed"})
	}
}

// blind tells that the place could not be read and that nothing is
// remembered of it: nothing is known of any archive.
func (m *matter) blind() bool {
	return m.listErr != nil && fault.CodeOf(m.listErr) != fault.NoVault && !m.f.known
}

// unsure tells of which keys nothing is known now.
func (m *matter) unsure(key string) bool {
	kind, name, _ := strings.Cut(key, "/")
	if m.blind() {
		return kind != "place" && !strings.HasPrefix(key, "warning/sink/")
	}
	if kind == "copies" && len(m.f.running) > 0 {
		return true // they may be on their way
	}
	_, known := m.databases[name]
	return (kind == "late" || kind == "failed") && !known && (m.f.serverErr != nil || m.listErr != nil)
}

// late and failed databases, and places that cannot be read.
func (m *matter) pressing() []tell.Condition {
	var out []tell.Condition
	for _, st := range m.f.status {
		d := m.databases[st.Database]
		if m.late(d) {
			out = append(out, tell.Condition{Key: "late/" + d.Database, Title: d.Database + ": late", Lines: linesOf(d.Explained)})
		}
		if m.failed(d) {
			out = append(out, tell.Condition{Key: "failed/" + d.Database, Title: d.Database + ": backup failed", Lines: linesOf(d.Explained)})
		} else if o, told := m.s.Open["failed/"+d.Database]; told && (d.LastGood == nil || d.LastGood.Before(o.Since)) {
			out = append(out, tell.Condition{Key: "failed/" + d.Database, Title: o.Title, Lines: o.Lines}) // nothing good came after it
		}
	}
	for _, p := range m.health.Places {
		if p.State == "x" && p.Explained != nil {
			l := linesOf(*p.Explained)
			l.Why = join("place "+p.Name+" cannot be read", l.Why)
			out = append(out, tell.Condition{Key: "place/" + p.Name, Title: "place " + p.Name + ": cannot be read", Lines: l})
		}
	}
	return out
}

// late tells that a database could lose more than is allowed. While nothing
// is known of its archives it is not.
func (m *matter) late(d DatabaseHealth) bool {
	if d.LastGood == nil {
		return !m.blind()
	}
	return d.Late(m.f.now)
}

func (m *matter) failed(d DatabaseHealth) bool {
	fail, ok := m.f.failed[d.Database]
	return ok && (d.LastGood == nil || fail.At.After(*d.LastGood))
}

// conditions is all that is the matter. That a sink does not work is told
// where there is another one to tell it.
func (m *matter) conditions(others bool) []tell.Condition {
	out := m.pressing()
	for _, w := range m.health.Warnings {
		if sink, is := strings.CutPrefix(w.Key, "sink/"); is && !others && !strings.HasPrefix(sink, "ping") && !strings.HasPrefix(sink, "metrics_file") {
			continue
		}
		out = append(out, tell.Condition{Key: "warning/" + w.Key, Title: "warning: " + w.What, Lines: linesOf(w)})
	}
	for _, p := range m.health.Places {
		if p.State == "!" && p.Damaged+p.Lacking > 0 && p.Explained != nil {
			out = append(out, tell.Condition{Key: "copies/" + p.Name, Title: "place " + p.Name + ": " + p.Explained.What, Lines: linesOf(*p.Explained)})
		}
	}
	return slices.DeleteFunc(out, func(c tell.Condition) bool {
		_, told := m.s.Open[c.Key]
		return strings.HasPrefix(c.Key, "copies/") && !told && m.unsure(c.Key)
	})
}

// bad is what a watchdog is told, in four lines each.
func (m *matter) bad() []tell.Entry {
	var out []tell.Entry
	for _, c := range m.pressing() {
		out = append(out, tell.Entry{Title: c.Title, Lines: c.Lines})
	}
	return out
}

func linesOf(e Explained) tell.Lines {
	return tell.Lines{What: e.What, Why: e.Why, Left: e.Left, Do: e.Do}
}

// well says that something is over, in four lines.
func (m *matter) well(o tell.Over) tell.Entry {
	kind, name, _ := strings.Cut(o.Key, "/")
	e := tell.Entry{Title: name + ": well again", Lines: tell.Lines{Why: "before, since " + stampOf(o.Since) + ": " + o.What, Left: "what was there is as it was", Do: "nothing"}}
	switch d, known := m.databases[name]; {
	case kind == "place":
		e.Title, e.What = "place "+name+": well again", "place "+name+" can be read again"
	case kind == "copies":
		e.Title, e.What = "place "+name+": copies well again", "every archive has its copy in "+name
	case kind != "late" && kind != "failed":
		e.Title, e.What = "no longer: "+o.What, "this is no longer so"
	case !known:
		e.What = name + " is no longer configured, and the vault holds no archive of it"
	case d.LastGood != nil:
		e.What, e.Left = "a good backup is there: finished "+stampOf(*d.LastGood), kept(d.Archives)
	default:
		e.What = "it is not asked for any more"
	}
	return e
}

// message puts news into words. A database that is late because its backups
// fail is one entry.
func (v *Vault) message(m *matter, n tell.News) tell.Message {
	out := tell.Message{Head: v.head()}
	full := n.New
	if n.Remind {
		full = append(slices.Clone(n.New), n.Still...)
	} else {
		for _, c := range n.Still {
			out.Still = append(out.Still, fmt.Sprintf("%s (since %s)", c.Title, stampOf(m.s.Open[c.Key].Since)))
		}
	}
	var words []string
	for _, c := range full {
		if i := slices.IndexFunc(out.Entries, func(e tell.Entry) bool { return e.Lines == c.Lines }); i >= 0 {
			out.Entries[i].Title += "; " + afterName(c.Title)
			continue
		}
		out.Entries = append(out.Entries, tell.Entry{Title: c.Title, Lines: c.Lines})
	}
	for _, e := range out.Entries {
		words = append(words, e.Title)
	}
	for _, o := range n.Over {
		e := m.well(o)
		if !slices.ContainsFunc(out.Well, func(w tell.Entry) bool { return w.Title == e.Title }) {
			out.Well = append(out.Well, e)
			words = append(words, e.Title)
		}
	}
	text := strings.Join(firstFew(words, 3), ", ")
	if n.Remind && len(n.New)+len(n.Over) == 0 {
		text = "still: " + text
	}
	out.Title = v.title(text)
	return out
}

// afterName is a title without the name it begins with.
func afterName(title string) string {
	if _, rest, ok := strings.Cut(title, ": "); ok {
		return rest
	}
	return title
}

func (v *Vault) title(text string) string {
	t := fmt.Sprintf("pgvault %s on %s: %s", v.c.Name, hostName(), text)
	if v.c.Label != "" {
		t = "[" + v.c.Label + "] " + t
	}
	return t
}

// head says whose message it is.
func (v *Vault) head() string {
	h := "host " + hostName() + ", vault " + v.c.Name
	if v.c.Label != "" {
		h += ", label " + v.c.Label
	}
	return h + ", " + stampOf(v.now())
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// metrics is the vault in numbers.
func (v *Vault) metrics(f *healthFacts, s tell.State) *tell.Metrics {
	h := f.health()
	m := &tell.Metrics{Vault: v.c.Name, Version: v.c.Version, At: f.now, Recipients: len(h.Keys), Warnings: len(h.Warnings)}
	if h.KeyUsed != nil {
		m.KeyUsed = *h.KeyUsed
	}
	good := f.byDatabase()
	for _, d := range h.Databases {
		m.Databases = append(m.Databases, databaseMetrics(f, d, good[d.Database]))
	}
	for _, p := range h.Places {
		m.Places = append(m.Places, tell.PlaceMetrics{Name: p.Name, Reachable: p.State != "x", Free: p.Free, Total: p.Total})
	}
	for _, name := range v.c.Tell.sinks() {
		_, broken := s.Failing[name]
		m.Sinks = append(m.Sinks, tell.SinkMetrics{Name: name, Works: !broken})
	}
	return m
}

func databaseMetrics(f *healthFacts, d DatabaseHealth, good []Archive) tell.DatabaseMetrics {
	out := tell.DatabaseMetrics{Name: d.Database, MaxAge: allowed(d.DatabaseStatus), Archives: len(good), Copies: map[string]int{}, Late: d.LastGood == nil}
	if d.LastGood != nil {
		out.NewestGood = *d.LastGood
		out.Late = d.Late(f.now)
	}
	if d.ProvenAt != nil {
		out.NewestProven = *d.ProvenAt
	}
	fail, failed := f.failed[d.Database]
	out.Failed = failed && (d.LastGood == nil || fail.At.After(*d.LastGood))
	for i, a := range good {
		if i == 0 {
			out.Tables, out.Rows, out.Bytes, out.Stored, out.Duration = a.Tables, a.Rows, a.Bytes, a.Stored, a.Finished.Sub(a.Started)
		}
		for _, c := range a.Copies {
			if c.State == CopyGood {
				out.Copies[c.Place]++
			}
		}
	}
	return out
}

// drillNote is what the state folder remembers of the last drill that every
// archive passed.
type drillNote struct {
	At       time.Time `json:"at"`
	Vault    string    `json:"vault"`
	Key      string    `json:"key"` // which identity
	Archives int       `json:"archives"`
}
