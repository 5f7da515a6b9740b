package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/retention"
)

const day = 24 * time.Hour

// env gives an environment of exactly these variables.
func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func parse(t *testing.T, src string, pairs ...string) *Config {
	t.Helper()
	c, err := Parse([]byte(src), "/etc/pgvault/config.toml", env(pairs...))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return c
}

func TestParse(t *testing.T) {
	yes := true
	got := parse(t, `
[vault]
name = "main"
label = "PROD"
[server]
service = "backup"
globals = true
[keys]
recipients_file = "recipients.txt"
signing_key = "/k/signing_key"
self_check = false
[defaults]
max_age = "1d12h"
verify = "intact"
jobs = 4
keep.daily = 7
keep.within = "2w"
[[database]]
name = "*"
exclude = ["postgres", "*_test"]
[[database]]
name = "host=evil"
max_age = "2h"
[database.keep]
hourly = 24
[[place]]
name = "disk"
url = "file:/${DIR}/x"
[ui]
theme = "light"
times = "utc"
mouse = false
`, "DIR", "backup")
	want := &Config{
		Vault:    Vault{Name: "main", Label: "PROD"},
		Server:   pg.Settings{Service: "backup", Globals: &yes},
		Drill:    Drill{Every: 30 * 24 * time.Hour, Level: "restored"},
		Keys:     Keys{RecipientsFile: "/etc/pgvault/recipients.txt", SigningKey: "/k/signing_key", DrillEvery: 30 * 24 * time.Hour},
		Defaults: Defaults{MaxAge: 36 * time.Hour, Verify: "intact", Jobs: 4, Keep: retention.Policy{Daily: 7, Within: 14 * day}, Grace: 2 * day},
		Databases: []Database{
			{Name: "*", Exclude: []string{"postgres", "*_test"}},
			{Name: "host=evil", MaxAge: 2 * time.Hour, Keep: &retention.Policy{Hourly: 24}},
		},
		Places: []Place{{Name: "disk", URL: "file:/backup/x"}},
		Tell:   Tell{Reminder: 24 * time.Hour},
		UI:     UI{Theme: "light", Times: "utc"},
		File:   "/etc/pgvault/config.toml",

		keepSet: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if got.UI.Location() != time.UTC || (UI{Times: "local"}).Location() != time.Local {
		t.Error("Location does not follow times")
	}
}

func TestThemeOfATerminal(t *testing.T) {
	for _, c := range []struct{ file, variable, want string }{
		{"auto", "", "auto"}, {"dark", "", "dark"}, {"dark", "light", "light"}, {"light", "none", "none"}, {"light", "auto", "auto"}, {"none", "Light", ""},
	} {
		got, err := UI{Theme: c.file}.ThemeIn(func(name string) string {
			if name != "PGVAULT_THEME" {
				t.Errorf("%s was asked for", name)
			}
			return c.variable
		})
		if got != c.want || (err != nil) != (c.want == "") || err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, src := range []string{"", "\ufeff# nothing\r\n", "[vault]\n[keys]\n[defaults]\n[ui]\n"} {
		got := parse(t, src)
		got.File = ""
		if want := Default(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %+v", src, got)
		}
	}
	d := Default()
	if !d.Keys.SelfCheck || d.Defaults.MaxAge != day || d.Defaults.Verify != "readable" || !d.UI.Mouse || d.Vault.Name != "main" || d.Defaults.Keep.Validate() != nil {
		t.Errorf("defaults: %+v", d)
	}
}

func TestEnvironment(t *testing.T) {
	all := []string{
		"DB_HOST", "db1", "DB_PORT", "5433", "DB_USERNAME", "app", "DB_PASSWORD", "hunter2", "DB_DATABASE", "school",
		"BACKUP_DIR", "/var/back ups", "BACKUP_RETENTION_DAYS", "30",
	}
	c := parse(t, "", all...)
	if want := (pg.Settings{Host: "db1", Port: "5433", User: "app", Password: "hunter2"}); c.Server != want {
		t.Errorf("server: %+v", c.Server)
	}
	if want := []Database{{Name: "school"}}; !reflect.DeepEqual(c.Databases, want) {
		t.Errorf("databases: %+v", c.Databases)
	}
	if want := []Place{{Name: "disk", URL: "file:/var/back%20ups"}}; !reflect.DeepEqual(c.Places, want) {
		t.Errorf("places: %+v", c.Places)
	}
	if want := (retention.Policy{Within: 30 * day}); c.Defaults.Keep != want {
		t.Errorf("keep: %+v", c.Defaults.Keep)
	}
	c = parse(t, `
[defaults]
keep = { last = 5 }
[[database]]
name = "own"
[[place]]
name = "p"
url = "file:/own"
`, all...)
	if c.Databases[0].Name != "own" || c.Places[0].URL != "file:/own" || c.Defaults.Keep != (retention.Policy{Last: 5}) {
		t.Errorf("the file does not win: %+v", c)
	}
	if c := parse(t, "", "BACKUP_DIR", "file:/x"); c.Places[0].URL != "file:/x" {
		t.Errorf("BACKUP_DIR as URL: %+v", c.Places)
	}
	for _, bad := range [][]string{
		{"BACKUP_RETENTION_DAYS", "0"}, {"BACKUP_RETENTION_DAYS", "-1"}, {"BACKUP_RETENTION_DAYS", "1000000000000000000"},
		{"BACKUP_RETENTION_DAYS", "NaN"}, {"BACKUP_DIR", "./backups"}, {"BACKUP_DIR", "s3://bucket"},
	} {
		_, err := Parse(nil, "f", env(bad...))
		if err == nil || !strings.Contains(err.Error(), bad[0]) || strings.Contains(err.Error(), bad[1]+" ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestVariables(t *testing.T) {
	c := parse(t, `
[vault]
label = "${A}-${B_2}$${A}$x${EMPTY}"
[[database]]
name = "$${odd}"
exclude_table_data = ["${A}.t"]
`, "A", "a", "B_2", "${A}", "EMPTY", "")
	if c.Vault.Label != "a-${A}${A}$x" {
		t.Errorf("label = %q", c.Vault.Label) // what a variable holds is not looked through again
	}
	if c.Databases[0].Name != "${odd}" || c.Databases[0].ExcludeTableData[0] != "a.t" {
		t.Errorf("%+v", c.Databases)
	}
}

func TestLoad(t *testing.T) {
	path := t.TempDir() + "/config.toml"
	_, err := Load(path, env())
	if !errors.Is(err, fs.ErrNotExist) || fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.As(err).Do, "pgvault init") {
		t.Errorf("a missing file: %+v", err)
	}
	if err := os.WriteFile(path, []byte("[vault]\nname = \"${N}\"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, env("N", "x"))
	if err != nil || c.Vault.Name != "x" || c.File != path {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := os.Chmod(path, 0o646); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, env("N", "x")); err == nil || !strings.Contains(err.Error(), "everybody can change") {
		t.Errorf("a file that everybody can write to: %v", err)
	}
	if _, err := Load(t.TempDir(), env()); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Parse(make([]byte, maxSize+1), "f", nil); err == nil {
		t.Error("a file over the limit is accepted")
	}
}

func TestPlaceOptions(t *testing.T) {
	c := parse(t, `
[defaults]
copies = ["s3", "disk"]
[[database]]
name = "own"
copies = ["nas"]
[[place]]
name = "disk"
url = "file:/backup"
min_free = "50GiB"
[[place]]
name = "s3"
url = "s3://acme-pgbackup/main?region=eu-central-1"
credentials = "profile:pgvault"
object_lock = "30d"
limit = "40MiB/s"
[[place]]
name = "nas"
url = "sftp://pgvault@nas/pg"
credentials = "file:nas_key"
read_back = "never"
`)
	want := []Place{
		{Name: "disk", URL: "file:/backup", MinFree: 50 << 30},
		{Name: "s3", URL: "s3://acme-pgbackup/main?region=eu-central-1", Credentials: "profile:pgvault", ObjectLock: 30 * day, Limit: 40 << 20},
		{Name: "nas", URL: "sftp://pgvault@nas/pg", Credentials: "file:/etc/pgvault/nas_key", ReadBack: "never"},
	}
	if !reflect.DeepEqual(c.Places, want) {
		t.Errorf("got  %+v\nwant %+v", c.Places, want)
	}
	if a, b := c.Database("own").Copies, c.Database("other").Copies; !slices.Equal(a, []string{"nas"}) || !slices.Equal(b, []string{"s3", "disk"}) {
		t.Errorf("copies of own %q, of others %q", a, b)
	}
	c.Defaults.Copies = nil
	if all := c.Database("other").Copies; !slices.Equal(all, []string{"disk", "s3", "nas"}) {
		t.Errorf("copies without a word: %q", all)
	}
	old := *c
	old.Places = slices.Clone(c.Places)
	old.Places[0].MinFree, old.Places[1].Limit = 0, 1<<20
	if got := fmt.Sprint(Changes(&old, c)); got != "[place disk.min_free (none) > 50GiB place s3.limit 1MiB/s > 40MiB/s]" {
		t.Errorf("changes: %s", got)
	}
}

// TestBucketFromEnvironment: what an application's .env says of S3 makes a
// place beside BACKUP_DIR's.
func TestBucketFromEnvironment(t *testing.T) {
	for _, c := range []struct {
		vars []string
		want string
	}{
		{[]string{"S3_BACKUP_BUCKET", "acme-backup"}, "s3://acme-backup"},
		{[]string{"S3_BACKUP_BUCKET", "acme-backup/db/", "AWS_REGION", "eu-west-1"}, "s3://acme-backup/db?region=eu-west-1"},
		{[]string{"S3_BACKUP_BUCKET", "s3://acme-backup?region=a", "AWS_REGION", "b"}, "s3://acme-backup?region=a"},
		{[]string{"S3_BACKUP_BUCKET", "acme-backup", "AWS_ENDPOINT_URL", "https://minio:9000"}, "s3://acme-backup?endpoint=https://minio:9000&path_style=true"},
		{[]string{"S3_BACKUP_BUCKET", "acme-backup", "AWS_ENDPOINT_URL", "x", "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1/"}, "s3://acme-backup?endpoint=http://127.0.0.1:1/&path_style=true"},
	} {
		conf := parse(t, "", c.vars...)
		if len(conf.Places) != 1 || conf.Places[0] != (Place{Name: "s3", URL: c.want}) {
			t.Errorf("%q: %+v", c.vars, conf.Places)
		}
	}
	c := parse(t, "[defaults]\ncopies = [\"s3\", \"disk\"]", "S3_BACKUP_BUCKET", "acme-backup", "BACKUP_DIR", "/b")
	if len(c.Places) != 2 || c.Places[0].Name != "disk" || c.Places[1].Name != "s3" {
		t.Errorf("%+v", c.Places)
	}
	if c = parse(t, "[[place]]\nname = \"p\"\nurl = \"file:/own\"", "S3_BACKUP_BUCKET", "acme-backup"); len(c.Places) != 1 {
		t.Errorf("the file does not win: %+v", c.Places)
	}
	for _, bad := range [][]string{
		{"S3_BACKUP_BUCKET", "Acme"}, {"S3_BACKUP_BUCKET", "gs://acme"}, {"S3_BACKUP_BUCKET", "k:hunter2@acme"}, {"AWS_REGION", "hunter2 x", "S3_BACKUP_BUCKET", "acme"},
		{"AWS_ENDPOINT_URL", "http://h", "S3_BACKUP_BUCKET", "acme"}, {"AWS_ENDPOINT_URL", "https://u:hunter2@h", "S3_BACKUP_BUCKET", "acme"},
	} {
		_, err := Parse(nil, "f", env(bad...))
		if err == nil || !strings.Contains(err.Error(), "environment variable "+bad[0]) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestDeepNesting: a file made to hurt gives an error, soon.
func TestDeepNesting(t *testing.T) {
	const deep = 100_000
	src := "[vault]\nname = " + strings.Repeat("[", deep) + strings.Repeat("]", deep)
	_, err := Parse([]byte(src), "f", nil)
	if err == nil || !strings.Contains(err.Error(), "f:2: ") || len(fault.As(err).What) > 200 {
		t.Errorf("%.300v", err)
	}
	src = "[" + strings.Repeat("k", maxSize-1000) + "]\n[vault]\nnaem = 1"
	if _, err = Parse([]byte(src), "f", nil); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.300v", err)
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1d": day, "2w": 14 * day, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "1d12h": 36 * time.Hour,
		"1.5h": 90 * time.Minute, "500ms": 500 * time.Millisecond, "36525d": maxDuration,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "0", "0d", "1", "d", "-1d", "+1d", "1 d", "1d ", "1D", "1y", "1M", "1e3d", "NaN", "Inf", "36526d", "1000000000000000000h",
		strings.Repeat("9", 400) + "s", "1d1d\x00",
	} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%q = %v is accepted", in, got)
		}
	}
}

func TestWhere(t *testing.T) {
	vars := map[string]string{}
	get := func(k string) string { return vars[k] }
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	vars["HOME"] = "/home/u"
	check(defaultPath(0, get, false), "/etc/pgvault/config.toml")
	check(defaultPath(7, get, true), "/etc/pgvault/config.toml")
	check(defaultPath(7, get, false), "/home/u/.config/pgvault/config.toml")
	check(stateDir(0, get, "", nobody), "/var/lib/pgvault")
	check(stateDir(0, get, "/root/own.toml", 0), "/var/lib/pgvault")
	check(stateDir(0, get, "/root/own.toml", 999), "/home/u/.local/state/pgvault")
	check(stateDir(0, get, systemFile, 999), "/var/lib/pgvault")
	check(stateDir(7, get, systemFile, 999), "/var/lib/pgvault")
	check(stateDir(7, get, systemFile, nobody), "/home/u/.local/state/pgvault")
	check(stateDir(7, get, "/home/u/own.toml", 999), "/home/u/.local/state/pgvault")
	check(stateDir(7, get, "", nobody), "/home/u/.local/state/pgvault")
	vars["XDG_CONFIG_HOME"], vars["XDG_STATE_HOME"] = "/c", "relative"
	check(defaultPath(7, get, false), "/c/pgvault/config.toml")
	check(stateDir(7, get, "", nobody), "/home/u/.local/state/pgvault")
	vars["STATE_DIRECTORY"] = "/var/lib/private/pgvault:/other"
	check(stateDir(0, get, systemFile, 999), "/var/lib/private/pgvault")
	t.Setenv("STATE_DIRECTORY", "/s")
	check(StateDir(""), "/s")
	if !strings.HasSuffix(DefaultPath(), "/pgvault/config.toml") {
		t.Errorf("DefaultPath() = %s", DefaultPath())
	}
}
