package setup

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"pgvault/safetext"
	"pgvault/vault"
	"pgvault/vault/store/address"
)

// Sheet is a recovery sheet, ready to be printed as text or as a page.
type Sheet struct {
	Title  string
	Blocks []SheetBlock
}

// SheetBlock is one paragraph: prose, or lines to type as they stand.
type SheetBlock struct {
	Heading string // of a new section; empty: the section goes on
	Prose   []string
	Type    []string // for a shell, in order
}

// MakeSheet writes the sheet for these facts. It holds no secret, because the
// facts hold none.
func MakeSheet(f *vault.SheetFacts, version string, at time.Time) (*Sheet, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	s := &Sheet{Title: "Recovery sheet of the pgvault vault " + safetext.Line(f.Vault)}
	s.Blocks = append(s.Blocks, SheetBlock{Prose: []string{
		fmt.Sprintf("Printed %s on %s by pgvault %s. No secret is on this page.", at.UTC().Format("2006-01-02 15:04")+"Z", safetext.Line(host), version),
		"To get the databases back, this page, one secret key and one place are enough.",
	}})
	if err := s.facts(f); err != nil {
		return nil, err
	}
	s.withPgvault(f)
	return s, s.withStock(f)
}

func (s *Sheet) facts(f *vault.SheetFacts) error {
	places := SheetBlock{Heading: "1  Where the archives are"}
	for _, p := range f.Places {
		places.Prose = append(places.Prose, fmt.Sprintf("%-12s %s", safetext.Line(p.Name), safetext.Line(p.URL)))
	}
	keys := SheetBlock{Heading: "2  Which secret keys open them: each of these alone"}
	for _, r := range f.Recipients {
		keys.Prose = append(keys.Prose, fmt.Sprintf("%-12s %s  %s", safetext.Line(r.Name), r.Fingerprint, r.Kind))
	}
	keys.Prose = append(keys.Prose, "Older archives may be for other keys too: \"recipients\" in manifest.json names them.")
	what := SheetBlock{Heading: "3  What to compare", Prose: []string{"vault        " + safetext.Line(f.Vault) + ", id " + f.ID}}
	for _, g := range f.Signers {
		what.Prose = append(what.Prose, "signed by    "+g.Fingerprint)
	}
	if f.Config != "" {
		what.Prose = append(what.Prose, "config was   "+safetext.Line(f.Config))
	}
	s.Blocks = append(s.Blocks, places, keys, what)
	return nil
}

func (s *Sheet) withPgvault(f *vault.SheetFacts) {
	b := SheetBlock{Heading: "4  With pgvault, from one of the places", Prose: []string{"KEY is the file with the secret key. Read access to the place is enough."}}
	signer := ""
	for _, g := range f.Signers { // after a take-over, archives are signed by two
		signer += " --signer " + g.Fingerprint
	}
	for _, p := range f.Places {
		b.Type = append(b.Type, "pgvault recover --from "+safetext.Word(p.URL)+" -i \"$KEY\""+signer)
	}
	s.Blocks = append(s.Blocks, b)
}

// withStock is section 12 of docs/FORMAT.md for these places.
func (s *Sheet) withStock(f *vault.SheetFacts) error {
	add := func(prose string, lines ...string) {
		s.Blocks = append(s.Blocks, SheetBlock{Prose: []string{prose}, Type: lines})
	}
	s.Blocks = append(s.Blocks, SheetBlock{Heading: "5  Without pgvault: OpenSSH, age, zstd and PostgreSQL's client programs",
		Prose: []string{"In an empty folder, with bash. Put in your own: the file with the secret key, the database's", "folder, the archive's, and a name for the new database. Go on only when a line went well."},
		Type:  []string{Blanks}})
	signers := []string{}
	for i, g := range f.Signers {
		to := ">"
		if i > 0 {
			to = ">>"
		}
		signers = append(signers, "echo 'pgvault "+g.Public+"' "+to+" allowed_signers")
	}
	add("Whose signatures count:", signers...)
	for _, p := range f.Places {
		look, fetch, err := fetchLines(p.URL, f.Vault)
		if err != nil {
			return err
		}
		add("See what is in "+safetext.Line(p.Name)+": databases, then archives, each ID before its manifest.json, the newest last. Fetch one:", append(look, fetch...)...)
	}
	if len(f.Places) > 1 {
		s.Blocks[len(s.Blocks)-1].Prose = append(s.Blocks[len(s.Blocks)-1].Prose, "(One place is enough.)")
	}
	add("It must say Good, and OK for each file; else take another archive or place, and do not go on:",
		`cd "$ID"`,
		"ssh-keygen -Y verify -f ../allowed_signers -I pgvault -n pgvault-manifest@v1 -s manifest.json.sig < manifest.json",
		`sed -n 's/^ *{"sha256":"\([0-9a-f]*\)","size":[0-9]*,"name":"\([^"/]*\)"},\{0,1\}$/\1  \2/p' manifest.json | sha256sum --strict -c`)
	add("These must be the archive and the database that you asked for, and the vault's id of 3:",
		`grep -E '^  "(vault_id|id|database|started)":' manifest.json`)
	add("Roles and settings (that some are there already is no harm), then the database. age 1.3 or newer for age1pq1 keys:",
		`age -d -i "$KEY" globals.sql.zst.age | zstd -d | psql -X -d postgres`,
		`createdb -T template0 "$NEWDB"`,
		`age -d -i "$KEY" main.dump.zst.age | zstd -d | pg_restore --exit-on-error -d "$NEWDB"`)
	return nil
}

// Blanks is the line of the sheet in which a person fills in what it cannot
// know.
const Blanks = "KEY=/path/of/key.txt DB=database ID=20260101T000000Z-0000 NEWDB=name"

// sheetSection is the Setup page's row of the recovery sheet.
func sheetSection(ctx context.Context, v vault.Desk) Section {
	const name, remedy = "Recovery sheet", "pgvault recovery-sheet, and put the page where it is found when this machine is gone"
	h, found := v.(healthOf)
	if !found {
		return section(name, "[vault]", "not known without a vault", "", nil)
	}
	health, err := h.Health(ctx)
	switch {
	case err != nil:
		return section(name, "[vault]", "not known now", "not known", []vault.Check{note("", "whether it was printed is not known: %v", err)})
	case health.Sheet.PrintedAt == nil:
		return section(name, "[vault]", "never printed", "never printed", []vault.Check{note(remedy, "no recovery sheet was printed on this host yet")})
	}
	printed := "printed " + health.Sheet.PrintedAt.UTC().Format(time.DateOnly)
	if len(health.Sheet.Changed) == 0 {
		return section(name, "[vault]", printed+", still true", "", []vault.Check{ok("what it says is what the vault is")})
	}
	return section(name, "[vault]", printed+", no longer true", "changed", []vault.Check{note(remedy, "since then: %s", strings.Join(health.Sheet.Changed, "; "))})
}

// fetchLines are the commands that list a place and bring one archive's
// folder here, with the programs that people have for such a place.
func fetchLines(url, name string) (look, fetch []string, err error) {
	a, err := address.Parse(url)
	if err != nil {
		return nil, nil, err
	}
	const one = `/"$DB"/"$ID"`
	switch a.Scheme {
	case address.File:
		at := safetext.Word(path.Join(a.Path, name))
		return []string{"ls " + at, "ls " + at + `/"$DB"/*/manifest.json`}, []string{"cp -r " + at + one + " ."}, nil
	case address.SFTP:
		to, port := a.Host, ""
		if a.User != "" {
			to = a.User + "@" + a.Host
		}
		if a.Port > 0 {
			port = fmt.Sprintf("-P %d ", a.Port)
		}
		at := path.Join(a.Path, name)
		return []string{"echo ls -1 " + safetext.Word(at) + " | sftp -b - " + port + safetext.Word(to), "echo ls -1 " + safetext.Word(at) + `/"$DB"/\*/manifest.json | sftp -b - ` + port + safetext.Word(to)},
			[]string{"sftp -r " + port + safetext.Word(bracketed(to)+":"+at) + one + " ."}, nil
	case address.S3:
		aws := "aws"
		if a.Endpoint != "" {
			aws += " --endpoint-url " + safetext.Word(a.Endpoint)
		}
		if a.Region != "" {
			aws += " --region " + safetext.Word(a.Region)
		}
		at := safetext.Word("s3://" + path.Join(a.Bucket, a.Prefix, name))
		return []string{aws + " s3 ls " + at + "/", aws + " s3 ls --recursive " + at + `/"$DB"/ | grep 'manifest.json$'`}, []string{aws + " s3 cp --recursive " + at + one + ` "$ID"`}, nil
	case address.GCS:
		at := safetext.Word("gs://" + path.Join(a.Bucket, a.Prefix, name))
		return []string{"gcloud storage ls " + at + "/", "gcloud storage ls " + at + `/"$DB"/'*/manifest.json'`}, []string{"gcloud storage cp -r " + at + one + " ."}, nil
	}
	at := safetext.Word(path.Join(a.Prefix, name))
	az := " --auth-mode login --account-name " + safetext.Word(a.Account)
	if a.Endpoint != "" {
		az = " --auth-mode login --blob-endpoint " + safetext.Word(a.Endpoint)
	}
	return []string{"az storage blob list" + az + " -c " + safetext.Word(a.Bucket) + " --prefix " + at + "/ --delimiter / --query '[].name' -o tsv",
			"az storage blob list" + az + " -c " + safetext.Word(a.Bucket) + " --prefix " + at + `/"$DB"/ -o tsv --query "[?ends_with(name, '/manifest.json')].name"`},
		[]string{"az storage blob download-batch" + az + " -s " + safetext.Word(a.Bucket) + " --pattern " + at + one + "/'*' -d . && mv " + at + one + " ."}, nil
}

// bracketed is a host as sftp takes it before a colon.
func bracketed(host string) string {
	user, rest, ok := strings.Cut(host, "@")
	if !ok {
		user, rest = "", host
	} else {
		user += "@"
	}
	if strings.Contains(rest, ":") {
		rest = "[" + rest + "]"
	}
	return user + rest
}
