package vault

import (
	"fmt"
	"sort"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// selection is the part of a table of contents that some tables need to
// work: their schema, types, sequences, defaults, keys and indexes.
type selection struct {
	entries map[int]bool
	tables  []string // chosen, in full
	left    []string // what belongs to them and is left out, in words
}

// companions are entries that belong to a table and come with it when all
// tables they depend on are chosen.
var companions = map[string]bool{
	"TABLE DATA": true, "DEFAULT": true, "SEQUENCE": true, "SEQUENCE OWNED BY": true, "SEQUENCE SET": true,
	"CONSTRAINT": true, "CHECK CONSTRAINT": true, "FK CONSTRAINT": true, "INDEX": true, "INDEX ATTACH": true,
	"TABLE ATTACH": true, "STATISTICS": true, "COMMENT": true, "ACL": true,
}

// leftOut are entries of a chosen table that would run code or join it to
// others: they are named, never made.
var leftOut = map[string]bool{"TRIGGER": true, "RULE": true, "POLICY": true, "ROW SECURITY": true, "PUBLICATION TABLE": true}

// selectTables works out what the named tables need. A name is table or
// schema.table, as SQL writes it or plain; schema.* is every table of it.
func selectTables(t *dumpfile.TOC, names []string) (*selection, error) {
	s := &selection{entries: map[int]bool{}}
	tables := map[int]bool{}
	for _, name := range names {
		found := matchTables(t, name)
		if len(found) == 0 {
			return nil, &fault.Error{Op: "choose tables", What: fmt.Sprintf("the archive has no table %q", name), Why: "its table of contents names none like that", Left: "nothing was made or changed",
				Do: "pgvault show ID --tables -i KEY lists the tables", Code: fault.Usage}
		}
		if len(found) > 1 && !strings.Contains(name, ".") {
			return nil, &fault.Error{Op: "choose tables", What: fmt.Sprintf("table %q is in more than one schema", name), Why: "one of them would have to be guessed", Left: "nothing was made or changed", Do: "write schema.table", Code: fault.Usage}
		}
		for _, e := range found {
			if !tables[e.ID] {
				tables[e.ID] = true
				s.tables = append(s.tables, pg.QuoteName(e.Namespace, e.Tag))
			}
		}
	}
	s.addPartitions(t, tables)
	for id := range tables {
		s.entries[id] = true
	}
	s.grow(t, tables)
	s.nameLeft(t, tables)
	sort.Strings(s.left)
	return s, nil
}

func matchTables(t *dumpfile.TOC, name string) []*dumpfile.Entry {
	var out []*dumpfile.Entry
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Desc == "TABLE" && (e.Tag == name || e.Namespace+"."+e.Tag == name || pg.QuoteName(e.Namespace, e.Tag) == name) {
			out = append(out, e)
		}
	}
	schema, every := strings.CutSuffix(name, ".*")
	if !every || len(out) > 0 { // a table may be named *
		return out
	}
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Desc == "TABLE" && (e.Namespace == schema || pg.QuoteName("", e.Namespace) == schema) {
			out = append(out, e)
		}
	}
	return out
}

// addPartitions adds the partitions of chosen partitioned tables: their
// rows are the table's rows.
func (s *selection) addPartitions(t *dumpfile.TOC, tables map[int]bool) {
	pairs := partitions(t)
	for grew := true; grew; {
		grew = false
		for _, p := range pairs {
			if tables[p.parent] && !tables[p.child] {
				tables[p.child], grew = true, true
				c := t.Entry(p.child)
				s.tables = append(s.tables, pg.QuoteName(c.Namespace, c.Tag))
			}
		}
	}
}

// partition is a table of a partitioned one, by their dump ids.
type partition struct{ parent, child int }

// partitions gives them all. pg_dump 14 and newer has an entry of its own that
// joins them; an older one joins them in the child's definition.
func partitions(t *dumpfile.TOC) []partition {
	var out []partition
	for i := range t.Entries {
		e := &t.Entries[i]
		switch {
		case e.Desc == "TABLE ATTACH" && len(e.Deps) >= 2:
			if parent, child := tableDeps(t, e); parent != 0 && child != 0 {
				out = append(out, partition{parent, child})
			}
		case e.Desc == "TABLE" && strings.Contains(e.Defn, " ATTACH PARTITION "):
			for _, id := range e.Deps {
				if d := t.Entry(id); d != nil && d.Desc == "TABLE" && attaches(e.Defn, d) {
					out = append(out, partition{id, e.ID})
				}
			}
		}
	}
	return out
}

// attaches tells whether a definition joins its table to parent.
func attaches(defn string, parent *dumpfile.Entry) bool {
	for _, name := range []string{pg.QuoteName(parent.Namespace, parent.Tag), pg.QuoteIdent(parent.Namespace) + "." + pg.QuoteIdent(parent.Tag),
		parent.Namespace + "." + parent.Tag, parent.Namespace + "." + pg.QuoteIdent(parent.Tag), pg.QuoteIdent(parent.Namespace) + "." + parent.Tag} {
		if strings.Contains(defn, "ALTER TABLE ONLY "+name+" ATTACH PARTITION ") {
			return true
		}
	}
	return false
}

// tableDeps tells a TABLE ATTACH entry's parent and child: the child bears
// the entry's own name.
func tableDeps(t *dumpfile.TOC, e *dumpfile.Entry) (parent, child int) {
	for _, id := range e.Deps {
		d := t.Entry(id)
		if d == nil || d.Desc != "TABLE" {
			continue
		}
		if d.Tag == e.Tag && d.Namespace == e.Namespace && child == 0 {
			child = id
		} else {
			parent = id
		}
	}
	return parent, child
}

// grow adds companions whose tables are all chosen, and whatever any
// chosen entry depends on, until nothing is added.
func (s *selection) grow(t *dumpfile.TOC, tables map[int]bool) {
	for grew := true; grew; {
		grew = false
		add := func(id int) {
			if !s.entries[id] && t.Entry(id) != nil {
				s.entries[id], grew = true, true
			}
		}
		for i := range t.Entries {
			e := &t.Entries[i]
			if !s.entries[e.ID] && companions[e.Desc] && s.belongs(t, e, tables) {
				add(e.ID)
			}
			if s.entries[e.ID] {
				for _, d := range e.Deps {
					if dep := t.Entry(d); dep != nil && !leftOut[dep.Desc] {
						add(d)
					}
				}
			}
		}
	}
}

// belongs tells whether e comes with the chosen tables: it depends on at
// least one chosen entry, and on no table that is not chosen. Rows come
// only with tables that were asked for, not with those their structure
// needs.
func (s *selection) belongs(t *dumpfile.TOC, e *dumpfile.Entry, tables map[int]bool) bool {
	near := false
	for _, id := range e.Deps {
		d := t.Entry(id)
		if d == nil {
			continue
		}
		if d.Desc == "TABLE" && !tables[id] {
			return false
		}
		if tables[id] || s.entries[id] && d.Desc != "SCHEMA" && d.Desc != "EXTENSION" {
			near = true
		}
	}
	return near
}

func (s *selection) nameLeft(t *dumpfile.TOC, tables map[int]bool) {
	for i := range t.Entries {
		e := &t.Entries[i]
		if s.entries[e.ID] || !leftOut[e.Desc] && e.Desc != "FK CONSTRAINT" {
			continue
		}
		for _, id := range e.Deps {
			if tables[id] {
				s.left = append(s.left, strings.ToLower(e.Desc)+" "+e.Tag)
				break
			}
		}
	}
}
