// Package sample is a school's database as SQL text: a few dozen tables of
// believable, made-up data with about every kind of object that PostgreSQL
// can dump, for `pgvault demo` and for tests.
//
// The caller runs the statements, in this order and as a superuser: Roles and
// Settings change the server, the others the current database, which should
// be new. Each statement is a text of several SQL commands without
// parameters; every one may be run by a session of its own, and by the simple
// query protocol each is one transaction.
//
//	Roles(), Schema(), Data(size)..., Settings(database)
//
// The rows depend on the size alone, not on chance or the day; only the few
// rows in audit.change hold the time of the load. The server needs the
// extensions citext and pg_trgm, which Debian ships with it, and PostgreSQL 13
// or newer.
package sample

import (
	"embed"
	"strconv"
	"strings"
)

//go:embed sql/*.sql
var files embed.FS

// DefaultSize is the size for a demonstration: filled within seconds.
const DefaultSize = 50_000_000

const (
	// bytesFixed and bytesPerStudent are how large the uncompressed dump is
	// for no student and for each one more, as measured with PostgreSQL 15.
	bytesFixed      = 450_000
	bytesPerStudent = 24_400
	minStudents     = 30
)

// Roles makes the roles that own and may read some tables. Roles that exist
// already are left as they are.
func Roles() string { return text("10-roles") }

// Schema makes schemas, extensions, types, functions and tables, without
// keys and indexes.
func Schema() string {
	return text("20-types") + text("30-people") + text("31-fees") + text("32-odd")
}

// Data fills the tables so that an uncompressed dump has about size bytes
// (1 MB at least), and makes keys, indexes, views, triggers and rights after
// it. Label names what a statement does.
func Data(size int64) []string {
	students := max(minStudents, (size-bytesFixed)/bytesPerStudent)
	n := func(i int64) string { return strconv.FormatInt(i, 10) }
	fill := strings.NewReplacer(
		"{{students}}", n(students),
		"{{classes}}", n(1+students/24),
		"{{staff}}", n(8+students/14),
	).Replace
	out := []string{text("40-seed")}
	out = append(out, split(fill(text("50-data")))...)
	out = append(out, text("60-keys"))
	return append(out, split(text("70-logic"))...)
}

// Settings gives the named database settings, a comment and rights of its
// own: what lies beside a database rather than in it.
func Settings(database string) string {
	quoted := `"` + strings.ReplaceAll(database, `"`, `""`) + `"`
	return strings.ReplaceAll(text("80-settings"), "{{database}}", quoted)
}

// Label is what a statement of this package does, in a few words.
func Label(statement string) string {
	line, _, _ := strings.Cut(statement, "\n")
	return strings.TrimPrefix(line, "-- ")
}

// split cuts a file at its comments that begin a line.
func split(s string) []string {
	parts := strings.Split(s, "\n-- ")
	for i := range parts {
		if i > 0 {
			parts[i] = "-- " + parts[i]
		}
		parts[i] = strings.TrimRight(parts[i], "\n") + "\n"
	}
	return parts
}

func text(name string) string {
	b, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // the file is part of the binary
	}
	return string(b)
}
