package vault

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// newerPlan is the plan of a database as one of version 13 would be, for a
// server of another version.
func newerPlan(t *testing.T, w *world, id string, major int, change func(*restoration)) *RestorePlan {
	t.Helper()
	p := w.plan(RestoreOptions{ID: id, ToNew: "newer_r"})
	r := p.prep.r
	r.catalog.Server.Num = 130016
	if change != nil {
		change(r)
	}
	p.Checks = nil
	conn := connect(t, "")
	if err := p.checkNewer(t.Context(), conn, pg.ServerInfo{Version: "a", Num: major * 10000}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlanNewer: what a newer version does otherwise is said before, and only
// where the archive holds it and the versions lie on both sides of the change.
func TestPlanNewer(t *testing.T) {
	create(t, "newer_db", "")
	sql(t, "newer_db", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "newer_db"}).ok(t)
	id := w.list()[0].ID
	entry := func(desc, tag, defn string) func(*restoration) {
		return func(r *restoration) {
			r.toc.Entries = append(r.toc.Entries, dumpfile.Entry{ID: 99999, Desc: desc, Namespace: "public", Tag: tag, Defn: defn})
		}
	}
	setting := func(name string) func(*restoration) {
		return func(r *restoration) {
			r.catalog.Database.Settings = append(r.catalog.Database.Settings, pg.Setting{Name: name, Value: "on"})
		}
	}
	public := "every role could make objects in the schema public"
	for _, c := range []struct {
		name   string
		major  int
		part   string
		says   bool
		change func(*restoration)
	}{
		{"public schema", 15, public, true, nil},
		{"public schema of an old server", 14, public, false, nil},
		{"public schema with grants of its own", 15, public, false, entry("ACL", "SCHEMA public", "REVOKE ALL ON SCHEMA public FROM PUBLIC;\n")},
		{"public schema of a newer archive", 17, public, false, func(r *restoration) { r.catalog.Server.Num = 150018 }},
		{"aggregate", 14, "aggregates over anyarray, whose functions take anycompatiblearray now: public.\"sum of\"", true, entry("AGGREGATE", "sum of", "CREATE AGGREGATE public.\"sum of\"(anyelement) (\n    SFUNC = array_append,\n    STYPE = anyarray,\n    INITCOND = '{}'\n);\n")},
		{"aggregate of ints", 14, "aggregates over", false, entry("AGGREGATE", "sum", "CREATE AGGREGATE public.sum(integer) (\n    SFUNC = int4pl,\n    STYPE = integer\n);\n")},
		{"postfix operator", 18, "postfix operators", true, entry("OPERATOR", "!!", "CREATE OPERATOR public.!! (\n    FUNCTION = public.f,\n    LEFTARG = integer\n);\n")},
		{"operator", 18, "postfix operators", false, entry("OPERATOR", "===", "CREATE OPERATOR public.=== (\n    FUNCTION = int4eq,\n    LEFTARG = integer,\n    RIGHTARG = integer\n);\n")},
		{"unlogged parent", 18, "partitioned tables that are UNLOGGED are made without that word, as PostgreSQL 18 wants it: public.u;", true, entry("TABLE", "u", "CREATE UNLOGGED TABLE public.u (\n    k integer\n)\nPARTITION BY RANGE (k);\n")},
		{"unlogged parent before", 17, "UNLOGGED", false, entry("TABLE", "u", "CREATE UNLOGGED TABLE public.u (\n    k integer\n)\nPARTITION BY RANGE (k);\n")},
		{"unlogged", 18, "UNLOGGED", false, entry("TABLE", "u", "CREATE UNLOGGED TABLE public.u (\n    k integer\n);\n")},
		{"unknown setting", 17, "does not know are left out: no_such_setting", true, setting("no_such_setting")},
		{"an extension's setting", 17, "does not know", false, setting("nobody.knows")},
		{"known setting", 17, "does not know", false, setting("work_mem")},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newerPlan(t, w, id, c.major, c.change)
			n := 0
			for _, k := range p.Checks {
				if strings.Contains(k.Text, c.part) {
					if n++; k.State != "!" || k.Do == "" && !strings.Contains(k.Text, "UNLOGGED") {
						t.Errorf("%+v", k)
					}
				}
			}
			if n != map[bool]int{true: 1}[c.says] {
				t.Errorf("%d lines with %q: %+v", n, c.part, p.Checks)
			}
		})
	}
}

// TestUnfitSetting: a setting that the server does not take is a warning, and
// the restore is whole; one that was only lost is a difference.
func TestUnfitSetting(t *testing.T) {
	create(t, "unfit_db", "")
	sql(t, "unfit_db", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "unfit_db"}).ok(t)
	id := w.list()[0].ID
	p := w.plan(RestoreOptions{ID: id, ToNew: "unfit_r"})
	d := &p.prep.r.catalog.Database
	d.Settings = append(d.Settings, pg.Setting{Name: "no_such_setting", Value: "1"}, pg.Setting{Name: "password_encryption", Value: "on it"}, pg.Setting{Name: "work_mem", Value: "5MB"})
	dropAfter(t, "unfit_r")
	run := w.apply(t.Context(), p, nil).ok(t)
	var said []string
	for _, n := range all[Notice](run) {
		if n.Level == "warning" {
			said = append(said, n.Text)
		}
	}
	if len(said) != 2 || !strings.Contains(said[0], "no_such_setting was not restored") || !strings.Contains(said[1], "password_encryption was not restored") {
		t.Errorf("%q", said)
	}
	p = w.plan(RestoreOptions{ID: id, ToNew: "unfit_r2"})
	d = &p.prep.r.catalog.Database
	d.Settings = append(d.Settings, pg.Setting{Role: "unfit_nobody", Name: "work_mem", Value: "5MB"})
	dropAfter(t, "unfit_r2")
	w.apply(t.Context(), p, nil).failed(t, fault.Differs)
}

// TestGoneExtension: an extension that newer versions come without is left
// out where nothing needs it, and refused where something does.
func TestGoneExtension(t *testing.T) {
	if one[int](t, "", "SELECT count(*)::int FROM pg_available_extensions WHERE name = 'adminpack'") == 0 {
		goneAtHome(t)
		return
	}
	create(t, "gone_db", "")
	sql(t, "gone_db", "CREATE EXTENSION adminpack", "CREATE TABLE a AS SELECT 1 AS i", "CREATE TABLE b (i int PRIMARY KEY, t text DEFAULT 'x')", "COMMENT ON TABLE b IS 'b'", "CREATE VIEW v AS SELECT * FROM b")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "gone_db"}).ok(t)
	p := w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "gone_r"})
	r := p.prep.r
	if r.leaveGone("adminpack", 16) || r.leaveGone("hstore", 17) || r.leftOut("adminpack") || !r.leaveGone("adminpack", 17) || !r.leftOut("adminpack") || len(r.without) != 2 {
		t.Fatalf("%v", r.without)
	}
	dropAfter(t, "gone_r")
	if run := w.apply(t.Context(), p, nil).ok(t); run.done.TablesEqual != 2 {
		t.Errorf("%+v", run.done)
	}
	if got := one[string](t, "gone_r", "SELECT concat_ws(' ', (SELECT count(*) FROM pg_extension WHERE extname = 'adminpack'), (SELECT count(*) FROM pg_views WHERE viewname = 'v'), (SELECT count(*) FROM pg_constraint WHERE conname = 'b_pkey'), obj_description('public.b'::regclass))"); got != "0 1 1 b" {
		t.Error(got)
	}
	r = w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "gone_r2"}).prep.r
	of := slices.IndexFunc(r.toc.Entries, func(e dumpfile.Entry) bool { return e.Desc == "EXTENSION" })
	r.toc.Entries = append(r.toc.Entries, dumpfile.Entry{ID: 99999, Desc: "FUNCTION", Tag: "f", Deps: []int{r.toc.Entries[of].ID}})
	if r.leaveGone("adminpack", 17) || len(r.without) > 0 {
		t.Errorf("left out although a function needs it: %v", r.without)
	}
}

// goneAtHome is the same, where the server comes without the extension.
func goneAtHome(t *testing.T) {
	create(t, "gone_db", "")
	sql(t, "gone_db", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "gone_db"}).ok(t)
	for needed, state := range map[bool]string{false: "!", true: "x"} {
		p := w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "gone_r"})
		r := p.prep.r
		r.catalog.Extensions = append(r.catalog.Extensions, pg.Extension{Name: "adminpack", Version: "2.1"})
		r.toc.Entries = append(r.toc.Entries, dumpfile.Entry{ID: 99998, Desc: "EXTENSION", Tag: "adminpack"})
		if needed {
			r.toc.Entries = append(r.toc.Entries, dumpfile.Entry{ID: 99999, Desc: "VIEW", Tag: "files", Deps: []int{99998}})
		}
		p.Checks = nil
		if err := p.checkServer(t.Context(), w.vault()); err != nil {
			t.Fatal(err)
		}
		planState(t, p, "extension adminpack is ", state)
	}
}

// TestUnmadeTable: a table that the server refuses to make is named and
// missing, and all others come back; nothing is dropped.
func TestUnmadeTable(t *testing.T) {
	create(t, "unmade_db", "")
	unlogged, parents := "UNLOGGED ", []string{"public.parent"}
	if one[int](t, "", "SELECT current_setting('server_version_num')::int") >= 180000 {
		unlogged, parents = "", nil
	}
	sql(t, "unmade_db", "CREATE TABLE a AS SELECT generate_series(1, 10) AS i", "CREATE "+unlogged+"TABLE parent (k int) PARTITION BY RANGE (k)", "CREATE UNLOGGED TABLE child PARTITION OF parent DEFAULT", "INSERT INTO parent VALUES (1), (2)",
		"CREATE TABLE b (i int PRIMARY KEY)", "INSERT INTO b VALUES (1)")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "unmade_db"}).ok(t)
	p := w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "unmade_r"})
	r := p.prep.r
	if r.logParents(17) != nil || !slices.Equal(r.logParents(18), parents) {
		t.Error("the unlogged table is not found")
	}
	r.tocRaw = bytes.Replace(r.tocRaw, []byte("CREATE TABLE public.b ("), []byte("CREATE TABLX public.b ("), 1)
	dropAfter(t, "unmade_r")
	run := w.apply(t.Context(), p, nil)
	run.failed(t, fault.Differs)
	if d := run.done; d.TablesEqual != 2 || d.TablesTotal != 3 || !slices.ContainsFunc(d.Differences, func(d Difference) bool { return d.Table == "public.b" && strings.Contains(d.Why, "missing") }) {
		t.Errorf("%+v", d)
	}
	if n := all[Notice](run); !slices.ContainsFunc(n, func(n Notice) bool { return n.Text == "the rows of public.b are left out: the table could not be made" }) {
		t.Errorf("%+v", n)
	}
	if got := one[string](t, "unmade_r", "SELECT concat_ws(' ', (SELECT count(*) FROM public.a), (SELECT count(*) FROM public.parent), (SELECT string_agg(relpersistence, '' ORDER BY relname) FROM pg_class WHERE relname IN ('parent', 'child')))"); got != "10 2 up" {
		t.Error(got)
	}
}

// TestOldPasswords are named for servers that may refuse them.
func TestOldPasswords(t *testing.T) {
	g := &pg.Globals{Roles: []pg.GlobalRole{{Role: pg.Role{Name: "old_a"}, Verifier: "md5c4ca4238a0b923820dcc509a6f75849b"}, {Role: pg.Role{Name: "old_b"}, Verifier: "SCRAM-SHA-256$x"}, {Role: pg.Role{Name: "old_c"}, Verifier: "md5c4ca4238a0b923820dcc509a6f75849b"}}}
	for major, want := range map[int]string{13: "", 17: "old_a; these roles cannot log in where", 18: "a later PostgreSQL than 18"} {
		got := ""
		for _, c := range oldPasswords(g, []string{"old_a", "old_b"}, major) {
			got += c.State + " " + c.Text + " " + c.Do
		}
		if !strings.Contains(got, want) || (got == "") != (want == "") || strings.Contains(got, "old_b") || strings.Contains(got, "old_c") || strings.Contains(got, "c4ca") {
			t.Errorf("for %d: %q", major, got)
		}
	}
}

// TestLargeObjectsInOtherBlocks: that a pg_dump divides large objects
// otherwise is no difference; that they are others is one.
func TestLargeObjectsInOtherBlocks(t *testing.T) {
	create(t, "large_db", "")
	sql(t, "large_db", "SELECT lo_from_bytea(1000 + i, decode(repeat('ab', i * 1000), 'hex')) FROM generate_series(1, 20) i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "large_db"}).ok(t)
	r := w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "large_r"}).prep.r
	r.run = newRun(func(Event) {}, time.Now, RunStarted{Kind: KindRestore, Stages: []Stage{StageCompare}})
	sum, err := r.largeSum()
	if err != nil || sum == [32]byte{} {
		t.Fatalf("%x, %v", sum, err)
	}
	for name, other := range map[string]struct {
		sum  [32]byte
		want int
	}{"the same": {sum, 0}, "others": {[32]byte{1}, 1}} {
		s := &compareScan{tables: tables{run: r.run}, largeSum: other.sum}
		for _, l := range r.c.Large {
			s.large.Count, s.large.Bytes = s.large.Count+l.Count, s.large.Bytes+l.Bytes
		}
		s.large.SHA256 = hex.EncodeToString(make([]byte, 64))
		if err := r.compareLarge(s); err != nil || len(s.diffs) != other.want {
			t.Errorf("%s: %+v, %v", name, s.diffs, err)
		}
	}
}

// TestForScript: a host's psql is taken for scripts where it can be kept from
// running commands of its own, that of the scratch server's version first.
func TestForScript(t *testing.T) {
	program := func(major int, version string, psql bool) pg.Programs {
		dir := t.TempDir()
		if psql {
			f, err := os.OpenFile(filepath.Join(dir, "psql"), os.O_CREATE|os.O_WRONLY, 0o700)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(f, "#!/bin/sh\n")
			f.Close()
		}
		return pg.Programs{Major: major, Version: version, Dir: dir, Server: true}
	}
	old13, new13, new15, bare17, new18 := program(13, "13.16", true), program(13, "13.22", true), program(15, "15.18", true), program(17, "17.11", false), program(18, "18.6", true)
	for name, c := range map[string]struct {
		all   []pg.Programs
		major int
		want  string
	}{
		"its own": {[]pg.Programs{new13, new15, new18}, 15, "15.18"}, "its own, patched": {[]pg.Programs{old13, new13, new15}, 13, "13.22"}, "the next newer": {[]pg.Programs{old13, new15, new18}, 13, "15.18"},
		"an older": {[]pg.Programs{new13, new15, bare17}, 17, "15.18"}, "none": {[]pg.Programs{old13, bare17}, 13, ""},
	} {
		p, err := pg.ForScript(c.all, nil, c.major)
		if p.Version != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, p.Version, err)
		}
		if err == nil {
			continue
		}
		if e := fault.As(err); e.Code != fault.Refused || !strings.Contains(e.Why, "13.16") || e.Do == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestScratchLacks: nobody is sent for a package that there is not.
func TestScratchLacks(t *testing.T) {
	for major, do := range map[int]string{16: "install its package on this host, for PostgreSQL 16", 17: "of version 16 or older"} {
		err := scratchLacks("import", []string{"hstore", "adminpack"}, major, "all is as it was")
		fourLines(t, err)
		if e := fault.As(err); e.Code != fault.Refused || !strings.Contains(e.Do, do) {
			t.Errorf("%d: %+v", major, e)
		}
	}
}
