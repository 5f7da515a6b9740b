package config

import (
	"fmt"
	"strings"
	"time"

	"pgvault/vault/retention"
	"pgvault/vault/store/address"
)

// Values are what set-up has chosen; what is empty stays a comment.
type Values struct {
	VaultName         string
	Label             string
	Timezone          string
	Service           string // or Conninfo
	Conninfo          string
	BinDir            string
	RecipientsFile    string
	SigningKey        string
	TrustedSigners    string
	AllowOneRecipient bool
	Databases         []string // none: all that accept connections
	Exclude           []string // globs that "*" leaves out
	Schedule          string
	MaxAge            time.Duration
	Keep              *retention.Policy
	Places            []Place
}

// Template gives the configuration file that set-up writes: the chosen
// values, hints as comments for the rest. Parse reads it back to the same
// values, whatever characters they hold.
func Template(v Values) []byte {
	t := &template{}
	t.line("# pgvault: who is backed up, where to, and who can read it.")
	t.line("# Every option is explained in config.toml.example. No secrets belong in this file.")
	t.section("[vault]")
	t.option("name", v.VaultName, "main", "part of every object's name")
	t.option("label", v.Label, "PROD", "shown on every page")
	t.option("timezone", v.Timezone, "Europe/Berlin", "where schedules are counted; default: this host's")
	t.section("[server]")
	t.line("# What is left out comes from libpq: PG* variables, pg_service.conf, ~/.pgpass")
	t.option("service", v.Service, "backup", "a name from pg_service.conf")
	if v.Service == "" {
		t.option("dbname", v.Conninfo, "postgresql://pgvault@db1/postgres?sslmode=verify-full", "")
	}
	t.option("bin_dir", v.BinDir, "/usr/lib/postgresql/17/bin", "default: the server's own major")
	t.section("[keys]")
	t.option("recipients_file", v.RecipientsFile, "/etc/pgvault/recipients.txt", "who can read the archives")
	t.option("signing_key", v.SigningKey, "/etc/pgvault/signing_key", "keep it on this host, mode 0600")
	t.option("trusted_signers", v.TrustedSigners, "/etc/pgvault/trusted_signers", "further keys whose archives are trusted")
	if v.AllowOneRecipient {
		t.line("allow_one_recipient = true")
	}
	t.section("[defaults]")
	t.option("schedule", v.Schedule, "02:00", "when backups start; pgvault timer install has them started")
	if v.MaxAge > 0 {
		t.option("max_age", FormatDuration(v.MaxAge), "", "a newest backup older than this is late")
	} else {
		t.line(`# max_age = "1d"    # a newest backup older than this is late`)
	}
	if v.Keep != nil {
		t.line("keep            = " + tomlPolicy(*v.Keep))
	} else {
		t.line(`# keep    = { last = 3, daily = 7, weekly = 4, monthly = 6 }`)
	}
	t.line(`# verify  = "readable"    # or "restored": each backup is restored into a scratch server before it ends`)
	t.databases(v.Databases, v.Exclude)
	for _, p := range v.Places {
		t.section("[[place]]")
		t.option("name", p.Name, "", "")
		t.option("url", p.URL, "", "")
		t.place(p)
	}
	if len(v.Places) == 0 {
		t.section("# [[place]]")
		t.line(`# name = "disk"`)
		t.line(`# url  = "file:/backup"`)
	}
	return []byte(t.String())
}

type template struct{ strings.Builder }

func (t *template) databases(names, exclude []string) {
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, n := range names {
		t.section("[[database]]")
		t.option("name", n, "", "")
		if n == "*" {
			t.line("# All that accept connections, future ones too, but for:")
			if len(exclude) == 0 {
				t.line(`# exclude = ["*_test"]`)
				continue
			}
			quoted := make([]string, len(exclude))
			for i, g := range exclude {
				quoted[i] = quote(g)
			}
			t.line("exclude         = [" + strings.Join(quoted, ", ") + "]")
		}
	}
}

// place writes the options that are set, and where nothing is, a hint.
func (t *template) place(p Place) {
	if p.Credentials != "" {
		t.option("credentials", p.Credentials, "", "")
	}
	if p.ObjectLock > 0 {
		t.option("object_lock", FormatDuration(p.ObjectLock), "", "")
	}
	if p.Limit > 0 {
		t.option("limit", address.FormatRate(int64(p.Limit)), "", "")
	}
	if p.ReadBack != "" {
		t.option("read_back", p.ReadBack, "", "")
	}
	if p.MinFree > 0 {
		t.option("min_free", address.FormatSize(int64(p.MinFree)), "", "")
	}
}

func (t *template) line(s string) { t.WriteString(s + "\n") }

func (t *template) section(s string) { t.line("\n" + s) }

// option writes key = value, or the example as a comment when there is none.
func (t *template) option(key, value, example, hint string) {
	mark := ""
	if value == "" {
		mark, value = "# ", example
	}
	s := fmt.Sprintf("%s%-15s = %s", mark, key, quote(value))
	if hint != "" {
		s += "   # " + hint
	}
	t.line(s)
}

// quote writes a TOML string that means s after ${…} was looked for.
func quote(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "${", "$${")
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
