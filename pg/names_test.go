package pg

import (
	"slices"
	"testing"
)

func TestQuoteName(t *testing.T) {
	for _, c := range [][3]string{
		{"public", "t", "public.t"}, {"", "t1_x", "t1_x"}, {"", "", `""`}, {"public", "Table", `public."Table"`},
		{"public", "select", `public."select"`}, {"public", "1t", `public."1t"`}, {"a b", `c"d`, `"a b"."c""d"`},
		{"public", "naïve", `public."naïve"`}, {"", "a.b", `"a.b"`}, {"", "$x", `"$x"`}, {"", "between", `"between"`}, {"", "name", "name"},
	} {
		if got := QuoteName(c[0], c[1]); got != c[2] {
			t.Errorf("%q.%q: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestQuoteLiteral(t *testing.T) {
	for in, want := range map[string]string{"a": "'a'", "it's": "'it''s'", `a\'b`: `E'a\\''b'`, "": "''"} {
		if got := quoteLiteral(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestSplitList(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "a": {"a"}, `"$user", public`: {"$user", "public"}, `"a,b" ,c , "d""e"`: {"a,b", "c", `d"e`}, `""`: {""},
	} {
		if got := splitList(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	got := restoreErrors([]string{
		"pg_restore: warning: something", "pg_restore: error: could not execute query: ERROR:  role \"x\" does not exist", "DETAIL:  more",
		"Command was: ALTER TABLE a OWNER TO x;", "", "",
		"pg_restore: error: COPY failed for table \"t\": ERROR:  bad", "CONTEXT:  COPY t, line 1", "pg_restore: warning: errors ignored on restore: 2",
	})
	want := []string{`ERROR:  role "x" does not exist DETAIL:  more (ALTER TABLE a OWNER TO x;)`, `COPY failed for table "t": ERROR:  bad CONTEXT:  COPY t, line 1`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestWarnings(t *testing.T) {
	got := warnings([]string{
		"pg_dump: warning: there are circular foreign-key constraints on this table:", "pg_dump: detail: t", "pg_dump: hint: You might not be able to restore",
		"pg_dump: last built-in OID is 16383", "pg_dump: warning: second", "goes on",
	})
	want := []string{"there are circular foreign-key constraints on this table: (t) (You might not be able to restore)", "second goes on"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestCreateStatement(t *testing.T) {
	for _, c := range []struct {
		like  DatabaseInfo
		major int
		want  string
	}{
		{DatabaseInfo{}, 15, `CREATE DATABASE "d" TEMPLATE template0`},
		{DatabaseInfo{Encoding: "UTF8", Provider: "c", Collate: "C", CType: "C"}, 14, `CREATE DATABASE "d" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`},
		{DatabaseInfo{Encoding: "UTF8", Provider: "i", Collate: "C", CType: "C", ICULocale: "de", ICURules: "&a<b"}, 16, `CREATE DATABASE "d" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu LC_COLLATE 'C' LC_CTYPE 'C' ICU_LOCALE 'de' ICU_RULES '&a<b'`},
		{DatabaseInfo{Encoding: "UTF8", Provider: "b", Collate: "C", CType: "C", ICULocale: "C.UTF-8"}, 17, `CREATE DATABASE "d" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin LC_COLLATE 'C' LC_CTYPE 'C' BUILTIN_LOCALE 'C.UTF-8'`},
	} {
		if got := createStatement("d", c.like, c.major); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
