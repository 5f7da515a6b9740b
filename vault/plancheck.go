package vault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgvault/pg"
)

// checkBytes says how the stored bytes are vouched for: all of them are
// checked before one is used, and perhaps were before.
func (p *RestorePlan) checkBytes() {
	last := "not read back since it was written"
	for _, c := range p.Archive.Copies {
		if c.Place == p.Place && c.ReadBack != nil {
			last = "last read back whole, and right, " + stampOf(*c.ReadBack)
		}
	}
	first := "every stored byte's SHA-256 is checked before one is used"
	if p.prep.r.only != nil {
		first = "each chosen table's SHA-256 is checked before its rows are kept"
	}
	p.check("ok", fmt.Sprintf("the copy in %s: %s; %s", p.Place, last, first), "")
}

// checkExtensions holds what the archive needs against what the server
// offers: a dump asks for no version, so the server's own is installed.
func (p *RestorePlan) checkExtensions(ctx context.Context, conn *pg.Conn, major int) error {
	want := p.prep.r.catalog.Extensions
	offers, err := pg.Offers(ctx, conn)
	if err != nil {
		return err
	}
	missing := 0
	for _, e := range want {
		o, there := offers[e.Name]
		gone := pg.GoneExtension(e.Name)
		switch {
		case !there && p.prep.r.leaveGone(e.Name, major):
			p.check("!", fmt.Sprintf("extension %s is left out: PostgreSQL comes without it since version %d", e.Name, gone), "what calls its functions cannot be made there, and is then named in the report")
		case !there && gone > 0 && major >= gone:
			missing++
			p.check("x", fmt.Sprintf("extension %s is needed by the archive, and PostgreSQL comes without it since version %d", e.Name, gone), "restore into a server of version "+strconv.Itoa(gone-1)+" or older, take out there what needs it, and back that up")
		case !there:
			missing++
			p.check("x", "extension "+e.Name+" "+e.Version+" is not installed on the server", "install its package there (for Debian: postgresql-contrib, or postgresql-"+strconv.Itoa(major)+"-…)")
		case o.Default == e.Version:
		case slices.Contains(o.Versions, e.Version):
			p.check("!", fmt.Sprintf("extension %s was %s; the server installs %s", e.Name, e.Version, o.Default), "if the old one is needed: ALTER EXTENSION "+pg.QuoteName("", e.Name)+" UPDATE TO '"+e.Version+"' afterwards, which the server offers")
		default:
			p.check("!", fmt.Sprintf("extension %s was %s; the server installs %s and does not offer the old one", e.Name, e.Version, o.Default), "read what changed between them; the comparison says whether every row is the same")
		}
	}
	if missing == 0 {
		p.check("ok", fmt.Sprintf("extensions present %d of %d", len(want), len(want)), "")
	}
	return nil
}

// checkLocale asks whether a database like the old one can be made here, and
// whether its texts are sorted as they were.
func (p *RestorePlan) checkLocale(ctx context.Context, conn *pg.Conn) error {
	d := p.prep.r.catalog.Database
	if p.Empty {
		return p.checkEmptyLocale(ctx, conn, d)
	}
	l, err := pg.LocaleOf(ctx, conn, d)
	if err != nil {
		return err
	}
	name := d.Collate
	if d.ICULocale != "" {
		name = d.ICULocale
	}
	what := "encoding " + d.Encoding + ", locale " + name
	switch {
	case l.Missing != "":
		p.check("x", what+": the server cannot use it: "+l.Missing, "install the locale there (dpkg-reconfigure locales) and restart the server; or make an empty database with another one and use --to-empty")
		return nil
	case l.Unknown != "":
		p.check("!", what+": whether the server has it cannot be asked: "+l.Unknown, "GRANT TEMPORARY ON DATABASE … TO the role; else it shows when the database is made")
		return nil
	}
	p.check("ok", what+": the server has it", "")
	switch was := d.CollationVersion; {
	case was == "" || l.Version == "":
		p.check("ok", "versions of the collation: "+orElse(was, "not recorded")+" there, "+orElse(l.Version, "none")+" here; indexes are built anew", "")
	case was != l.Version:
		p.check("!", fmt.Sprintf("the collation %s is version %s here and was %s: texts may sort in another order", name, l.Version, was),
			"no REINDEX is needed, indexes are built anew; look at partitions by ranges of texts and at checks that compare them")
	default:
		p.check("ok", "the collation's version is "+was+" here too", "")
	}
	return nil
}

// checkEmptyLocale compares with a database that is there already.
func (p *RestorePlan) checkEmptyLocale(ctx context.Context, conn *pg.Conn, d pg.DatabaseInfo) error {
	encoding, collate, err := pg.LocaleIs(ctx, conn, p.Target)
	if err != nil {
		return err
	}
	switch {
	case encoding == "": // it does not exist, which another check says
	case encoding != d.Encoding || collate != d.Collate:
		p.check("!", fmt.Sprintf("%s has encoding %s and locale %s; the archive's database had %s and %s", p.Target, encoding, collate, d.Encoding, d.Collate),
			"texts may sort otherwise, and a text that "+encoding+" has no letter for ends the restore; --to-new makes a database as it was")
	default:
		p.check("ok", "encoding "+encoding+", locale "+collate+", as the archive's database had", "")
	}
	return nil
}

// missingTablespaces are those that objects of the archive lie in.
func (r *restoration) missingTablespaces(have []string) []string {
	var out []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Tablespace != "" && (r.only == nil || r.only.entries[e.ID]) && !slices.Contains(have, e.Tablespace) && !slices.Contains(out, e.Tablespace) {
			out = append(out, e.Tablespace)
		}
	}
	return out
}

func (p *RestorePlan) checkTablespaces(ctx context.Context, conn *pg.Conn) error {
	have, err := pg.Tablespaces(ctx, conn)
	if err != nil {
		return err
	}
	missing := p.prep.r.missingTablespaces(have)
	if len(missing) == 0 {
		p.check("ok", "every tablespace that is used exists", "")
		return nil
	}
	list := strings.Join(firstFew(missing, 5), ", ")
	if p.o.NoTablespaces {
		p.check("!", "tablespaces are missing: "+list+"; all goes into the default one, as asked", "")
		return nil
	}
	for _, name := range missing {
		p.Statements = append(p.Statements, p.prep.r.tablespaceSQL(name))
	}
	p.check("x", "tablespaces are missing: "+list, "--no-tablespaces puts all into the default one; or make them, each in an empty folder of the server's user, with the statements below")
	return nil
}

// roomCheck holds the bytes that are needed, as text says them, against the
// server's disk; otherwise is what to do instead of making room.
func roomCheck(room pg.Room, need int64, text, otherwise string) (state, all, do string) {
	switch {
	case room.Free < 0:
		return "!", text + "; the server's free space cannot be asked: " + room.Where, "look there: df -h"
	case room.Free < need/2:
		return "x", text + fmt.Sprintf("; %s are free in %s", bytesText(room.Free), room.Where), "make room there, or " + otherwise
	case room.Free < need+need/10:
		return "!", text + fmt.Sprintf("; only %s are free in %s", bytesText(room.Free), room.Where), "make room there first: a full disk stops the whole server"
	}
	return "ok", text + fmt.Sprintf("; %s are free in %s", bytesText(room.Free), room.Where), ""
}

// spareSessions are those that a restore opens beside its workers.
const spareSessions = 2

// checkRoom looks at disk and connections. What the source's database took
// on its disk is a guess at what the new one takes: bloat is in it.
func (p *RestorePlan) checkRoom(ctx context.Context, conn *pg.Conn) error {
	r := p.prep.r
	room, err := pg.RoomOf(ctx, conn)
	if err != nil {
		return err
	}
	need, basis := r.catalog.Database.Size, "as large as the source was"
	if r.only != nil {
		need, basis = 0, "twice the bytes of the chosen tables"
		for _, w := range r.work() {
			need += 2 * w.bytes
		}
	}
	text := fmt.Sprintf("~%s more are needed beside what is there (%s)", bytesText(need), basis)
	p.check(roomCheck(room, need, text, "restore into another server"))
	text = fmt.Sprintf("%d of %d connections are free", room.Connections, room.Max)
	switch want := r.jobs + spareSessions; {
	case room.Connections <= spareSessions:
		p.check("x", text+fmt.Sprintf("; at least %d are needed", spareSessions+1), "end idle sessions, or raise max_connections or the role's limit")
	case room.Connections < want:
		p.check("!", text+fmt.Sprintf("; %d workers need %d", r.jobs, want), "--jobs "+strconv.Itoa(room.Connections-spareSessions))
	default:
		p.check("ok", text+fmt.Sprintf(", %d are needed", want), "")
	}
	if limit := r.catalog.Database.ConnLimit; limit >= 0 && !p.o.NoOwner && r.only == nil {
		p.check("!", "the database had a connection limit of "+strconv.Itoa(limit)+", and will have it again", "ALTER DATABASE "+pg.QuoteName("", p.Target)+" CONNECTION LIMIT -1 lifts it")
	}
	return nil
}

// checkLive says how much newer the data of a database of the archive's name
// is: what was written since then is not in the archive.
func (p *RestorePlan) checkLive(ctx context.Context, v *Vault, conn *pg.Conn) error {
	live, err := pg.LiveOf(ctx, conn, p.Archive.Database)
	if err != nil {
		return err
	}
	age := v.now().Sub(p.Archive.Started)
	text := fmt.Sprintf("the archive is of %s, %s ago", stampOf(p.Archive.Started), span(age))
	if live == nil {
		p.check("ok", text+"; the server has no database "+p.Archive.Database, "")
		return nil
	}
	text += fmt.Sprintf("; the server has a database %s, which is not touched: ", p.Archive.Database)
	if live.Size >= 0 {
		text += bytesText(live.Size) + ", "
	}
	text += plural(int64(live.Sessions), "session")
	since := "its statistics began"
	if live.Since != nil {
		since = stampOf(*live.Since)
	}
	text += fmt.Sprintf(", ~%s changed since %s", plural(live.Changes, "row"), since)
	if live.LastWrite != nil {
		text += ", last write on the server " + stampOf(*live.LastWrite)
		if live.LastWrite.Before(p.Archive.Started) {
			p.check("ok", text+", before the archive", "")
			return nil
		}
	}
	p.check("!", text, "what was written in it since is not in the archive; pgvault backup "+p.Archive.Database+" saves that too")
	return nil
}
