package vault

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// confinement is how an archive is loaded by a role that is no superuser.
// Whatever of the archive runs code (CHECK, generated columns, indexes,
// triggers, materialized views) runs as that role, logged in as itself, so
// that RESET ROLE leads nowhere. The superuser only makes what no code of
// the archive can be reached by: extensions before anything else, then
// objects of few kinds, owners and grants; event triggers last of all, and
// disabled.
type confinement struct {
	super     pg.Settings
	role      string
	languages []string // in which the role may write functions
	premade   map[string]bool
}

// Who makes an entry of the table of contents.
type maker int

const (
	byRole  maker = iota // the role without superuser
	bySuper              // the superuser, at the entry's turn
	atEnd                // the superuser, when all else is there
	already              // made before the first entry
)

// superKinds are kinds that only a superuser may make, and whose making runs
// no code of the archive.
var superKinds = map[string]bool{"FOREIGN DATA WRAPPER": true, "SERVER": true, "USER MAPPING": true, "OPERATOR FAMILY": true, "OPERATOR CLASS": true,
	"PUBLICATION": true, "PUBLICATION TABLE": true, "PUBLICATION TABLES IN SCHEMA": true, "SUBSCRIPTION": true, "SUBSCRIPTION TABLE": true}

// nativeKinds bring code of their own that no rights of a role bound.
var nativeKinds = map[string]bool{"ACCESS METHOD": true, "TEXT SEARCH PARSER": true, "TEXT SEARCH TEMPLATE": true, "PROCEDURAL LANGUAGE": true}

// scratchRoles gives names that no archive can have thought of: those of
// the scratch server's superuser and of the role that loads.
func scratchRoles(random io.Reader) (super, login string, err error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", "", err
	}
	return "pgvault_super_" + hex.EncodeToString(b[:4]), "pgvault_load_" + hex.EncodeToString(b[4:]), nil
}

// admin is the session for what the archive's own code must not be near.
func (r *restoration) admin() pg.Settings {
	if r.confine != nil {
		return r.confine.super
	}
	return r.server
}

// confineTo makes the role and has all that is loaded be loaded by it.
func (r *restoration) confineTo(ctx context.Context, login pg.Settings, role string) error {
	if err := pg.CreateRestorer(ctx, r.server, role); err != nil {
		return err
	}
	login.BinDir = r.server.BinDir
	r.confine = &confinement{super: r.server, role: role, premade: map[string]bool{}}
	r.server = login
	return nil
}

// confinedSchema makes all that comes before rows.
func (r *restoration) confinedSchema(ctx context.Context) error {
	schemas, extensions := r.wantedExtensions()
	for _, s := range schemas {
		r.confine.premade[s] = true
	}
	var err error
	if r.confine.languages, err = pg.PrepareRestorer(ctx, r.admin(), r.target, r.confine.role, schemas, extensions); err != nil {
		return err
	}
	if err := r.refuseNative(); err != nil {
		return err
	}
	for _, g := range r.makers(dumpfile.SectionPreData) {
		if err := r.makeGroup(ctx, g, 1); err != nil {
			return err
		}
	}
	return nil
}

// confinedFinish makes all that comes after rows, but event triggers.
func (r *restoration) confinedFinish(ctx context.Context) error {
	for _, g := range r.makers(dumpfile.SectionPostData) {
		if g.by != byRole {
			if err := r.makeGroup(ctx, g, 1); err != nil {
				return err
			}
			continue
		}
		for _, p := range postPasses(r.toc, g.ids, r.jobs) {
			if err := r.makeGroup(ctx, madeBy{byRole, p.ids}, p.jobs); err != nil {
				return err
			}
		}
	}
	return nil
}

// madeBy are entries that one role makes in one go.
type madeBy struct {
	by  maker
	ids []int
}

// makeGroup lists its entries, so that no section has to be named.
func (r *restoration) makeGroup(ctx context.Context, g madeBy, jobs int) error {
	o := pg.RestoreOptions{IDs: g.ids, Jobs: jobs, NoOwner: true}
	if len(g.ids) == 0 || g.by != bySuper {
		return r.pgRestore(ctx, o)
	}
	if err := r.pgRestoreAs(ctx, r.admin(), o); err != nil {
		return err
	}
	var give []string // a server, for its foreign tables
	for _, id := range g.ids {
		if e := r.toc.Entry(id); e.Desc == "SERVER" {
			give = append(give, "ALTER SERVER "+pg.QuoteIdent(e.Tag)+" OWNER TO "+pg.QuoteIdent(r.confine.role))
		}
	}
	return r.each(ctx, give)
}

// each has the superuser run statements one by one.
func (r *restoration) each(ctx context.Context, statements []string) error {
	if len(statements) == 0 {
		return nil
	}
	failed, err := pg.EachAlone(ctx, r.admin(), r.target, r.catalog.Database.Encoding, statements)
	r.passedOver("", failed)
	return err
}

// wantedExtensions gives them in the dump's order, each with its schema, and
// those of the schemas that the dump makes.
func (r *restoration) wantedExtensions() (schemas []string, extensions []pg.Extension) {
	made := map[string]bool{}
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; e.Desc == "SCHEMA" && e.Tag != "public" {
			made[e.Tag] = true
		}
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Desc != "EXTENSION" || r.without[e.ID] {
			continue
		}
		x := pg.Extension{Name: e.Tag}
		for _, known := range r.catalog.Extensions {
			if known.Name == e.Tag {
				x.Schema = known.Schema
			}
		}
		if made[x.Schema] && !slices.Contains(schemas, x.Schema) {
			schemas = append(schemas, x.Schema)
		}
		extensions = append(extensions, x)
	}
	return schemas, extensions
}

// maker tells who makes an entry; last is who made the entry that it
// follows, for what belongs to others.
func (r *restoration) maker(e *dumpfile.Entry, of map[int]maker) maker {
	switch {
	case e.Desc == "ACL" || e.Desc == "DEFAULT ACL":
		return atEnd
	case e.Desc == "EXTENSION" || e.Desc == "SCHEMA" && r.confine.premade[e.Tag]:
		return already
	case e.Desc == "COMMENT" && strings.HasPrefix(e.Tag, "EXTENSION "):
		return already
	case e.Desc == "COMMENT" || e.Desc == "SECURITY LABEL":
		for _, d := range e.Deps {
			if by := of[d]; by == bySuper || by == atEnd {
				return by
			}
		}
		return byRole
	case e.Desc == "EVENT TRIGGER":
		return atEnd
	case superKinds[e.Desc], e.Desc == "CAST" && strings.Contains(e.Defn, " WITHOUT FUNCTION"):
		return bySuper
	}
	return byRole
}

// makers divides a section into runs of entries that one role makes, in the
// dump's order. What belongs to no section belongs to that of the entry
// before it, as for pg_restore.
func (r *restoration) makers(section dumpfile.Section) []madeBy {
	var out []madeBy
	of := map[int]maker{}
	at := dumpfile.SectionPreData
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Section != dumpfile.SectionNone {
			at = e.Section
		}
		by := r.maker(e, of)
		of[e.ID] = by
		if at != section || by == atEnd || by == already {
			continue
		}
		if n := len(out); n > 0 && out[n-1].by == by {
			out[n-1].ids = append(out[n-1].ids, e.ID)
		} else {
			out = append(out, madeBy{by, []int{e.ID}})
		}
	}
	return out
}

// language finds in a definition by pg_dump what a function is written in.
// A name or a default value that imitates it deceives nobody: the role is
// refused by the server where it may not use the true one.
var language = regexp.MustCompile(`\n    LANGUAGE ("(?:[^"]|"")+"|\S+)`)

// refuseNative refuses an archive with code that no role's rights bound.
func (r *restoration) refuseNative() error {
	var native []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		bad := nativeKinds[e.Desc] || e.Desc == "TYPE" && strings.Contains(e.Defn, "\n    INPUT = ")
		if e.Desc == "FUNCTION" || e.Desc == "PROCEDURE" {
			m := language.FindStringSubmatch(e.Defn)
			bad = m != nil && !slices.Contains(r.confine.languages, strings.Trim(m[1], `"`))
		}
		if bad {
			native = append(native, strings.ToLower(e.Desc)+" "+pg.QuoteName(e.Namespace, e.Tag))
		}
	}
	if len(native) == 0 {
		return nil
	}
	return &fault.Error{Op: "verify", What: fmt.Sprintf("%d objects of the archive can only be made by a superuser, and bring code that nothing bounds", len(native)),
		Why: strings.Join(firstFew(native, 5), ", "), Left: "the archive is as it was; it was not restored", Code: fault.Refused,
		Do: "verify --level readable; or, if you trust whoever could make these objects with this host, verify --level restored --as-superuser"}
}
