package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/foreign"
)

// ImportOptions say which dumps from elsewhere become archives, and how.
type ImportOptions struct {
	Paths      []string  // files, directory dumps, and folders of them
	Database   string    // whose archives they become
	At         time.Time // the date of the only one; zero: it is found
	FromNames  bool      // a date in a name goes before what the dump says of itself
	RunSQL     bool      // scripts may be run, in the scratch server
	NoOwner    bool      // owners and grants are left out; not of scripts
	Superuser  bool      // they are trusted, and restored as a superuser of the scratch server
	NoCopy     bool      // make no copies in other places after it
	Identities Identities
}

// ImportState is what an import would do with a file.
type ImportState string

// The states of a file.
const (
	ImportReady   ImportState = "ready"
	ImportThere   ImportState = "there"   // an archive was made of it before
	ImportPassed  ImportState = "passed"  // in a folder: it is no dump
	ImportRefused ImportState = "refused" // Why says why
)

// The words for where a date is from.
const (
	DatedByUser = "--date"
	DatedByName = "its name"
	DatedByDump = "pg_dump"
)

// ImportFile is one dump of a plan.
type ImportFile struct {
	Path       string      `json:"path"`
	Name       string      `json:"name"` // below the folder that was named
	State      ImportState `json:"state"`
	Why        string      `json:"why,omitempty"`
	Do         string      `json:"do,omitempty"`
	Kind       string      `json:"kind,omitempty"` // custom, tar, directory or sql
	Wraps      []string    `json:"wraps"`          // age, gzip, zstd, bzip2: from the outside
	Size       int64       `json:"size"`
	Plain      int64       `json:"plain"` // bytes without the wraps
	SHA256     string      `json:"sha256"`
	At         time.Time   `json:"at"`
	Dated      string      `json:"dated"` // one of the Dated words
	Server     string      `json:"server_version,omitempty"`
	Dump       string      `json:"pg_dump_version,omitempty"`
	Tables     int         `json:"tables"`
	Extensions []string    `json:"extensions"`
	Roles      int         `json:"roles"`
	Notes      []string    `json:"notes,omitempty"`
	Archive    string      `json:"archive,omitempty"` // that was made of it before

	code     fault.Code // of a refusal
	contents *foreign.Contents
	script   *foreign.Script
}

// ImportPlan is what an import would do. It changes nothing.
type ImportPlan struct {
	Database string        `json:"database"`
	Files    []*ImportFile `json:"files"` // the oldest first
	o        ImportOptions
}

// Ready gives the files that would become archives.
func (p *ImportPlan) Ready() []*ImportFile { return p.in(ImportReady) }

// Refused gives those that are asked for and cannot.
func (p *ImportPlan) Refused() []*ImportFile { return p.in(ImportRefused) }

func (p *ImportPlan) in(s ImportState) []*ImportFile {
	var out []*ImportFile
	for _, f := range p.Files {
		if f.State == s {
			out = append(out, f)
		}
	}
	return out
}

// PlanImport looks at dumps from elsewhere: reads each to its end, tells kind,
// date and what is in it, and runs nothing of it. What cannot be imported is
// in the plan with the reason.
func (v *Vault) PlanImport(ctx context.Context, o ImportOptions) (*ImportPlan, error) {
	if o.Database == "" {
		return nil, &fault.Error{Op: "import", What: "no database was named", Why: "a dump does not always tell whose it is", Left: "nothing was read", Do: "name it: --database shop", Code: fault.Usage}
	}
	vf, err := v.vaultFile(ctx, nil)
	if fault.CodeOf(err) == fault.NoVault {
		vf, err = &archive.VaultFile{}, nil // the first import makes it
	}
	if err != nil {
		return nil, err
	}
	paths, err := findImports(o.Paths)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, &fault.Error{Op: "import", What: "no file was found", Why: strings.Join(o.Paths, ", ") + " holds none", Left: "nothing was changed", Do: "name a dump or a folder of dumps", Code: fault.Usage}
	}
	known, err := v.importedBefore(ctx, o.Database)
	if err != nil {
		return nil, err
	}
	in := &inspector{v: v, o: o, free: freeForScratch(), now: v.now()}
	if !o.Identities.None() {
		if in.keys, err = v.keys(o.Identities); err != nil {
			return nil, err
		}
		defer in.keys.Wipe()
	}
	if in.programs, in.searched, err = v.importPrograms(ctx); err != nil {
		return nil, err
	}
	p := &ImportPlan{Database: o.Database, o: o, Files: []*ImportFile{}}
	once := map[string]string{}
	for _, path := range paths {
		f := in.inspect(ctx, path)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if id, ok := known[archive.ImportMark(vf.ID, f.SHA256)]; ok && f.SHA256 != "" {
			f.State, f.Archive, f.Why, f.Do = ImportThere, id, "archive "+id+" was made of it", ""
		}
		if first := once[f.SHA256]; first != "" && f.State == ImportReady {
			f.State, f.Why = ImportPassed, "it is the same as "+first
		}
		if f.State == ImportReady {
			once[f.SHA256] = f.Name
		}
		p.Files = append(p.Files, f)
	}
	if !o.At.IsZero() && len(p.Ready()) > 1 {
		return nil, &fault.Error{Op: "import", What: "one date was given for several dumps", Why: fmt.Sprintf("--date is for one, and %d are there", len(p.Ready())), Left: "nothing was changed", Do: "--from-names takes each date from its name", Code: fault.Usage}
	}
	slices.SortStableFunc(p.Files, func(a, b *ImportFile) int { return a.At.Compare(b.At) })
	return p, nil
}

// importedBefore gives the archives of a database that were imported, by the
// marks of their originals.
func (v *Vault) importedBefore(ctx context.Context, database string) (map[string]string, error) {
	list, err := v.List(ctx)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range list {
		if a.Database == database && a.mark != "" && (a.State == "good" || a.State == "partial") {
			out[a.mark] = a.ID
		}
	}
	return out, nil
}

// refuse makes a file one that cannot be imported.
func (f *ImportFile) refuse(code fault.Code, why, do string) {
	f.State, f.Why, f.Do, f.code = ImportRefused, why, do, code
}

// Code is the exit code of a refusal.
func (f *ImportFile) Code() fault.Code { return f.code }
