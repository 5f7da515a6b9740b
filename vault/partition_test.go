package vault

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"pgvault/pg/dumpfile"
)

// TestPartitionsOfOlderDumps: pg_dump 13 joins a partition in its own
// definition. A chosen table brings its partitions, whoever wrote the dump.
func TestPartitionsOfOlderDumps(t *testing.T) {
	for _, version := range []string{"pg13", "pg15", "pg17", "pg18"} {
		src, err := os.ReadFile("../pg/dumpfile/testdata/" + version + ".dump")
		if err != nil {
			t.Fatal(err)
		}
		toc, err := dumpfile.ReadTOC(bytes.NewReader(src))
		if err != nil {
			t.Fatal(err)
		}
		if p := partitions(toc); len(p) != 1 || toc.Entry(p[0].parent).Tag != "parts" || toc.Entry(p[0].child).Tag != "parts_1" {
			t.Errorf("%s: %+v", version, p)
		}
		s, err := selectTables(toc, []string{"parts"})
		if err != nil || !slices.Equal(s.tables, []string{"public.parts", "public.parts_1"}) {
			t.Fatalf("%s: %+v, %v", version, s, err)
		}
		if rows := slices.IndexFunc(toc.Entries, func(e dumpfile.Entry) bool {
			return e.Desc == "TABLE DATA" && e.Tag == "parts_1" && s.entries[e.ID]
		}); rows < 0 {
			t.Errorf("%s: the partition comes without its rows", version)
		}
	}
}

// TestAttaches reads names as pg_dump quotes them.
func TestAttaches(t *testing.T) {
	of := func(schema, name string) *dumpfile.Entry {
		return &dumpfile.Entry{Desc: "TABLE", Namespace: schema, Tag: name}
	}
	for defn, parent := range map[string]*dumpfile.Entry{
		"CREATE TABLE public.a_1 (\n);\nALTER TABLE ONLY public.a ATTACH PARTITION public.a_1 DEFAULT;\n": of("public", "a"),
		`ALTER TABLE ONLY "Sales"."o ""x" ATTACH PARTITION public.a_1 DEFAULT;`:                           of("Sales", `o "x`),
		`ALTER TABLE ONLY public."select" ATTACH PARTITION public.a_1 DEFAULT;`:                           of("public", "select"),
	} {
		if !attaches(defn, parent) || attaches(defn, of("public", "b")) || attaches(defn, of("Sales", "a")) {
			t.Errorf("%s: %+v", defn, parent)
		}
	}
}
