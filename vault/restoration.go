package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
	"pgvault/vault/archive"
)

// restoration is an archive opened for loading: what is in it, and where
// it goes. Restore and the proof by restore share it.
type restoration struct {
	*run
	globals *pg.Globals // of the server of the source; nil: the archive has none as data
	o       *archive.Opened
	c       *archive.Contents
	main    *archive.Main
	toc     *dumpfile.TOC
	tocRaw  []byte
	catalog *pg.Catalog // of the source, in the dump's snapshot

	server   pg.Settings
	target   string
	restore  pg.Programs
	dump     pg.Programs
	jobs     int
	only     *selection // nil: everything
	noOwner  bool
	bare     bool         // no tablespaces: a scratch server has none
	oneSpace bool         // all into the default tablespace, as asked
	made     bool         // this run made the target
	without  map[int]bool // entries that are left out: this server's version has no such thing
	unfit    []pg.Setting // of the database, that this server's version does not take
	confine  *confinement // nil: server's own role does everything

	from struct { // where blocks are read from
		sync.Mutex
		n    int                                       // see source
		next func(ctx context.Context, err error) bool // goes on to the next copy; nil: there is none
	}

	errMu  sync.Mutex
	errors []string // what pg_restore said and went on
}

// openRestoration decrypts contents and table of contents and believes
// them only as far as the signed manifest vouches.
func openRestoration(ctx context.Context, o *archive.Opened, keys *archive.Keys) (*restoration, error) {
	c, err := o.Contents(ctx, keys)
	if err != nil {
		return nil, err
	}
	r := &restoration{o: o, c: c, catalog: &pg.Catalog{}}
	if err := json.Unmarshal(c.Catalog, r.catalog); err != nil {
		return nil, fmt.Errorf("catalog in contents: %w", err)
	}
	if len(c.Globals) > 0 {
		if r.globals, err = pg.OpenGlobals(c.Globals); err != nil {
			return nil, err
		}
	}
	// Not bound to ctx: a plan is applied later, under another one.
	if r.main, err = o.Main(context.WithoutCancel(ctx), c, keys); err != nil {
		return nil, err
	}
	if r.tocRaw, err = r.main.TOC(); err != nil {
		return nil, err
	}
	if r.toc, err = dumpfile.ReadTOC(bytes.NewReader(r.tocRaw)); err != nil {
		return nil, fmt.Errorf("table of contents: %w", err)
	}
	return r, nil
}

// openTwice is openRestoration that reads once more what it finds damaged: an
// error on the line must not condemn a copy.
func openTwice(ctx context.Context, l *located, keys *archive.Keys) (*restoration, error) {
	r, err := openRestoration(ctx, l.o, keys)
	if fault.CodeOf(err) != fault.Differs {
		return r, err
	}
	l.o = l.o.In(l.Store) // without what it holds on to of the first reading
	return openRestoration(ctx, l.o, keys)
}

// createSchema makes the database and all that comes before rows.
func (r *restoration) createSchema(ctx context.Context, makeDatabase bool) error {
	if makeDatabase {
		if err := pg.CreateDatabase(ctx, r.admin(), r.target, r.catalog.Database); err != nil {
			return err
		}
		r.made = true
		if err := r.label(ctx, halfMade+" "+r.o.Manifest.ID+" in progress, not complete"); err != nil {
			return err
		}
	}
	if r.confine != nil {
		return r.confinedSchema(ctx)
	}
	return r.pgRestore(ctx, pg.RestoreOptions{Section: "pre-data", IDs: r.ids("pre-data")})
}

// finishSchema makes indexes, keys, triggers and all else after the rows.
func (r *restoration) finishSchema(ctx context.Context) error {
	if r.confine != nil {
		return r.confinedFinish(ctx)
	}
	for _, p := range postPasses(r.toc, r.ids("post-data"), r.jobs) {
		if err := r.pgRestore(ctx, pg.RestoreOptions{Section: "post-data", Jobs: p.jobs, IDs: p.ids}); err != nil {
			return err
		}
	}
	return nil
}

// pgRestore runs pg_restore on the table of contents, which holds no rows,
// or on what o.Stdin gives. Errors that it passes over are kept: they make
// the restore partial, whatever the comparison says.
func (r *restoration) pgRestore(ctx context.Context, o pg.RestoreOptions) error {
	if o.IDs != nil && len(o.IDs) == 0 {
		return nil
	}
	o.NoOwner = r.noOwner || r.confine != nil // whose owners and grants come at the end
	return r.pgRestoreAs(ctx, r.server, o)
}

func (r *restoration) pgRestoreAs(ctx context.Context, s pg.Settings, o pg.RestoreOptions) error {
	o.Database, o.NoTablespaces = r.target, r.bare || r.oneSpace
	if o.Stdin == nil {
		o.TOC = r.tocRaw
	}
	errs, err := pg.RunRestore(ctx, s, r.restore, o, nil)
	r.passedOver("pg_restore: ", errs)
	return err
}

// passedOver keeps errors of single statements: the restore is then partial.
func (r *restoration) passedOver(by string, errs []string) {
	r.errMu.Lock()
	r.errors = append(r.errors, errs...)
	r.errMu.Unlock()
	for _, e := range errs {
		r.warn(by + e)
	}
}

// metErrors tells whether something could not be made so far.
func (r *restoration) metErrors() bool {
	r.errMu.Lock()
	defer r.errMu.Unlock()
	return len(r.errors) > 0
}

// ids lists what pg_restore may choose a section's entries from when not all
// is restored: all that are wanted, in their order, because a
// comment or a grant belongs to the section of the entry before it. nil means
// everything; the list is empty when nothing is in the section.
func (r *restoration) ids(section string) []int {
	if r.only == nil && len(r.without) == 0 {
		return nil
	}
	out, any := []int{}, false
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if (r.only == nil || r.only.entries[e.ID]) && !r.without[e.ID] {
			out = append(out, e.ID)
			any = any || e.Section.String() == section
		}
	}
	if !any {
		return []int{}
	}
	return out
}

// settings gives the database what a restore without the old name loses:
// its settings, grants, comment and owner; then statistics.
func (r *restoration) settings(ctx context.Context) error {
	if r.confine != nil { // ANALYZE runs functions of indexes
		if err := pg.Analyze(ctx, r.server, r.target); err != nil {
			return err
		}
		if err := r.confinedEnd(ctx); err != nil {
			return err
		}
	}
	if r.made {
		if err := r.label(ctx, ""); err != nil {
			return err
		}
	}
	if !r.noOwner && r.only == nil {
		unfit, warnings, err := r.applyDatabase(ctx)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			r.warn(w)
		}
		r.unfit = unfit
	}
	if r.confine != nil {
		return nil
	}
	return pg.Analyze(ctx, r.server, r.target)
}

// halfMade begins the comment of a database that is not complete.
const halfMade = "pgvault: restore of"

// label says in the new database's comment that it is not complete, for
// whoever finds it after a crash; an empty text takes that away again.
func (r *restoration) label(ctx context.Context, text string) error {
	return pg.Exec(ctx, r.admin(), r.target, "COMMENT ON DATABASE "+pg.QuoteIdent(r.target)+" IS '"+text+"'")
}

func (r *restoration) applyDatabase(ctx context.Context) (unfit []pg.Setting, warnings []string, err error) {
	conn, err := r.admin().Connect(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	roles, err := pg.RoleNames(ctx, conn)
	conn.Close(context.WithoutCancel(ctx))
	if err != nil {
		return nil, nil, err
	}
	return pg.ApplyDatabase(ctx, r.admin(), r.target, r.catalog.Database, roles)
}

// makeRoles makes the roles that the archive's objects belong to and the
// server lacks: without login, password or any right of their own.
func (r *restoration) makeRoles(ctx context.Context) error {
	conn, err := r.admin().Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	made, err := pg.CreateRoles(ctx, conn, r.catalog.Roles)
	if len(made) > 0 && !r.bare {
		r.info("roles made, without login and password: " + strings.Join(made, ", "))
	}
	return err
}

// partial is the error of a restore whose rows are equal although
// pg_restore met errors.
func (r *restoration) partial() error {
	if len(r.errors) == 0 {
		return nil
	}
	return &fault.Error{Op: "restore", What: fmt.Sprintf("pg_restore met %d errors and went on", len(r.errors)),
		Why: strings.Join(firstFew(r.errors, 3), "; "), Left: "database " + r.target + " is there, but not complete", Do: "read the warnings above, mend the cause, and restore again", Code: fault.Partial}
}

func firstFew(s []string, n int) []string {
	if len(s) > n {
		return append(append([]string{}, s[:n]...), fmt.Sprintf("and %d more", len(s)-n))
	}
	return s
}

// stream gives the table of contents followed by one block: a dump that
// holds nothing else, as pg_restore reads it from a pipe.
func (r *restoration) stream(offset, length int64) (io.ReadCloser, error) {
	block, err := r.main.Block(offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(r.tocRaw), block), block}, nil
}
