package foreign

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func sumOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

const sample = `--
-- PostgreSQL database dump
--

\restrict abcDEF123

-- Dumped from database version 15.4 (Debian 15.4-1)
-- Dumped by pg_dump version 17.2

-- Started on 2024-01-02 03:04:05 UTC

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'LATIN1';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA "Odd one";
CREATE FUNCTION public.f() RETURNS void LANGUAGE plpgsql AS $_$
BEGIN -- it's \! nothing
  PERFORM 'COPY public.evil FROM stdin;';
END $_$;
ALTER FUNCTION public.f() OWNER TO "App Owner";
SET default_tablespace = fast;
CREATE TABLE public.t (a text DEFAULT '\!''x'::text);
ALTER TABLE public.t OWNER TO app;
COPY public.t (a, b) FROM stdin;
\\! row
a;'"$$--/*

\.


COPY public."T 2" (a) FROM stdin;
\.
GRANT SELECT ON TABLE public.t TO reader, "Wri""ter" WITH GRANT OPTION;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE POLICY p ON public.t TO clerk USING ((a = E'it\'s; \! x'::text));
ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s GRANT ALL ON TABLES TO taker;
/* /* \! */ ; */
\unrestrict abcDEF123

--
-- PostgreSQL database dump complete
--

`

func TestReadScript(t *testing.T) {
	var out bytes.Buffer
	s, err := ReadScript(iotest.OneByteReader(strings.NewReader(sample)), &out, Filter{OldServer: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.Cut != "" || len(s.Commands) > 0 || s.Cluster || s.Server != "15.4" || s.Dump != "17.2" || s.Encoding != "LATIN1" || s.Started.Year() != 2024 {
		t.Errorf("%+v", s)
	}
	if want := []string{"App Owner", "Wri\"ter", "app", "clerk", "maker", "reader", "taker"}; !slices.Equal(s.Roles, want) {
		t.Errorf("roles %q", s.Roles)
	}
	if want := []Extension{{"pgcrypto", "Odd one"}}; !slices.Equal(s.Extensions, want) {
		t.Errorf("extensions %q", s.Extensions)
	}
	rows := "\\\\! row\na;'\"$$--/*\n\n"
	if got, want := s.Tables[Name{"public", "t"}], (Rows{Rows: 3, Bytes: int64(len(rows)), SHA256: sumOf(rows)}); got != want {
		t.Errorf("%+v, expected %+v", got, want)
	}
	if got, ok := s.Tables[Name{"public", "T 2"}]; !ok || got.Rows != 0 || len(s.Tables) != 2 {
		t.Errorf("%+v", s.Tables)
	}
	if strings.Count(out.String(), "\n") != strings.Count(sample, "\n") {
		t.Error("the numbers of lines moved")
	}
	for _, gone := range []string{`\restrict`, `\unrestrict`, "default_tablespace", "transaction_timeout"} {
		if strings.Contains(out.String(), gone) {
			t.Errorf("%s was passed on", gone)
		}
	}
	if !strings.Contains(out.String(), rows) {
		t.Error("rows were changed")
	}
}

func TestScriptCommands(t *testing.T) {
	for text, line := range map[string]int64{
		"SELECT 1;\n\\! touch x\n":                                      2,
		"\\copy t from program 'touch x'\n":                             1,
		"SELECT 1 \\gexec\n":                                            1,
		"SELECT '\\! x' \\g |touch x\n":                                 1,
		"SELECT E'a\\'', '\n\\! x' ; \\! y\n":                           2,
		"SET standard_conforming_strings = off;\nSELECT '\\''; \\! y\n": 2,
		"SELECT $a$ $b$ \\! $a$; \\o /etc/x\n":                          1,
		"SELECT a$b$ \\! x\n":                                           1,
		"COPY t FROM stdin;\n\\.\n\\! x\n":                              3,
		"\\restrict a`touch x`\n":                                       1,
		"\\connect `touch x`\n":                                         1,
		"\\connect a b\n":                                               1,
		"-- x\r\n  \\! x\n":                                             2,
	} {
		for _, long := range []string{"", "/*" + strings.Repeat("*", 3*chunk) + "*/"} {
			s, err := ReadScript(strings.NewReader(long+text), nil, Filter{})
			if err != nil || len(s.Commands) != 1 || s.Commands[0].Line != line {
				t.Errorf("%q: %v %+v", text, err, s.Commands)
			}
		}
	}
	for _, text := range []string{"SELECT '\\!';", "SELECT \"\\!\";\n", "-- \\!\n", "/* \\! */", "SELECT $$ \\! $$;", "COPY t FROM stdin;\n\\! x\n\\.\n", "SELECT E'\\'\\! x';"} {
		if s, err := ReadScript(strings.NewReader(text), nil, Filter{}); err != nil || len(s.Commands) > 0 || s.Cut != "" {
			t.Errorf("%q: %v %+v", text, err, s)
		}
	}
}

func TestScriptCut(t *testing.T) {
	for text, want := range map[string]string{
		"COPY a.t FROM stdin;\n1\n2":    "within the rows of a.t",
		"COPY a.t FROM stdin;\n":        "within the rows of a.t",
		"SELECT 'x":                     "within a statement",
		"SELECT 1":                      "within a statement",
		"CREATE FUNCTION f() AS $$ x; ": "within a statement",
		"--\n-- PostgreSQL database dump\n--\nSET a = 1;\n": "last line is not there",
	} {
		s, err := ReadScript(strings.NewReader(text), nil, Filter{})
		if err != nil || !strings.Contains(s.Cut, want) {
			t.Errorf("%q: %v %q", text, err, s.Cut)
		}
	}
}

func TestScriptDatabase(t *testing.T) {
	text := "SET a = 1;\nDROP DATABASE shop;\nCREATE DATABASE shop\n  TEMPLATE template0;\n\\connect -reuse-previous=on \"dbname='sh op'\"\nSET search_path = old, pg_catalog;\nCOPY t (a) FROM stdin;\n1\n\\.\n"
	first, err := ReadScript(strings.NewReader(text), nil, Filter{})
	if err != nil || first.Database != "sh op" || first.Cluster || len(first.Commands) > 0 {
		t.Fatalf("%v %+v", err, first)
	}
	if _, ok := first.Tables[Name{"old", "t"}]; !ok {
		t.Errorf("%+v", first.Tables)
	}
	var out bytes.Buffer
	if _, err := ReadScript(strings.NewReader(text), &out, Filter{Script: first}); err != nil {
		t.Fatal(err)
	}
	if want := "\n\n\n\n\nSET search_path = old, pg_catalog;\nCOPY t (a) FROM stdin;\n1\n\\.\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
	if s, _ := ReadScript(strings.NewReader("\\connect a\n\\connect b\n"), nil, Filter{}); !s.Cluster {
		t.Error("two databases were taken for one")
	}
}

// TestLongLines: pieces of a line are read as the line is.
func TestLongLines(t *testing.T) {
	for _, n := range []int{chunk - 3, chunk - 1, chunk, chunk + 1, chunk + carry, 2*chunk + 7} {
		long := strings.Repeat("x", n)
		text := "INSERT INTO t VALUES ('" + long + "''\\!;');\nCOPY t FROM stdin;\n" + long + "\n\\.\nSELECT 1;\n"
		s, err := ReadScript(strings.NewReader(text), nil, Filter{})
		if err != nil || len(s.Commands) > 0 || s.Inserts != 1 || s.Cut != "" || s.Tables[Name{"public", "t"}].SHA256 != sumOf(long+"\n") {
			t.Errorf("%d: %v %+v", n, err, s)
		}
	}
}

func FuzzReadScript(f *testing.F) {
	f.Add(sample)
	f.Add("COPY t FROM stdin;\n\\.\n\\! x")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		s, err := ReadScript(strings.NewReader(text), &out, Filter{})
		if err != nil || s.Bytes != int64(len(text)) || strings.Count(out.String(), "\n") < strings.Count(text, "\n") {
			t.Errorf("%v, %d of %d bytes", err, s.Bytes, len(text))
		}
	})
}
