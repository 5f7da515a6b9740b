package vault

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
)

// openSnapshot opens the snapshot, starts pg_dump in it, and reads the
// catalog while pg_dump begins with reading it too. Nothing of the dump is
// taken before it is known that the role sees all that there is.
func (b *backup) openSnapshot(ctx context.Context) (err error) {
	var all []pg.Programs
	var searched []string
	found := make(chan error, 1)
	go func() {
		var err error
		all, searched, err = pg.FindPrograms(ctx, b.v.c.Server.BinDir)
		found <- err
	}()
	b.snapshot, err = pg.OpenSnapshot(ctx, b.server, b.source)
	if ferr := <-found; err != nil {
		return err
	} else if err = ferr; err == nil {
		err = b.startDump(ctx, all, searched)
	}
	if err != nil {
		b.snapshot.Close(ctx)
		return err
	}
	if b.catalog, err = b.snapshot.Catalog(ctx); err == nil {
		err = b.refuseHiddenRows()
	}
	if err != nil {
		b.pgDump.Kill()
		_ = b.pgDump.Wait()
		b.snapshot.Close(ctx)
		return err
	}
	if fixed := b.programs.Outdated(); fixed != "" {
		b.info("pg_dump " + b.programs.Version + " has known flaws against a hostile server; " + fixed + " repairs them")
	}
	b.info(fmt.Sprintf("snapshot %s of PostgreSQL %s, pg_dump %s", b.snapshot.ID, b.catalog.Server.Version, b.programs.Version))
	return nil
}

// startDump starts the pg_dump that fits the server.
func (b *backup) startDump(ctx context.Context, all []pg.Programs, searched []string) (err error) {
	if b.programs, err = pg.ForDump(all, searched, b.snapshot.Major()); err != nil {
		return err
	}
	b.pgDump, err = pg.StartDump(ctx, b.server, b.programs, pg.DumpOptions{
		Database: b.source, Snapshot: b.snapshot.ID, Encoding: b.snapshot.Encoding(), ExcludeTableData: b.conf.ExcludeTableData,
	}, nil)
	return err
}

// refuseHiddenRows: what this role cannot see would silently be missing
// from the archive, so it is an error, never a partial dump.
func (b *backup) refuseHiddenRows() error {
	c := b.catalog
	if len(c.RowSecurity) > 0 {
		return &fault.Error{What: "row-level security would hide rows of " + strings.Join(c.RowSecurity, ", "),
			Why:  "role " + c.Server.User + " neither owns the table nor has BYPASSRLS",
			Left: "nothing was dumped or written", Do: "ALTER ROLE " + pg.QuoteIdent(c.Server.User) + " BYPASSRLS, or dump with a role that has it", Code: fault.Refused}
	}
	if len(c.Unreadable) > 0 {
		return &fault.Error{What: "role " + c.Server.User + " may not read " + strings.Join(firstFew(c.Unreadable, 5), ", "), Why: "it has no SELECT on them",
			Left: "nothing was dumped or written", Do: "GRANT pg_read_all_data TO " + pg.QuoteIdent(c.Server.User), Code: fault.Refused}
	}
	if c.UnreadableLargeObjects > 0 {
		return &fault.Error{What: fmt.Sprintf("%d large objects cannot be read", c.UnreadableLargeObjects),
			Why:  "role " + c.Server.User + " has no SELECT on them; pg_read_all_data does not cover large objects",
			Left: "nothing was dumped or written", Do: fmt.Sprintf("GRANT SELECT ON LARGE OBJECT %s TO ", joinOIDs(c.UnreadableSample)) + pg.QuoteIdent(c.Server.User) + ", or set lo_compat_privileges = on for the role", Code: fault.Refused}
	}
	return nil
}

// joinOIDs lists some large objects as GRANT takes them.
func joinOIDs(oids []uint32) string {
	var out []string
	for _, o := range oids {
		out = append(out, strconv.FormatUint(uint64(o), 10))
	}
	return strings.Join(out, ", ")
}
