package vault

import (
	"context"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
)

// checkInto looks whether the chosen tables can be copied into a new schema
// of the live database.
func (p *RestorePlan) checkInto(ctx context.Context) error {
	name := p.o.IntoSchema
	if name == "" {
		return nil
	}
	p.Into = p.Archive.Database
	r := p.prep.r
	switch {
	case r.only == nil:
		p.check("x", "a whole database cannot be copied into a schema", "choose tables with --tables")
		return nil
	case p.o.SkipCompare:
		p.check("x", "rows that were not compared are not copied beside live ones", "leave out --no-compare")
		return nil
	case len(name) > maxName || strings.HasPrefix(name, "pg_") || strings.ContainsRune(name, 0):
		p.check("x", fmt.Sprintf("%q cannot be the name of a schema", name), "choose another")
		return nil
	case p.Into == p.Target:
		p.check("x", "the tables cannot be restored into the live database itself", "choose another name with --to-new")
		return nil
	}
	conn, err := r.server.Connect(ctx, p.Into)
	if err != nil {
		p.check("x", "database "+p.Into+" cannot be entered: "+oneLine(err), fault.As(err).Do)
		return nil
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there, may bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1),
		pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')`, name).Scan(&there, &may)
	switch {
	case err != nil:
		return err
	case there:
		p.check("x", "database "+p.Into+" has a schema "+name+" already", "choose another name; pgvault only copies into one that it makes")
	case !may:
		p.check("x", "the role may make no schema in database "+p.Into, "GRANT CREATE ON DATABASE "+pg.QuoteName("", p.Into)+" TO the role")
	default:
		p.check("ok", "schema "+name+" of database "+p.Into+" will be new; no existing table is written", "")
	}
	return nil
}

// copyInto copies the chosen tables, all or none. Whatever happens, the
// restored database stays, proven.
func (v *Vault) copyInto(ctx context.Context, r *restoration, p *RestorePlan) error {
	r.left = "database " + p.Target + " is there, every chosen table equal; database " + p.Into + " is as it was"
	copied, err := pg.CopyTables(ctx, r.server, p.Target, p.Into, p.o.IntoSchema, r.chosen())
	if err != nil {
		return leaving(err, r.left)
	}
	var rows int64
	for _, c := range copied {
		rows += c.Rows
	}
	r.info(fmt.Sprintf("copied into schema %s of %s: %s with %s, compared there", p.o.IntoSchema, p.Into, plural(int64(len(copied)), "table"), plural(rows, "row")))
	return nil
}

// chosen are the tables whose rows were asked for; a partition's rows are
// also those of its table, which are copied with that.
func (r *restoration) chosen() []pg.TableRef {
	var out []pg.TableRef
	part := map[int]bool{}
	for _, p := range partitions(r.toc) {
		if r.only.entries[p.parent] && r.only.entries[p.child] && r.askedFor(p.parent) {
			part[p.child] = true
		}
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Desc == "TABLE" && r.only.entries[e.ID] && !part[e.ID] && r.askedFor(e.ID) {
			out = append(out, pg.TableRef{Schema: e.Namespace, Name: e.Tag})
		}
	}
	return out
}

func (r *restoration) askedFor(id int) bool {
	e := r.toc.Entry(id)
	return r.asked(pg.QuoteName(e.Namespace, e.Tag))
}

func (r *restoration) asked(name string) bool {
	for _, t := range r.only.tables {
		if t == name {
			return true
		}
	}
	return false
}

// MergeSQL gives, after a restore with IntoSchema, SQL that adds to the live
// tables what is missing there. It is for a person: nothing runs it.
func (v *Vault) MergeSQL(ctx context.Context, p *RestorePlan) (string, error) {
	conn, err := p.prep.r.server.Connect(ctx, p.Into)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pg.MergeSQL(ctx, conn, p.o.IntoSchema, p.prep.r.chosen())
}
