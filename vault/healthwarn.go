package vault

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"pgvault/safetext"
	"pgvault/vault/retention"
	"pgvault/vault/tell"
)

// askState reads what the state folder knows beside the last runs.
func (f *healthFacts) askState(v *Vault) {
	f.drillsOnly = v.c.DrillsOnly
	f.drillEvery, f.proofMaxAge, f.minFree = v.c.DrillEvery, v.c.ProofMaxAge, map[string]int64{}
	for _, p := range v.c.Places {
		f.minFree[p.Name] = p.MinFree
	}
	f.failing = v.tellState().Failing
	f.switches = v.switchWarnings()
	var d drillNote
	if src, err := os.ReadFile(v.drillPath()); err == nil && json.Unmarshal(src, &d) == nil && d.Vault == v.c.Name && !d.At.IsZero() {
		f.drilled = &d.At
	}
}

// keyUsed is when an identity of a person last opened an archive: by the
// archives' signed proofs, and by the drills that this host remembers.
func (f *healthFacts) keyUsed() *time.Time {
	at := keyUsed(f.archives)
	if at == nil || f.drilled != nil && f.drilled.After(*at) {
		return f.drilled
	}
	return at
}

// moreWarnings are those of the newest archives, the places, the keys and
// the sinks.
func (f *healthFacts) moreWarnings(places []PlaceHealth) []Explained {
	var out []Explained
	byName := f.byDatabase()
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, archiveWarnings(name, byName[name])...)
		out = append(out, f.aheadWarning(name, byName[name])...)
	}
	out = append(f.switches[:len(f.switches):len(f.switches)], out...)
	for _, p := range places {
		if e, ok := spaceWarning(p, f.minFree[p.Name], byName); ok {
			out = append(out, e)
		}
	}
	if e, ok := f.drillWarning(); ok {
		out = append(out, e)
	}
	if e, ok := f.proofWarning(); ok {
		out = append(out, e)
	}
	if e, ok := f.sheet.warning(); ok {
		out = append(out, e)
	}
	for _, name := range slices.Sorted(maps.Keys(f.failing)) {
		out = append(out, sinkWarning(name, f.failing[name]))
	}
	return out
}

// byDatabase gives the good archives of each database, newest first.
func (f *healthFacts) byDatabase() map[string][]Archive {
	out := map[string][]Archive{}
	for _, a := range f.archives {
		if a.State == "good" {
			out[a.Database] = append(out[a.Database], a)
		}
	}
	return out
}

// shrunk tells that an archive is less than half as large as the one before.
func shrunk(bytes, before int64) bool { return bytes < before/2 }

// archiveWarnings are those of a database's newest good archive; list has
// its good archives, newest first.
func archiveWarnings(name string, list []Archive) []Explained {
	var out []Explained
	newest, known := list[0], 0
	latest := safetext.Word("latest:" + name)
	if newest.Tables == 0 {
		known++
		out = append(out, Explained{Key: "empty/" + name, What: "the newest archive of " + name + " holds no table", Why: "the database has none, or the backup's role sees none",
			Left: "the archive " + newest.ID + " is there; older ones are as they were", Do: "look whether the database is the right one: pgvault show " + latest})
	}
	if len(list) > 1 && shrunk(newest.Bytes, list[1].Bytes) {
		known++
		out = append(out, Explained{Key: "shrunk/" + name, What: "the newest archive of " + name + " is less than half as large as the one before: " + bytesText(newest.Bytes) + " after " + bytesText(list[1].Bytes),
			Why: fmt.Sprintf("%d rows after %d: something was deleted, or not seen", newest.Rows, list[1].Rows), Left: "the one before, " + list[1].ID + ", is as it was",
			Do: "keep that one until you know why: pgvault pin " + list[1].ID})
	}
	if n := newest.Warnings - known; n > 0 {
		out = append(out, Explained{Key: "warnings/" + name, What: fmt.Sprintf("the newest archive of %s was made with %s", name, plural(int64(n), "warning")), Why: "pg_dump went on after it had something to say",
			Left: "the archive is whole as it was written", Do: "read them: pgvault job log, or pgvault show " + latest + " -i KEY"})
	}
	return out
}

// aheadWarning tells that archives of a database are dated after now: then
// retention does nothing, and how old the newest is cannot be told.
func (f *healthFacts) aheadWarning(name string, list []Archive) []Explained {
	n := 0
	for _, a := range list {
		if a.Started.After(f.now.Add(retention.Skew)) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	i := slices.IndexFunc(list, func(a Archive) bool { return a.Started.After(f.now.Add(retention.Skew)) })
	backup := "make a backup"
	if list[i].Proof == ProofRestored { // the newest proven one cannot be deleted
		backup += ", prove it (pgvault verify --level restored)"
	}
	return []Explained{{Key: "ahead/" + name, What: many(n, "archive of "+name+" is", "archives of "+name+" are") + " dated in the future",
		Why:  fmt.Sprintf("%s is of %s, and here it is %s: one of the clocks is or was wrong", list[i].ID, stampOf(list[i].Started), stampOf(f.now)),
		Left: "the archives are as they were; retention removes nothing meanwhile",
		Do:   "set this host's clock; if the other one was wrong, " + backup + ", then pgvault delete " + safetext.Word(name+"/"+list[i].ID)}}
}

// trend is how many of the last archives tell how they grow.
const trend = 7

// nextSize is what the next archive will need: a fifth more than the newest,
// or what it comes to if the archives go on growing as they did.
func nextSize(list []Archive) int64 {
	if len(list) == 0 {
		return 0
	}
	need, n := list[0].Stored+list[0].Stored/5, min(len(list), trend)
	if n > 1 {
		need = max(need, list[0].Stored+(list[0].Stored-list[n-1].Stored)/int64(n-1))
	}
	return need
}

// spaceWarning tells that a place will be full before each of its databases
// has had its next backup. What retention will remove until then is not
// counted on.
func spaceWarning(p PlaceHealth, minFree int64, byName map[string][]Archive) (Explained, bool) {
	if p.State == "x" || p.State == PlaceAsking || p.Free < 0 {
		return Explained{}, false
	}
	var need int64
	var names []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		here := slices.DeleteFunc(slices.Clone(byName[name]), func(a Archive) bool {
			return !slices.ContainsFunc(a.Copies, func(c Copy) bool { return c.Place == p.Name && c.State == CopyGood })
		})
		if len(here) > 0 {
			need += nextSize(here)
			names = append(names, name)
		}
	}
	if need == 0 || p.Free-minFree >= need {
		return Explained{}, false
	}
	e := Explained{Key: "space/" + p.Name, What: fmt.Sprintf("place %s will be full before the next backup of %s is done", p.Name, strings.Join(firstFew(names, 3), ", ")),
		Why:  fmt.Sprintf("%s free; at this pace the next round needs %s", bytesText(p.Free), bytesText(need)),
		Left: "the archives in it are as they were", Do: "free space there, or keep less: pgvault retention"}
	if minFree > 0 {
		e.Why += ", and " + bytesText(minFree) + " are to stay free"
	}
	return e, true
}

// drillWarning tells that no person's key was tried for too long. Where none
// ever was, that counts from the oldest archive.
func (f *healthFacts) drillWarning() (Explained, bool) {
	if f.drillEvery <= 0 || len(f.archives) == 0 {
		return Explained{}, false
	}
	e := Explained{Key: "drill", Left: "the archives are as they were; whether a key that is held opens them is not known", Do: "pgvault key drill -i KEY, where the key is"}
	at := f.keyUsed()
	if at == nil {
		oldest := f.archives[0].Started
		for _, a := range f.archives {
			if !a.Started.IsZero() && a.Started.Before(oldest) {
				oldest = a.Started
			}
		}
		e.What, e.Why = "no key of a person was ever tried on these archives", "the first is "+span(f.now.Sub(oldest))+" old; you ask for a drill every "+span(f.drillEvery)
		return e, f.now.Sub(oldest) > f.drillEvery
	}
	e.What = fmt.Sprintf("no key of a person was used for %s; you ask for a drill every %s", span(f.now.Sub(*at)), span(f.drillEvery))
	e.Why = "the last time was " + stampOf(*at)
	return e, f.now.Sub(*at) > f.drillEvery
}

func sinkWarning(name string, b tell.Broken) Explained {
	return Explained{Key: "sink/" + name, What: "what is to be told does not arrive: " + name, Why: b.Why + " (since " + stampOf(b.Since) + ")",
		Left: "backups go on; the other sinks are told", Do: "mend it, then: pgvault alert test"}
}
