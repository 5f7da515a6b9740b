package config

import (
	"slices"
	"testing"
	"time"

	"pgvault/vault/retention"
)

func TestDatabase(t *testing.T) {
	c := parse(t, `
[defaults]
max_age = "3d"
keep = { last = 9 }
[[database]]
name = "*"
exclude = ["x"]
exclude_table_data = ["a.star"]
max_age = "5d"
[[database]]
name = "own"
exclude_table_data = ["a.own"]
keep = { yearly = 2 }
[[database]]
name = "bare"
`)
	for _, want := range []struct {
		name   string
		maxAge time.Duration
		keep   retention.Policy
		tables []string
	}{
		{"own", 3 * day, retention.Policy{Yearly: 2}, []string{"a.own"}},
		{"bare", 3 * day, retention.Policy{Last: 9}, nil},
		{"other", 5 * day, retention.Policy{Last: 9}, []string{"a.star"}},
		{"", 5 * day, retention.Policy{Last: 9}, []string{"a.star"}},
	} {
		got := c.Database(want.name)
		if got.Name != want.name || got.MaxAge != want.maxAge || *got.Keep != want.keep || !slices.Equal(got.ExcludeTableData, want.tables) || got.Exclude != nil {
			t.Errorf("%s: %+v, keep %+v", want.name, got, got.Keep)
		}
	}
	c.Database("own").Keep.Yearly = 99
	c.Database("other").ExcludeTableData[0] = "changed"
	if c.Databases[1].Keep.Yearly != 2 || c.Databases[0].ExcludeTableData[0] != "a.star" {
		t.Error("what Database returns shares memory with the configuration")
	}
}

func TestSelect(t *testing.T) {
	all := []string{"postgres", "billing", "a/b_test", "x_test", "UPPER", "host=evil", "[odd]", "a*b", "über", "\xff\xfe", "line\nbreak"}
	for _, c := range []struct {
		name      string
		databases []Database
		want      []string
	}{
		{"nothing said", nil, all},
		{"all", []Database{{Name: "*"}}, all},
		{"a slash is no border", []Database{{Name: "*", Exclude: []string{"*_test", "[U]*", "postgres"}}},
			[]string{"billing", "host=evil", "[odd]", "a*b", "über", "\xff\xfe", "line\nbreak"}},
		{"odd names by pattern", []Database{{Name: "*", Exclude: []string{`\[odd\]`, `a\*b`, "host=*", "?ber", "??", "line*break", "a?b_test"}}},
			[]string{"postgres", "billing", "x_test", "UPPER"}},
		{"all left out", []Database{{Name: "*", Exclude: []string{"*"}}}, nil},
		{"named ones only", []Database{{Name: "billing"}, {Name: "gone"}}, []string{"billing", "gone"}},
		{"named beats exclude", []Database{{Name: "*", Exclude: []string{"*"}}, {Name: "billing"}}, []string{"billing"}},
		{"named and all", []Database{{Name: "billing"}, {Name: "*", Exclude: []string{"[^b]*"}}}, []string{"billing"}},
	} {
		want := slices.Clone(c.want)
		slices.Sort(want)
		if got := (&Config{Databases: c.databases}).Select(all); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	if got := (&Config{}).Select(nil); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}
