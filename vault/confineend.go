package vault

import (
	"context"
	"strings"

	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// confinedEnd gives everything to whom it belonged, with its grants, and
// makes event triggers, which none of these statements may fire.
func (r *restoration) confinedEnd(ctx context.Context) error {
	var early, late, triggers []string
	acl := []int{}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		switch {
		case e.Desc == "ACL" || e.Desc == "DEFAULT ACL":
			acl = append(acl, e.ID)
		case e.Desc == "EVENT TRIGGER":
			// The definition may go on with ALTER EVENT TRIGGER; whatever that
			// says, the trigger is disabled before any other statement ends.
			defn, _, _ := strings.Cut(e.Defn, ";\n")
			triggers = append(triggers, defn, "ALTER EVENT TRIGGER "+pg.QuoteIdent(e.Tag)+" DISABLE")
		case e.Desc == "COMMENT" && strings.HasPrefix(e.Tag, "EVENT TRIGGER "):
			triggers = append(triggers, e.Defn)
		case e.Desc == "SEQUENCE": // one that belongs to a table goes with it
			late = append(late, ownership(e)...)
		default:
			early = append(early, ownership(e)...)
		}
	}
	// What came with nobody's name, such as the tables of an extension.
	rest := "REASSIGN OWNED BY " + pg.QuoteIdent(r.confine.role) + " TO CURRENT_USER"
	if err := r.each(ctx, append(append(early, late...), rest)); err != nil {
		return err
	}
	if len(acl) > 0 {
		if err := r.pgRestoreAs(ctx, r.admin(), pg.RestoreOptions{IDs: acl}); err != nil {
			return err
		}
	}
	return r.each(ctx, triggers)
}

// bareOwned and namedOwned are kinds with an owner whose name is the entry's
// own, with its schema or without; of the others the drop statement has it.
var (
	namedOwned = map[string]bool{"TABLE": true, "VIEW": true, "MATERIALIZED VIEW": true, "FOREIGN TABLE": true, "SEQUENCE": true, "DOMAIN": true, "TYPE": true,
		"COLLATION": true, "CONVERSION": true, "STATISTICS": true, "TEXT SEARCH CONFIGURATION": true, "TEXT SEARCH DICTIONARY": true}
	bareOwned = map[string]bool{"SCHEMA": true, "SERVER": true}
	dropOwned = map[string]bool{"AGGREGATE": true, "FUNCTION": true, "PROCEDURE": true, "OPERATOR": true, "OPERATOR CLASS": true, "OPERATOR FAMILY": true}
)

// ownership gives the statements by which an entry's objects get their owner,
// as pg_restore words them (_printTocEntry in pg_backup_archiver.c). Kinds
// whose owner must be a superuser keep the one they have.
func ownership(e *dumpfile.Entry) []string {
	if e.Owner == "" {
		return nil
	}
	to := " OWNER TO " + pg.QuoteIdent(e.Owner)
	switch {
	case namedOwned[e.Desc]:
		return []string{"ALTER " + e.Desc + " " + pg.QuoteIdent(e.Namespace) + "." + pg.QuoteIdent(e.Tag) + to}
	case bareOwned[e.Desc]:
		return []string{"ALTER " + e.Desc + " " + pg.QuoteIdent(e.Tag) + to}
	case dropOwned[e.Desc]:
		name, ok := strings.CutPrefix(strings.TrimSuffix(strings.TrimSpace(e.DropStmt), ";"), "DROP ")
		if ok {
			return []string{"ALTER " + name + to}
		}
	case e.Desc == "BLOB":
		return []string{"ALTER LARGE OBJECT " + e.Tag + to}
	case e.Desc == "BLOB METADATA": // their OIDs, a line each
		var out []string
		for oid := range strings.FieldsSeq(e.Defn) {
			out = append(out, "ALTER LARGE OBJECT "+oid+to)
		}
		return out
	}
	return nil
}
