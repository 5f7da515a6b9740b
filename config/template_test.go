package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pgvault/vault/retention"
)

const example = "../config.toml.example"

// TestExampleLoads loads the example as it is, and with every commented
// option switched on.
func TestExampleLoads(t *testing.T) {
	src, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	parse(t, string(src))
	on := regexp.MustCompile(`(?m)^# ([a-z_]+ += )`).ReplaceAllString(string(src), "$1")
	if on == string(src) {
		t.Error("no commented option found")
	}
	if c := parse(t, on); c.Server.Conninfo == "" {
		t.Error("dbname is not in the example")
	}
}

// TestExampleIsComplete: every tagged field has its line in the right
// section, with a comment.
func TestExampleIsComplete(t *testing.T) {
	src, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	name := ""
	for line := range strings.SplitSeq(string(src), "\n") {
		if m := regexp.MustCompile(`^\[+([a-z]+)\]+`).FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		sections[name] += line + "\n"
	}
	checked := 0
	root := reflect.TypeFor[Config]()
	for section, i := range options(root) {
		ft := root.Field(i).Type
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		for key, j := range options(ft) {
			line := regexp.MustCompile(`(?m)^(# )?` + key + ` *= .*$`).FindString(sections[section])
			if _, comment, _ := strings.Cut(strings.TrimPrefix(line, "# "), "#"); strings.TrimSpace(comment) == "" {
				t.Errorf("[%s] %s has no line, or no comment: %q", section, key, line)
			}
			checked++
			if ft.Field(j).Type == policyType {
				for rule := range options(policyType) {
					if !strings.Contains(line, rule+" = ") {
						t.Errorf("[%s] %s does not show %s", section, key, rule)
					}
				}
			}
		}
	}
	if checked < 24 {
		t.Errorf("only %d options checked", checked)
	}
}

func TestTemplate(t *testing.T) {
	yes := Values{
		VaultName: "v1", Label: "TEST", Service: "backup", BinDir: "/bin", RecipientsFile: "/r", SigningKey: "/s", TrustedSigners: "/t",
		AllowOneRecipient: true, Databases: []string{"*", "billing"}, Places: []Place{
			{Name: "disk", URL: "file:/b", MinFree: 50 << 30, ReadBack: "weekly"},
			{Name: "two", URL: "s3://abc/c", Credentials: "profile:p", ObjectLock: 30 * 24 * time.Hour, Limit: 40 << 20, ReadBack: "never"}},
	}
	c := parse(t, string(Template(yes)))
	want := Default()
	want.File = c.File
	want.Vault = Vault{Name: "v1", Label: "TEST"}
	want.Server.Service, want.Server.BinDir = "backup", "/bin"
	want.Keys = Keys{"/r", "/s", true, true, "/t", want.Keys.DrillEvery}
	want.Databases = []Database{{Name: "*"}, {Name: "billing"}}
	want.Places = yes.Places
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	rules := retention.Policy{Last: 2, Weekly: 5, Within: 36 * time.Hour}
	c = parse(t, string(Template(Values{MaxAge: 36 * time.Hour, Keep: &rules, Exclude: []string{`a"b`, "*_test"}})))
	if c.Defaults.MaxAge != 36*time.Hour || c.Defaults.Keep != rules || !slices.Equal(c.Databases[0].Exclude, []string{`a"b`, "*_test"}) {
		t.Errorf("got %+v %+v", c.Defaults, c.Databases)
	}
	none := Template(Values{})
	c = parse(t, string(none))
	want = Default()
	want.File, want.Databases = c.File, []Database{{Name: "*"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("no values: got %+v\nwant %+v", c, want)
	}
	on := regexp.MustCompile(`(?m)^# ((\[\[place)|[a-z_]+ += )`).ReplaceAllString(string(none), "$1")
	if c = parse(t, on); len(c.Places) != 1 || c.Keys.SigningKey == "" || len(c.Databases[0].Exclude) != 1 {
		t.Errorf("the hints, switched on: %+v", c)
	}
	if n := strings.Count(string(none), "\n"); n > 45 {
		t.Errorf("%d lines are not small", n)
	}
}

// TestTemplateAnyText: whatever a name or a connection string holds, the
// file written loads and gives it back.
func TestTemplateAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching("[\"'\\\\\\$\\{\\}# \n=\\]\\[a]{0,30}")).
			Filter(func(s string) bool { return s != "" && !strings.ContainsRune(s, 0) })
		db := rapid.Custom(func(t *rapid.T) string { return text.Draw(t, "db") }).Filter(func(s string) bool { return len(s) <= 63 && s != "*" }).Draw(t, "name")
		conninfo := text.Draw(t, "conninfo")
		src := Template(Values{Conninfo: conninfo, Databases: []string{db}})
		c, err := Parse(src, "c.toml", nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		if c.Server.Conninfo != conninfo || c.Databases[0].Name != db {
			t.Fatalf("%q and %q became %q and %q", conninfo, db, c.Server.Conninfo, c.Databases[0].Name)
		}
	})
}

// FuzzParse: no input makes Parse panic, and an error is always about a line
// that is there.
func FuzzParse(f *testing.F) {
	src, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(src))
	f.Add("a = [[1,{b=2}],'''x''',\"\"\"\"\"\"]\n[[a.b]]\n[a.b.'c\"']\n\"\\\"\" = 1")
	f.Add("[[database]]\nname=\"*\"\n[[database.keep]]\n")
	f.Fuzz(func(t *testing.T, src string) {
		c, err := Parse([]byte(src), "f", env("A", "a"))
		if (c == nil) == (err == nil) {
			t.Fatalf("%v %v", c, err)
		}
		for path, line := range lineNumbers(src) {
			if line < 1 || line > strings.Count(src, "\n")+1 {
				t.Fatalf("%q is on line %d", path, line)
			}
		}
	})
}
