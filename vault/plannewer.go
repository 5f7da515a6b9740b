package vault

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// unfitDefinitions are what newer servers refuse of what older ones wrote
// (Release Notes, "Migration to Version" of each).
var unfitDefinitions = []struct {
	since    int
	what, do string
	is       func(*dumpfile.Entry) bool
}{
	{14, "aggregates over anyarray, whose functions take anycompatiblearray now", "make them anew afterwards, with anycompatiblearray and anycompatible", func(e *dumpfile.Entry) bool {
		return e.Desc == "AGGREGATE" && arrayAggregate.MatchString(e.Defn)
	}},
	{14, "postfix operators, which are no more", "write what uses them anew, with functions", func(e *dumpfile.Entry) bool {
		return e.Desc == "OPERATOR" && strings.Contains(e.Defn, "LEFTARG = ") && !strings.Contains(e.Defn, "RIGHTARG = ")
	}},
}

// arrayAggregate finds aggregates of the functions whose arguments 14 changed.
var arrayAggregate = regexp.MustCompile(`SFUNC = array_(append|prepend|cat|remove|replace)\b[^;]*STYPE = anyarray`)

// checkNewer says what the archive holds that a server of a newer version
// does otherwise, or not at all.
func (p *RestorePlan) checkNewer(ctx context.Context, conn *pg.Conn, info pg.ServerInfo) error {
	r := p.prep.r
	was, now := r.catalog.Server.Major(), info.Major()
	for _, u := range unfitDefinitions {
		if now < u.since || was >= u.since {
			continue
		}
		var names []string
		for i := range r.toc.Entries {
			if e := &r.toc.Entries[i]; u.is(e) && (r.only == nil || r.only.entries[e.ID]) {
				names = append(names, pg.QuoteName(e.Namespace, e.Tag))
			}
		}
		if len(names) > 0 {
			p.check("!", fmt.Sprintf("PostgreSQL %d refuses %s: %s; all else is restored, and the report names them", now, u.what, strings.Join(firstFew(names, 5), ", ")), u.do)
		}
	}
	if names := r.logParents(now); len(names) > 0 {
		p.check("!", fmt.Sprintf("partitioned tables that are UNLOGGED are made without that word, as PostgreSQL %d wants it: %s; their partitions stay as they were", now, strings.Join(firstFew(names, 5), ", ")), "")
	}
	if r.only != nil || p.o.NoOwner {
		return nil
	}
	if was < 15 && now >= 15 && !slices.ContainsFunc(r.toc.Entries, func(e dumpfile.Entry) bool { return e.Desc == "ACL" && e.Tag == "SCHEMA public" }) {
		p.check("!", fmt.Sprintf("in PostgreSQL %d every role could make objects in the schema public; in the new database, as PostgreSQL 15 has it, only the database's owner can", was),
			"if an application needs it: GRANT CREATE ON SCHEMA public TO its role")
	}
	return p.checkSettings(ctx, conn, info)
}

// checkSettings names the settings that the server does not know, and leaves
// those of roles out.
func (p *RestorePlan) checkSettings(ctx context.Context, conn *pg.Conn, info pg.ServerInfo) error {
	var names []string
	for _, s := range p.prep.r.catalog.Database.Settings {
		names = append(names, s.Name)
	}
	unknown, err := pg.UnknownSettings(ctx, conn, append(names, settingsOfRoles(p.roles)...))
	if err != nil || len(unknown) == 0 {
		return err
	}
	p.roles = withoutSettings(p.roles, unknown)
	p.Checks = append(p.Checks, unknownSettings(unknown, info))
	return nil
}

func unknownSettings(names []string, info pg.ServerInfo) Check {
	return Check{State: "!", Text: fmt.Sprintf("settings that server %s does not know are left out: %s", info.Version, strings.Join(firstFew(names, 5), ", ")), Do: "see in PostgreSQL's release notes what became of them"}
}

// oldPasswords says which of the roles to be made may be kept out by their
// passwords' kind; none where there is nothing to say.
func oldPasswords(g *pg.Globals, roles []string, major int) []Check {
	old := g.WithMD5(roles)
	if len(old) == 0 || major < 14 {
		return nil
	}
	text := "passwords kept as MD5: " + strings.Join(firstFew(old, 5), ", ") + "; these roles cannot log in where pg_hba.conf asks for scram-sha-256"
	if major >= 18 {
		text += ", and a later PostgreSQL than " + strconv.Itoa(major) + " will refuse them"
	}
	return []Check{{State: "!", Text: text, Do: "set new ones: \\password in psql, or ALTER ROLE … PASSWORD"}}
}

// unloggedTable begins the definition of one; loggedTable is as long, so that
// it can take its place in a table of contents.
const (
	unloggedTable = "CREATE UNLOGGED TABLE "
	loggedTable   = "CREATE          TABLE "
)

// logParents has partitioned tables that are UNLOGGED made without that
// word where the server, of version 18 or newer, refuses it: it never meant
// anything for them, and a refused one would take its partitions' rows with it. It
// gives their names.
func (r *restoration) logParents(major int) []string {
	if major < 18 {
		return nil
	}
	var names []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		rest, is := strings.CutPrefix(e.Defn, unloggedTable)
		if e.Desc != "TABLE" || !is || !strings.Contains(e.Defn, "\nPARTITION BY ") || r.only != nil && !r.only.entries[e.ID] {
			continue
		}
		names = append(names, pg.QuoteName(e.Namespace, e.Tag))
		r.tocRaw = bytes.Replace(r.tocRaw, []byte(e.Defn), []byte(loggedTable+rest), 1)
		e.Defn = loggedTable + rest
	}
	return names
}

// leaveGone leaves an extension out that PostgreSQL of this major version
// comes without, and tells so; not where something else of the archive is known
// to need it. pg_dump does not say so of functions that lie in pg_catalog.
func (r *restoration) leaveGone(name string, major int) bool {
	since := pg.GoneExtension(name)
	if since == 0 || major < since {
		return false
	}
	var with []int
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		switch {
		case e.Desc == "EXTENSION" && e.Tag == name, e.Desc == "COMMENT" && e.Tag == "EXTENSION "+pg.QuoteName("", name):
			with = append(with, e.ID)
		}
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if !slices.Contains(with, e.ID) && slices.ContainsFunc(e.Deps, func(d int) bool { return slices.Contains(with, d) }) {
			return false
		}
	}
	if r.without == nil {
		r.without = map[int]bool{}
	}
	for _, id := range with {
		r.without[id] = true
	}
	return true
}

// leftOut tells whether an extension is left out.
func (r *restoration) leftOut(extension string) bool {
	for id := range r.without {
		if e := r.toc.Entry(id); e != nil && e.Desc == "EXTENSION" && e.Tag == extension {
			return true
		}
	}
	return false
}

// scratchLacks says what to do where a scratch server has not the extensions
// that are wanted.
func scratchLacks(op string, extensions []string, major int, left string) error {
	e := &fault.Error{Op: op, What: "extension " + strings.Join(firstFew(extensions, 5), ", ") + " is not installed for the scratch server", Why: "it is wanted, and its files are not on this host",
		Left: left, Do: "install its package on this host, for PostgreSQL " + strconv.Itoa(major), Code: fault.Refused}
	for _, name := range extensions {
		if since := pg.GoneExtension(name); since > 0 && since <= major {
			e.Why = fmt.Sprintf("PostgreSQL comes without %s since version %d", name, since)
			e.Do = fmt.Sprintf("install a server of version %d or older on this host beside the other, or name its folder as bin_dir in [server]", since-1)
		}
	}
	return e
}
