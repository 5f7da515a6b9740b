package vault

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// object names an entry of a table of contents, the same in two dumps of
// equal databases whatever their ids are.
type object struct{ desc, namespace, tag string }

func (o object) String() string { return strings.ToLower(o.desc) + " " + o.named() }

func (o object) named() string {
	if o.namespace != "" {
		return o.namespace + "." + o.tag
	}
	return o.tag
}

// incomparable entries describe the dump or the database's name, which a
// restored database does not share.
func incomparable(e *dumpfile.Entry, noOwner bool) bool {
	switch e.Desc {
	case "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "TABLE DATA", "BLOBS", "BLOB", "BLOB METADATA":
		return true // rows and large objects are compared by digest
	case "ACL", "DEFAULT ACL":
		return noOwner || strings.HasPrefix(e.Tag, "DATABASE ") || e.Namespace == "" && strings.HasPrefix(e.Tag, "SCHEMA ")
	case "COMMENT", "SECURITY LABEL":
		return strings.HasPrefix(e.Tag, "DATABASE ") || strings.HasPrefix(e.Tag, "LARGE OBJECT") || strings.HasPrefix(e.Tag, "SCHEMA ") || strings.HasPrefix(e.Tag, "EXTENSION ")
	}
	return false
}

// objects gathers the definitions of the entries that can be compared. Some
// share a name, as overloaded operators do: theirs are sorted.
func (r *restoration) objects(t *dumpfile.TOC, only *selection) map[object][]string {
	out := map[object][]string{}
	for i := range t.Entries {
		e := &t.Entries[i]
		if incomparable(e, r.noOwner) || only != nil && !only.entries[e.ID] || t == r.toc && r.without[e.ID] {
			continue
		}
		o, defn := object{e.Desc, e.Namespace, e.Tag}, e.Defn
		if e.Desc == "EVENT TRIGGER" && r.confine != nil { // made, and disabled
			defn = ""
		}
		if e.Desc == "ACL" { // granted in another order is granted all the same
			lines := strings.Split(defn, "\n")
			sort.Strings(lines)
			defn = strings.Join(lines, "\n")
		}
		out[o] = append(out[o], defn)
	}
	for _, defns := range out {
		sort.Strings(defns)
	}
	return out
}

// compareObjects holds both tables of contents against each other: an
// object that is missing is a difference, a sequence that stands elsewhere
// too, and other grants where both dumps are by the same pg_dump. Any other
// definition that reads differently is only a warning: servers write some
// expressions in other words after a round trip.
func (r *restoration) compareObjects(s *compareScan, now *pg.Catalog) {
	want, got := r.objects(r.toc, r.only), r.objects(s.toc, nil)
	var names []object
	for o := range want {
		names = append(names, o)
	}
	sort.Slice(names, func(i, j int) bool { return names[i].String() < names[j].String() })
	sameProgram := strings.HasPrefix(r.o.Manifest.DumpVersion, strconv.Itoa(r.dump.Major)+".") && r.catalog.Server.Major() == now.Server.Major()
	reads := []string{}
	for _, o := range names {
		found, ok := got[o]
		switch {
		case !ok || len(found) < len(want[o]):
			s.diffs = append(s.diffs, Difference{Table: o.String(), Why: "is missing in the restored database"})
		case slices.Equal(found, want[o]):
		case o.desc == "SEQUENCE SET":
			s.diffs = append(s.diffs, Difference{Table: "sequence " + pg.QuoteName(o.namespace, o.tag), Why: "stands elsewhere than in the archive"})
		case o.desc == "ACL" && sameProgram:
			s.diffs = append(s.diffs, Difference{Table: "grants on " + o.named(), Why: "are not as they were"})
		default:
			reads = append(reads, o.String())
		}
	}
	if len(reads) > 0 && r.catalog.Server.Major() == r.dump.Major {
		r.warn(fmt.Sprintf("%d definitions read differently after the restore: %s", len(reads), strings.Join(firstFew(reads, 3), ", ")))
	}
}

// compareFacts holds what the catalogs say: nothing may be invalid now that
// was valid at the source, and extensions are all there.
func (r *restoration) compareFacts(s *compareScan, now *pg.Catalog) {
	was := r.catalog
	if src, err := json.Marshal(now); err == nil { // names of no valid UTF-8 are then written as was's are
		now = &pg.Catalog{}
		_ = json.Unmarshal(src, now)
	}
	worse := func(kind string, before, after []string) {
		for _, name := range after {
			if !slices.Contains(before, name) {
				s.diffs = append(s.diffs, Difference{Table: kind + " " + name, Why: "is not valid in the restored database"})
			}
		}
	}
	worse("index", was.Facts.InvalidIndexes, now.Facts.InvalidIndexes)
	worse("constraint", was.Facts.UnvalidatedConstraints, now.Facts.UnvalidatedConstraints)
	worse("materialized view", was.Facts.UnpopulatedMatviews, now.Facts.UnpopulatedMatviews)
	have := map[string]string{}
	for _, e := range now.Extensions {
		have[e.Name] = e.Version
	}
	for _, e := range was.Extensions {
		if v, ok := have[e.Name]; !ok && r.leftOut(e.Name) {
			continue
		} else if !ok {
			s.diffs = append(s.diffs, Difference{Table: "extension " + e.Name, Why: "is missing in the restored database"})
		} else if v != e.Version {
			r.warn(fmt.Sprintf("extension %s is version %s here and was %s", e.Name, v, e.Version))
		}
	}
	r.compareSettings(s, now)
}

func (r *restoration) compareSettings(s *compareScan, now *pg.Catalog) {
	if r.noOwner || r.bare {
		return
	}
	for _, w := range r.catalog.Database.Settings {
		if !slices.Contains(now.Database.Settings, w) && !slices.Contains(r.unfit, w) {
			s.diffs = append(s.diffs, Difference{Table: "database setting " + w.Name, Why: "is not as it was"})
		}
	}
	for _, g := range r.catalog.Database.Grants {
		if !slices.Contains(now.Database.Grants, g) {
			s.diffs = append(s.diffs, Difference{Table: "grant " + g.Privilege + " on the database", Why: "is not as it was"})
		}
	}
}
