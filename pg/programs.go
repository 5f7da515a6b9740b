package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/fault"
)

// Programs are the client programs of one PostgreSQL version in one folder.
type Programs struct {
	Major   int    // 15
	Version string // "15.18", as pg_dump --version says
	Dir     string
	Dump    string // path of pg_dump
	Restore string // path of pg_restore
	DumpAll string // path of pg_dumpall, "" where it is missing
	// Server tells whether initdb and postgres lie beside them.
	Server bool
}

// programFolders are where distributions and the makers of PostgreSQL put
// the programs: Debian, the PGDG packages for Red Hat, source builds, others.
var programFolders = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/usr/local/pgsql-*/bin",
	"/opt/postgresql/*/bin", "/opt/pgsql*/bin", "/opt/pgvault/postgresql/*/bin", "/usr/libexec/postgresql*", "/usr/lib/postgresql*/bin",
}

// FindPrograms gives the client programs that are installed, the oldest
// version first, and the folders that were searched. With binDir only that
// folder counts. Finding none is no error here: ForDump and its like say so,
// with the version that is wanted.
func FindPrograms(ctx context.Context, binDir string) (all []Programs, searched []string, err error) {
	var dirs []string
	if binDir != "" {
		dirs, searched = []string{binDir}, []string{binDir}
	} else {
		for _, pattern := range programFolders {
			found, _ := filepath.Glob(pattern)
			dirs = append(dirs, found...)
		}
		path := filepath.SplitList(os.Getenv("PATH"))
		dirs = append(dirs, path...)
		searched = append(slices.Clone(programFolders), path...)
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) || seen[dir] {
			continue
		}
		seen[dir] = true
		p, ok := inspect(ctx, dir)
		if ctx.Err() != nil {
			return nil, searched, ctx.Err()
		}
		if ok {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Programs) int { return cmp.Compare(a.Major, b.Major) })
	return all, searched, nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?(\S*)`)

// inspect asks the programs of a folder for their version. Debian's wrapper
// in /usr/bin, which chooses a version by itself, is passed over.
func inspect(ctx context.Context, dir string) (Programs, bool) {
	p := Programs{Dir: dir, Dump: filepath.Join(dir, "pg_dump"), Restore: filepath.Join(dir, "pg_restore"), DumpAll: filepath.Join(dir, "pg_dumpall")}
	if !isProgram(p.Dump) || !isProgram(p.Restore) {
		return p, false
	}
	if real, err := filepath.EvalSymlinks(p.Dump); err != nil || filepath.Base(real) == "pg_wrapper" {
		return p, false
	}
	restore := make(chan string, 1)
	go func() { restore <- versionOf(ctx, p.Restore) }()
	v := versionOf(ctx, p.Dump)
	if r := <-restore; v == "" || r != v {
		return p, false
	}
	p.Version = v
	p.Major, _ = strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(v))
	if !isProgram(p.DumpAll) {
		p.DumpAll = ""
	}
	p.Server = isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres"))
	return p, p.Major > 0
}

func isProgram(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

// versionOf is what a program says of itself, "" where it says nothing of the kind.
func versionOf(ctx context.Context, program string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	m := versionPattern.FindStringSubmatch(string(out))
	switch {
	case err != nil || m == nil:
		return ""
	case m[2] == "":
		return m[1] + m[3] // "18beta1"
	}
	return m[1] + "." + m[2]
}

// ForDump chooses the programs for a dump of a server: those of its own major
// version, else of the next newer one. pg_dump refuses a server newer than
// itself.
func ForDump(all []Programs, searched []string, serverMajor int) (Programs, error) {
	for _, p := range all { // oldest first
		if p.Major >= serverMajor {
			return p, nil
		}
	}
	return Programs{}, missing(all, searched, serverMajor, fmt.Sprintf("pg_dump %d or newer is needed for this server, version %d", serverMajor, serverMajor))
}

// ArchiveReader is the oldest major version of pg_restore that reads a
// custom-format archive of the given version; 0 where pgvault does not know.
// 1.14 came with 12 and was used to 15, 1.15 with 16, 1.16 with 17 and 18.
func ArchiveReader(version [3]int) int {
	switch v := version; {
	case v[0] != 1 || v[1] > 16:
		return 0
	case v[1] == 16:
		return 17
	case v[1] == 15:
		return 16
	}
	return 12
}

// ForRestore chooses the programs for a restore into a server of targetMajor:
// its own major version, provided that one reads the archive's version; else
// the next newer that works against the target. pg_restore 17 and newer sends
// SET transaction_timeout, which a server of version 16 or older refuses.
func ForRestore(all []Programs, searched []string, targetMajor int, archiveVersion [3]int) (Programs, error) {
	reader := ArchiveReader(archiveVersion)
	if reader == 0 {
		return Programs{}, &fault.Error{Op: "programs", Code: fault.Refused,
			What: fmt.Sprintf("pgvault does not know archives of version %d.%d", archiveVersion[0], archiveVersion[1]),
			Why:  "it was made by a pg_dump newer than 18", Left: "Nothing was changed.", Do: "Use a newer pgvault."}
	}
	need := max(reader, targetMajor)
	for _, p := range all {
		if p.Major < need {
			continue
		}
		if p.Major >= 17 && targetMajor < 17 {
			why := fmt.Sprintf("pg_restore %d sends SET transaction_timeout, which servers older than 17 refuse", p.Major)
			if reader >= 17 {
				return Programs{}, &fault.Error{Op: "programs", Code: fault.Refused, Left: "Nothing was changed.",
					What: fmt.Sprintf("this archive cannot be restored into a server of version %d", targetMajor),
					Why:  fmt.Sprintf("it needs pg_restore %d, and %s", reader, why), Do: "Restore into a server of version 17 or newer."}
			}
			e := missing(all, searched, need, fmt.Sprintf("pg_restore %d is needed for this server, version %d", need, targetMajor))
			e.Why = "the only newer programs are of version " + p.Version + ", and " + why + "; searched: " + strings.Join(searched, " ")
			return Programs{}, e
		}
		return p, nil
	}
	return Programs{}, missing(all, searched, need, fmt.Sprintf("pg_restore %d or newer is needed for this archive and a server of version %d", need, targetMajor))
}

// ForScratch chooses the folder of the server programs for a scratch cluster
// that takes an archive of a server of version archiveServerMajor: that
// version, else the next newer; 0: the newest there is.
func ForScratch(all []Programs, searched []string, archiveServerMajor int) (dir string, err error) {
	for _, p := range all {
		if !p.Server || p.Major < archiveServerMajor {
			continue
		}
		dir = p.Dir
		if archiveServerMajor > 0 {
			break
		}
	}
	if dir != "" {
		return dir, nil
	}
	n := max(archiveServerMajor, 15)
	return "", &fault.Error{Op: "programs", Code: fault.Refused, Left: "Nothing was changed.",
		What: fmt.Sprintf("no PostgreSQL server, version %d or newer, is installed for a private cluster", archiveServerMajor),
		Why:  "initdb and postgres were looked for in " + strings.Join(searched, " "),
		Do:   fmt.Sprintf("apt install postgresql-%d, or use another server as [scratch]", n)}
}

func missing(all []Programs, searched []string, want int, what string) *fault.Error {
	var have []string
	for _, p := range all {
		have = append(have, p.Version+" in "+p.Dir)
	}
	found := "no PostgreSQL client programs"
	if len(have) > 0 {
		found = "only " + strings.Join(have, ", ")
	}
	return &fault.Error{Op: "programs", Code: fault.Refused, What: what, Err: errors.New("client programs too old or missing"),
		Why: "found " + found + "; searched: " + strings.Join(searched, " "), Left: "Nothing was changed.",
		Do: fmt.Sprintf("apt install postgresql-client-%d, or set bin_dir in [server].", want)}
}
