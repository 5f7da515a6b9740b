package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// room is one part of the house, docs/ARCHITECTURE.md, and which other rooms
// it may import. Names are paths below the module; "x/..." is x and all
// below it.
type room struct {
	name string
	may  []string
	why  string
}

// The first room that fits a package is its room. A package that fits none
// fails the test: a new room is a decision, and is written down here.
var rooms = []room{
	{"main", []string{"cli", "tui", "fault"},
		"main parses nothing and knows nothing: it chooses a face and gives an exit code"},
	{"cli", []string{"timer", "setup", "guide", "vault/...", "pg/...", "config", "sample", "nearest", "fault", "safetext"},
		"faces use the vault and the data types below it, and never each other"},
	{"tui", []string{"setup", "guide", "vault/...", "config", "fault", "safetext"},
		"faces use the vault and the data types below it, and never each other; the screen never talks to a server"},
	{"setup", []string{"guide", "config", "timer", "vault", "vault/archive", "vault/store/...", "vault/retention", "vault/schedule", "vault/tell", "pg", "fault", "safetext"},
		"set-up looks at server, keys and place before there is a vault, and writes what is chosen; the faces show it"},
	{"config", []string{"vault/schedule", "pg", "vault/retention", "vault/tell", "vault/store/address", "nearest", "fault", "safetext"},
		"the configuration composes the options of the rooms that use them"},

	{"guide", []string{"vault", "vault/archive", "config", "fault", "safetext"},
		"a guide is data and logic: it knows neither terminal nor server, and both faces show it"},
	{"vault", []string{"vault/schedule", "vault/archive", "vault/replicate", "vault/store/...", "vault/retention", "vault/foreign", "vault/job", "vault/tell", "pg/...", "fault", "safetext"},
		"the vault brings server, archive and place together and knows no face"},
	{"vault/foreign", []string{"pg/dumpfile", "fault", "safetext"},
		"what a dump from elsewhere is, told from its bytes alone: no server, no vault, nothing is run"},
	{"vault/archive/zstdfast", []string{},
		"the encoder knows bytes and the library's Huffman codes"},
	{"vault/archive", []string{"vault/archive/zstdfast", "vault/store", "fault", "safetext"},
		"the format knows nothing of servers, nor of what is done with an archive"},
	{"vault/replicate", []string{"vault/archive", "vault/store", "fault", "safetext"},
		"a copy knows archives and places, neither servers nor why it is made"},
	{"vault/store/...", []string{"vault/store/...", "nearest", "fault", "safetext"},
		"a place keeps bytes and knows nothing of what they are"},
	{"vault/retention", nil,
		"retention is pure policy: no clock, no input or output, the standard library only"},
	{"vault/schedule", []string{"safetext"},
		"a schedule is pure: no clock, no input or output"},
	{"timer", []string{"vault/schedule", "fault", "safetext"},
		"what systemd and cron are told, and what they have; it knows neither vault nor configuration"},
	{"vault/tell", []string{"safetext"},
		"what carries an alert knows nothing of archives: it is told what to tell"},
	{"vault/job", []string{"fault", "safetext"},
		"a job is a process with a journal, whatever it does"},

	{"pg/dumpfile", []string{"fault", "safetext"},
		"the reader of pg_dump's format needs no server"},
	{"pg/...", []string{"pg/...", "fault", "safetext"},
		"pg knows nothing of vaults, encryption or places"},

	{"sample", nil, "the sample database is SQL text"},
	{"bench", []string{"vault", "vault/archive", "vault/retention", "vault/store/..."}, "the bench sees pgvault from outside, as a user does; only archives by the thousand it makes itself, and plans of retention"},
	{"nearest", nil, "the word that was meant is found by the words alone"},
	{"fault", nil, "every room returns these errors, so they depend on none"},
	{"safetext", nil, "every room may use it, so it depends on none"},
}

// libraries names who may import a library directly; a library that is not
// here may be imported by any room.
var libraries = []room{
	{"charm.land", []string{"tui"}, "only the screen knows Bubble Tea"},
	{"github.com/charmbracelet", []string{"tui"}, "only the screen knows Bubble Tea"},
	{"github.com/jackc/pgx", []string{"pg/..."}, "everything that talks to PostgreSQL is in pg"},
	{"filippo.io/age", []string{"vault/archive"}, "encryption is part of the format"},
	{"filippo.io/edwards25519", []string{"vault/archive"}, "signatures are part of the format"},
	{"github.com/klauspost/compress", []string{"vault/archive/..."}, "compression is part of the format"},
	{"github.com/hiddeco/sshsig", []string{"vault/archive"}, "signatures are part of the format"},
	{"github.com/robfig/cron", []string{"vault/schedule"}, "only schedules know cron's fields"},
	{"github.com/coreos/go-systemd", []string{"cli"}, "the runner's face tells systemd how it stands; no room below prints"},
	{"github.com/spf13", []string{"cli"}, "only the command line knows cobra"},
	{"github.com/BurntSushi/toml", []string{"config"}, "only the configuration knows TOML"},
	{"github.com/aws", []string{"vault/store/s3"}, "each cloud's client is in its own place's package"},
	{"golang.org/x/oauth2", []string{"vault/store/gcs"}, "each cloud's client is in its own place's package"},
	{"github.com/Azure", []string{"vault/store/azure"}, "each cloud's client is in its own place's package"},
	{"github.com/nicholas-fedor/shoutrrr", []string{"vault/tell"}, "addresses hold secrets, and one room keeps them"},
	{"github.com/prometheus", []string{"vault/tell"}, "one room writes the metrics"},
	{"github.com/pkg/sftp", []string{"vault/store/sftp"}, "each cloud's client is in its own place's package"},
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Main bool }
}

func TestImportDirections(t *testing.T) {
	pkgs := listPackages(t)
	standard := map[string]bool{"C": true, "unsafe": true}
	for _, p := range pkgs {
		standard[p.ImportPath] = standard[p.ImportPath] || p.Standard
	}
	checked := 0
	for _, p := range pkgs {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		checked++
		for _, wrong := range violations(local(p.ImportPath), p.Imports, standard) {
			t.Error(wrong)
		}
	}
	if checked < 2 {
		t.Fatalf("go list told of %d packages of the module", checked)
	}
}

// TestImportRulesBite proves on made-up packages that each kind of rule can
// fail.
func TestImportRulesBite(t *testing.T) {
	standard := map[string]bool{"fmt": true}
	for _, c := range []struct {
		from, imports string
		allowed       bool
	}{
		{"main", "pgvault/tui", true},
		{"main", "pgvault/vault", false},
		{"cli", "pgvault/tui", false},
		{"tui", "pgvault/cli", false},
		{"cli", "pgvault/vault", true},
		{"cli", "pgvault/vault/archive", true},
		{"vault/archive", "pgvault/vault", false},
		{"vault/store/disk", "pgvault/vault/store", true},
		{"vault/store/disk", "pgvault/vault", false},
		{"vault/archive", "pgvault/pg", false},
		{"setup", "pgvault/vault/archive", true},
		{"setup", "pgvault/tui", false},
		{"vault", "pgvault/setup", false},
		{"pg", "pgvault/pg/dumpfile", true},
		{"pg", "pgvault/vault", false},
		{"pg", "filippo.io/age", false},
		{"vault", "filippo.io/age", false},
		{"vault/archive", "filippo.io/age/agessh", true},
		{"vault/retention", "fmt", true},
		{"vault/retention", "pgvault/fault", false},
		{"vault/retention", "golang.org/x/sys/unix", false},
		{"cli", "charm.land/bubbletea/v2", false},
		{"tui", "charm.land/bubbletea/v2", true},
		{"vault", "github.com/jackc/pgx/v5", false},
		{"pg/pgtest", "github.com/jackc/pgx/v5", true},
		{"attic", "fmt", false},
	} {
		got := violations(c.from, []string{c.imports}, standard)
		if (len(got) == 0) != c.allowed {
			t.Errorf("%s imports %s: allowed should be %t, violations %q", c.from, c.imports, c.allowed, got)
		}
	}
}

// violations tells in words which imports of the package named from (a path
// below the module, or main) go against the rules.
func violations(from string, imports []string, standard map[string]bool) []string {
	at := slices.IndexFunc(rooms, func(r room) bool { return within(from, r.name) })
	if at < 0 {
		return []string{fmt.Sprintf("package %s is in no room: name it in deps_test.go, with what it may import and why", from)}
	}
	var wrong []string
	for _, path := range imports {
		switch {
		case path == "pgvault" || strings.HasPrefix(path, "pgvault/"):
			if !anyWithin(local(path), rooms[at].may) {
				wrong = append(wrong, fmt.Sprintf("%s must not import %s: %s", from, path, rooms[at].why))
			}
		case standard[path]:
		case rooms[at].may == nil:
			wrong = append(wrong, fmt.Sprintf("%s must import the standard library only, not %s: %s", from, path, rooms[at].why))
		default:
			for _, l := range libraries {
				if within(path, l.name+"/...") && !anyWithin(from, l.may) {
					wrong = append(wrong, fmt.Sprintf("%s must not import %s: %s", from, path, l.why))
				}
			}
		}
	}
	return wrong
}

// local is the path of a package below the module; main for its root.
func local(path string) string {
	if path == "pgvault" {
		return "main"
	}
	return strings.TrimPrefix(path, "pgvault/")
}

func anyWithin(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return within(path, p) })
}

func within(path, pattern string) bool {
	top, deep := strings.CutSuffix(pattern, "/...")
	return path == top || deep && strings.HasPrefix(path, top+"/")
}

// listPackages gives every package of the module and all that they depend
// on, for the build of the binary (not of tests). Packages that do not
// compile are the compiler's matter, hence -e.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	// go test keeps the result of a test until a file changes that the test
	// itself has looked at; what its child reads does not count.
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && len(path) > 1 && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, _ = os.Stat(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports,Module", "./...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}
