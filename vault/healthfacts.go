package vault

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/tell"
)

// healthFacts is all that Health is told from; health decides without a
// clock and without input or output.
type healthFacts struct {
	now        time.Time
	status     []DatabaseStatus
	archives   []Archive          // newest first
	serverErr  error              // the server did not say which databases there are
	failed     map[string]failure // by database: how its last backup failed
	running    map[string]string  // by database: the running backup's job
	runningAny bool
	idle       bool   // there is a schedule, and nothing that would start what is due
	starter    string // what starts scheduled backups, "" for nothing or unknown
	places     []placeFacts
	wanted     func(database string) int // how many copies each archive is to have
	waiting    []*pending
	keys       []string
	keysErr    error
	trail      Trail

	known       bool             // something is known of at least one place
	drilled     *time.Time       // the last drill that the state folder knows of
	drillEvery  time.Duration    // 0: nothing is asked
	proofMaxAge time.Duration    // of a proof by restore; 0: nothing is asked
	minFree     map[string]int64 // by place: bytes that are to stay free
	failing     map[string]tell.Broken
	switches    []Explained // that were broken off
	sheet       SheetState
	drillsOnly  bool // nothing is backed up from this host
	retention   *NextRetention
}

// placeFacts is what is known of one place.
type placeFacts struct {
	name, url   string
	err         error // it could not be read
	asking      bool  // it has not answered yet
	empty       bool  // it can be read, and there is no vault yet
	free, total int64
	archives    int
	listedAt    time.Time
	newest      int64 // size of the largest archive
	lacking     int   // archives that ought to have a copy there
	damaged     int
	unread      time.Time // since when a good copy has waited longest to be read back
}

func (f *healthFacts) health() *Health {
	h := &Health{At: f.now, Databases: []DatabaseHealth{}, Keys: f.keys, KeyUsed: f.keyUsed(), Sheet: f.sheet, Retention: f.retention}
	h.Places = []PlaceHealth{}
	for _, p := range f.places {
		h.Places = append(h.Places, p.health(f.now))
	}
	h.Warnings = append(f.warnings(), f.moreWarnings(h.Places)...)
	byName := map[string][]Archive{}
	for _, a := range f.archives {
		byName[a.Database] = append(byName[a.Database], a)
	}
	for _, s := range f.status {
		h.Databases = append(h.Databases, f.database(s, byName[s.Database]))
	}
	for _, s := range f.unproven() {
		if i := slices.IndexFunc(h.Databases, func(d DatabaseHealth) bool { return d.Database == s.Database }); i >= 0 {
			h.Databases[i].ProofLate = true
		}
	}
	slices.SortStableFunc(h.Databases, func(a, b DatabaseHealth) int {
		return cmp.Or(cmp.Compare(badness(a.State), badness(b.State)), cmp.Compare(f.overdue(b), f.overdue(a)), cmp.Compare(a.Database, b.Database))
	})
	return h
}

// overdue is how far a database is over what is allowed, negative below.
func (f *healthFacts) overdue(d DatabaseHealth) time.Duration {
	if d.LastGood == nil {
		return 0
	}
	return f.now.Sub(*d.LastGood) - allowed(d.DatabaseStatus)
}

func allowed(s DatabaseStatus) time.Duration { return time.Duration(s.MaxAgeSeconds) * time.Second }

func (f *healthFacts) database(s DatabaseStatus, list []Archive) DatabaseHealth {
	d := DatabaseHealth{DatabaseStatus: s, Places: f.wanted(s.Database), Job: f.running[s.Database]}
	if d.Job != "" {
		d.State = "running"
	}
	var newest *Archive
	for i, a := range list {
		if a.State != "good" {
			continue
		}
		d.Archives++
		if newest == nil {
			newest = &list[i]
			d.Copies = a.copiesNow()
		}
	}
	d.Explained = f.explain(d, newest, list)
	return d
}

// explain gives the four lines of one database.
func (f *healthFacts) explain(d DatabaseHealth, newest *Archive, list []Archive) Explained {
	e := Explained{Left: kept(d.Archives), Do: "pgvault backup " + safetext.Word(d.Database)}
	fail, failed := f.failed[d.Database]
	failed = failed && (d.LastGood == nil || fail.At.After(*d.LastGood))
	late := d.LastGood != nil && d.Late(f.now)
	switch {
	case d.LastGood == nil:
		e.What = "no good backup yet"
		if d.MaxAgeSeconds > 0 {
			e.What += "; you allow " + span(allowed(d.DatabaseStatus))
		}
	case late:
		e.What = fmt.Sprintf("no good backup for %s; you allow %s", span(f.now.Sub(*d.LastGood)), span(allowed(d.DatabaseStatus)))
	default:
		e.What = fmt.Sprintf("the newest good backup is %s old", span(f.now.Sub(*d.LastGood)))
		if d.MaxAgeSeconds > 0 {
			e.What += "; you allow " + span(allowed(d.DatabaseStatus))
		}
	}
	switch {
	case d.State == "running" && d.Job == "" && d.LateFrom != nil && !late && f.now.Sub(*d.LastGood) > allowed(d.DatabaseStatus):
		e.What, e.Why, e.Do = "its scheduled backup waits for its turn; before it: "+e.What, "the runner of the schedules is at work, and does one after another", "pgvault job list"
	case d.State == "running":
		e.What, e.Why, e.Do = "a backup is running; before it: "+e.What, "started, not ended yet", "pgvault job list"
	case failed:
		e.Why = fmt.Sprintf("the backup of %s failed: %s", stampOf(fail.At), join(fail.What, fail.Why))
		if fail.Do != "" {
			e.Do = fail.Do + "; then " + e.Do
		}
		if !late && d.LastGood != nil {
			e.What = "the last backup failed; " + e.What
		}
	case len(list) > 0 && ahead(list[0], f.now) && (late || d.LastGood == nil):
		e.Why = fmt.Sprintf("the archive %s is dated %s, later than this host's clock: it does not count", list[0].ID, stampOf(list[0].Finished))
		e.Do = "set the clock that is wrong; then " + e.Do
	case len(list) > 0 && list[0].State != "good" && (late || d.LastGood == nil):
		e.Why = fmt.Sprintf("the newest archive %s is %s", list[0].ID, join(list[0].State, list[0].Reason))
	case d.LastGood == nil && len(list) == 0:
		e.Why = "nothing has started a backup of it"
	case late:
		e.Why = "nothing started a backup since " + stampOf(*d.LastGood)
	default:
		e.Why, e.Do = proofLine(d, newest), f.proveLine(d)
	}
	return e
}

// proofLine says how far the newest good archive is proven.
func proofLine(d DatabaseHealth, newest *Archive) string {
	if newest == nil {
		return ""
	}
	line := fmt.Sprintf("finished %s with %s, %s; proof: %s", stampOf(newest.Finished), plural(int64(newest.Tables), "table"), plural(newest.Rows, "row"), newest.Proof)
	if d.ProvenAt != nil {
		return line + "; last proven by a restore " + stampOf(*d.ProvenAt)
	}
	return line + "; never proven by a restore"
}

func (f *healthFacts) proveLine(d DatabaseHealth) string {
	if d.ProvenAt != nil {
		return "nothing"
	}
	return "pgvault verify " + safetext.Word("latest:"+d.Database) + " --level restored -i KEY"
}

func kept(n int) string {
	switch n {
	case 0:
		return "there is no older archive to fall back on"
	case 1:
		return "1 good archive is there"
	}
	return fmt.Sprintf("%d good archives are there", n)
}

// warnings are those of the vault as a whole.
func (f *healthFacts) warnings() []Explained {
	out := []Explained{}
	add := func(key, what, why, left, do string) {
		out = append(out, Explained{Key: key, What: what, Why: why, Left: left, Do: do})
	}
	if f.trail.Broken > 0 {
		add("trail", "the audit trail is broken", fmt.Sprintf("line %d does not follow from the one before: it, or one before it, was changed or removed", f.trail.Broken),
			"the archives are not concerned; what the trail says before that line still holds together", "find out who can write to the state folder, and keep a copy of the trail")
	}
	switch {
	case f.drillsOnly: // they are the other host's, which seals to them
	case f.keysErr != nil:
		e := fault.As(f.keysErr)
		add("recipients", e.What, e.Why, e.Left, e.Do)
	case len(f.keys) < 2:
		add("recipients", "there is only one recipient", "lose the one key, and every archive is lost", "the archives are as they were",
			"add a second recipient, whose key is kept in a safe")
	}
	if f.serverErr != nil {
		e := fault.As(f.serverErr)
		add("server", "the server does not say which databases there are: "+e.What, e.Why, "those configured by name, and those with archives, are shown", e.Do)
	}
	late := map[string]int{}
	for _, w := range f.waiting {
		for _, p := range w.Places {
			late[p]++
		}
	}
	for _, p := range slices.Sorted(maps.Keys(late)) {
		add("waiting/"+p, many(late[p], "deletion or pin waits for "+p, "deletions and pins wait for "+p), "the place did not take them when they were made", "what is told of it is as it was there",
			"the next pgvault delete, pin or unpin tries again")
	}
	const nothing, left = "nothing starts backups by itself", "the archives are as they were"
	switch {
	case f.drillsOnly:
	case f.idle:
		add("idle", nothing, "there is a schedule, and neither a timer, a crontab nor pgvault timer run that would start what is due", left, "pgvault timer install")
	case f.nothingStarts() && f.starter != "":
		add("idle", nothing, "no backup of any database was made or tried within the age that you allow, though there is "+f.starter, left, "pgvault timer show")
	case f.nothingStarts():
		add("idle", nothing, "no backup of any database was made or tried within the age that you allow", left, "set schedule = \"02:00\" under [defaults], then pgvault timer install")
	}
	return out
}

// nothingStarts tells that for no database a backup was made, tried or is
// running within what is allowed for it.
func (f *healthFacts) nothingStarts() bool {
	if f.runningAny || len(f.running) > 0 || len(f.status) == 0 {
		return false
	}
	for _, s := range f.status {
		fail, failed := f.failed[s.Database]
		tried := failed && (s.MaxAgeSeconds == 0 || f.now.Sub(fail.At) <= allowed(s))
		if s.State == "running" || !s.Late(f.now) || tried {
			return false
		}
	}
	return true
}

func (p placeFacts) health(now time.Time) PlaceHealth {
	h := PlaceHealth{Name: p.name, URL: p.url, State: "ok", Free: p.free, Total: p.total, Reachable: p.err == nil, Archives: p.archives, Lacking: p.lacking, Damaged: p.damaged}
	if !p.unread.IsZero() {
		at := p.unread
		h.OldestUnread = &at
	}
	if p.asking {
		h.State, h.Text, h.Reachable = PlaceAsking, "asking...", false
		if !p.listedAt.IsZero() {
			h.Text += fmt.Sprintf("; %s ago it held %d archives", span(now.Sub(p.listedAt)), p.archives)
		}
		return h
	}
	if p.err != nil {
		e := fault.As(p.err)
		h.State, h.Text = "x", "cannot be read: "+join(e.What, e.Why)
		if e.Code == fault.PlaceUnreachable && e.Why != "" {
			h.Text = "cannot be read: " + e.Why // what names the place once more
		}
		h.Explained = &Explained{What: e.What, Why: e.Why, Left: e.Left, Do: e.Do}
		if !p.listedAt.IsZero() {
			h.Text += fmt.Sprintf("; %s ago it held %d archives", span(now.Sub(p.listedAt)), p.archives)
			h.Explained.Left = fmt.Sprintf("%s ago it held %d archives; nothing there was changed", span(now.Sub(p.listedAt)), p.archives)
		}
		return h
	}
	h.Text = room(p.free, p.total)
	attention := func(text string, e Explained) {
		h.State = "!"
		h.Text += "; " + text
		if h.Explained == nil {
			h.Explained = &e
		}
	}
	if p.empty {
		h.Text += "; no vault yet, the first backup makes it"
	}
	if p.damaged > 0 {
		text := many(p.damaged, "copy is damaged", "copies are damaged")
		attention(text, Explained{What: text + " in " + p.name, Why: "their bytes are not those of the archives", Left: "nothing was changed; copies in other places are as they were",
			Do: "pgvault copy --missing makes them anew from good ones; pgvault list --filter is:damaged shows them"})
	}
	if p.lacking > 0 && !p.empty {
		text := many(p.lacking, "archive has no copy here", "archives have no copy here")
		attention(text, Explained{What: text + ": " + p.name, Why: "it was not made yet, or failed", Left: "the copies in other places are as they were", Do: "pgvault copy --missing --to " + safetext.Word(p.name)})
	}
	if p.free >= 0 && p.newest > 0 && p.free < p.newest {
		text := "less than the largest archive needs (" + bytesText(p.newest) + ")"
		attention(text, Explained{What: room(p.free, p.total) + " in " + p.name + ", " + text, Why: "the place fills up", Left: "what lies there is as it was", Do: "free space there, or let older archives go"})
	}
	return h
}

// many is a number with the words for one and for more.
func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func room(free, total int64) string {
	switch {
	case free < 0:
		return "free space unknown"
	case total < 0:
		return bytesText(free) + " free"
	}
	return bytesText(free) + " of " + bytesText(total) + " free"
}

func bytesText(n int64) string {
	const units = "KMGTP"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.5 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, units[i])
	}
	return fmt.Sprintf("%.0f %ciB", f, units[i])
}

// span writes a duration in words: "3 days", "1 hour".
func span(d time.Duration) string {
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		n := int64(d / u.d)
		if u.name == "day" && d < 48*time.Hour && d%(24*time.Hour) != 0 {
			continue // 26 hours say more than 1 day
		}
		switch {
		case n == 1:
			return "1 " + u.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "0 seconds"
}

// stampOf writes a moment for people, in UTC: a face that shows local times
// has the numbers beside it.
func stampOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + "Z" }

func join(what, why string) string {
	if why == "" || strings.HasSuffix(what, why) {
		return what
	}
	return what + ": " + why
}
