package pg

import (
	"maps"
	"strings"
	"testing"
)

func TestParseConninfo(t *testing.T) {
	type kv = map[string]string
	cases := []struct {
		in   string
		want kv
	}{
		{"", kv{}},
		{"billing", kv{"dbname": "billing"}},
		{"host=db1", kv{"host": "db1"}},
		{"  host = db1  port=5433\tuser= 'a b' ", kv{"host": "db1", "port": "5433", "user": "a b"}},
		{`password='it\'s \\ here' dbname=x`, kv{"password": `it's \ here`, "dbname": "x"}},
		{`user=a\ b password=`, kv{"user": "a b", "password": ""}},
		{`user='' host=h`, kv{"user": "", "host": "h"}},
		{"postgresql://", kv{}},
		{"postgres://u:p%40ss@h:1/d%20b?sslmode=verify-full&application_name=x%26y", kv{"user": "u", "password": "p@ss", "host": "h", "port": "1", "dbname": "d b", "sslmode": "verify-full", "application_name": "x&y"}},
		{"postgresql://h1:1,h2:2/d", kv{"host": "h1,h2", "port": "1,2", "dbname": "d"}},
		{"postgresql://h1,h2", kv{"host": "h1,h2"}},
		{"postgresql://[::1]:5/d", kv{"host": "::1", "port": "5", "dbname": "d"}},
		{"postgresql://%2Frun%2Fpg/d", kv{"host": "/run/pg", "dbname": "d"}},
		{"postgresql:///d?host=/run/pg&port=7", kv{"host": "/run/pg", "port": "7", "dbname": "d"}},
		{"postgresql://u@h/d?ssl=true", kv{"user": "u", "host": "h", "dbname": "d", "sslmode": "require"}},
	}
	for _, c := range cases {
		got, err := parseConninfo(c.in)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.in, got, err)
		}
	}
}

func TestParseConninfoErrorsHoldNoSecret(t *testing.T) {
	for _, in := range []string{
		"host=h s3cret", "password='s3cret", `password='s3cret\`, "=s3cret", "pass word=s3cret",
		"postgres://u:s3:cr/et@h/d", "postgres://u:s3cret%zz@h/d", "postgres://h:s3cret/d", "postgres://[::1/s3cret",
		"postgres://h/d?s3cret", "host=h\x00password=s3cret", "postgres://h/d%00s3cret", "postgres://h/d?%zz=s3cret",
	} {
		_, err := parseConninfo(in)
		if err == nil {
			t.Errorf("%q was read", in)
			continue
		}
		_, err = Settings{Conninfo: in}.Env(nil)
		if err == nil || strings.Contains(err.Error(), "s3c") || strings.Contains(err.Error(), "s3:") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// FuzzParseConninfo: what was read and quoted again reads as the same.
func FuzzParseConninfo(f *testing.F) {
	f.Add("host=h", "port")
	f.Add(`user='a\'b' x=\\`, "a b'\\\n")
	f.Fuzz(func(t *testing.T, in, value string) {
		if _, err := parseConninfo(in); err != nil {
			_ = err.Error()
		}
		if strings.ContainsRune(value, 0) {
			return
		}
		got, err := parseConninfo("dbname=" + quoteConninfo(value) + " user=x")
		if err != nil || got["dbname"] != value || got["user"] != "x" {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	})
}
