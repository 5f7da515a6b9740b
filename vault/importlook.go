package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/foreign"
)

// importPath is a dump to look at.
type importPath struct {
	path, name string
	named      bool // by the user; else it was found in a folder
	folder     bool // a dump in directory format
}

// Bounds of a folder of dumps.
const (
	maxImportDepth = 8
	maxImportFiles = 100_000
)

// findImports lists the files below the paths, sorted. Links within a folder,
// and what begins with a dot, are passed over.
func findImports(paths []string) ([]importPath, error) {
	var out []importPath
	for _, root := range paths {
		st, err := os.Stat(root)
		if err != nil {
			return nil, cannotLook(root, err)
		}
		if !st.IsDir() || isDirectoryDump(root) {
			out = append(out, importPath{root, filepath.Base(root), true, st.IsDir()})
			continue
		}
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case rel == ".":
				return nil
			case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || strings.Count(rel, "/") >= maxImportDepth):
				return fs.SkipDir
			case d.IsDir() && isDirectoryDump(path):
				out = append(out, importPath{path, rel, false, true})
				return fs.SkipDir
			case d.Type().IsRegular() && !strings.HasPrefix(d.Name(), "."):
				out = append(out, importPath{path, rel, false, false})
			}
			if len(out) > maxImportFiles {
				return fmt.Errorf("there are more than %d files", maxImportFiles)
			}
			return nil
		})
		if err != nil {
			return nil, cannotLook(root, err)
		}
	}
	return out, nil
}

func cannotLook(path string, err error) error {
	return &fault.Error{Op: "import", What: path + " cannot be read", Left: "nothing was changed", Do: "check the path and its rights", Code: fault.Usage, Err: err}
}

func isDirectoryDump(path string) bool {
	st, err := os.Lstat(filepath.Join(path, "toc.dat"))
	return err == nil && st.Mode().IsRegular()
}

// freeForScratch is how many bytes a scratch server could hold at most; -1
// unknown. No dump may unpack to more.
func freeForScratch() int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(os.TempDir(), &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * st.Bsize
}

func (v *Vault) importPrograms(ctx context.Context) ([]pg.Programs, []string, error) {
	return pg.FindPrograms(ctx, v.c.Server.BinDir)
}

// inspector looks at dumps without running anything of them.
type inspector struct {
	v        *Vault
	o        ImportOptions
	keys     *archive.Keys // nil: none was given
	free     int64
	now      time.Time
	programs []pg.Programs
	searched []string
}

func (in *inspector) inspect(ctx context.Context, p importPath) *ImportFile {
	f := &ImportFile{Path: p.path, Name: p.name, State: ImportReady, Wraps: []string{}, Extensions: []string{}}
	var err error
	if p.folder {
		err = in.folder(ctx, f)
	} else {
		err = in.file(ctx, f)
	}
	switch {
	case errors.Is(err, foreign.ErrUnknown) && !p.named:
		f.State, f.Why = ImportPassed, err.Error()
	case errors.Is(err, foreign.ErrUnknown):
		f.refuse(fault.Refused, err.Error(), "name a dump of pg_dump, or a script")
	case err != nil:
		e := fault.As(err)
		f.refuse(e.Code, strings.TrimSuffix(e.What+": "+e.Why, ": "), orElse(e.Do, "look for another copy of it"))
	default:
		in.judge(f)
		in.date(f)
	}
	return f
}

// original is a dump being read: what is read of it is digested as it lies
// there, and what is in its wraps is bounded.
type original struct {
	*foreign.Stream
	file  *os.File
	sum   hash.Hash
	plain io.Reader
	n     int64 // bytes without wraps
	limit int64
	ctx   context.Context
}

// openOriginal opens a file. With an error it may still be told what was found
// of wraps.
func openOriginal(ctx context.Context, path string, keys *archive.Keys, limit int64) (*original, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cannotLook(path, err)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%w: it is no file", foreign.ErrUnknown)
	}
	o := &original{file: f, sum: sha256.New(), limit: limit, ctx: ctx}
	o.Stream, err = foreign.Unwrap(io.TeeReader(f, o.sum), foreign.Openers{
		Age:  func(r io.Reader) (io.Reader, error) { return archive.OpenAge(r, keys) },
		Zstd: archive.OpenZstd,
	})
	if err != nil {
		o.Close()
		return o, err
	}
	o.plain = o.Stream.Reader
	return o, nil
}

// Read gives the dump without its wraps.
func (o *original) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := o.plain.Read(p)
	o.n += int64(n)
	if o.limit >= 0 && o.n > o.limit {
		return n, &fault.Error{Op: "import", What: "it unpacks to more than can be restored here", Why: fmt.Sprintf("more than the %s that are free in %s", bytesText(o.limit), os.TempDir()),
			Left: "nothing was changed", Do: "make room there, or set TMPDIR to a folder with more", Code: fault.NoSpace}
	}
	if err != nil && err != io.EOF {
		err = damagedOriginal(err)
	}
	return n, err
}

func damagedOriginal(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return &fault.Error{Op: "import", What: "the dump is cut or damaged", Why: err.Error(), Left: "nothing was changed", Do: "look for another copy of it", Code: fault.Differs, Err: err}
}

// rest reads to the end and gives the digest of the file as it lies there.
func (o *original) rest() (string, error) {
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{o}); err != nil {
		return "", err
	}
	if n, err := io.Copy(o.sum, o.file); err != nil || n > 0 {
		return "", damagedOriginal(errors.Join(err, fmt.Errorf("%d bytes follow its end", n)))
	}
	return hex.EncodeToString(o.sum.Sum(nil)), nil
}

// Close frees what the wraps hold, and closes the file.
func (o *original) Close() { _ = errors.Join(o.Stream.Close(), o.file.Close()) }

func (in *inspector) file(ctx context.Context, f *ImportFile) error {
	if st, err := os.Stat(f.Path); err == nil {
		f.Size = st.Size()
	}
	o, err := openOriginal(ctx, f.Path, in.keys, in.free)
	if o != nil && o.Stream != nil {
		f.Wraps = append(f.Wraps, o.Wraps...)
	}
	if err != nil {
		if fault.CodeOf(err) != fault.Failed || errors.Is(err, foreign.ErrUnknown) {
			return err
		}
		return damagedOriginal(err)
	}
	defer o.Close()
	f.Kind = string(o.Kind)
	if o.Kind == foreign.SQL {
		f.script, err = foreign.ReadScript(o, nil, foreign.Filter{})
	} else {
		f.contents, err = foreign.ReadContents(o, o.Kind)
	}
	if err != nil {
		return damagedOriginal(err)
	}
	f.SHA256, err = o.rest()
	f.Plain = o.n
	return err
}

func (in *inspector) folder(ctx context.Context, f *ImportFile) error {
	f.Kind = string(foreign.Directory)
	var err error
	if f.SHA256, f.Size, err = digestFolder(ctx, f.Path); err != nil {
		return err
	}
	f.Plain = f.Size
	toc, err := os.Open(filepath.Join(f.Path, "toc.dat"))
	if err != nil {
		return cannotLook(f.Path, err)
	}
	defer toc.Close()
	if f.contents, err = foreign.ReadContents(toc, foreign.Directory); err != nil {
		return damagedOriginal(err)
	}
	return nil
}

// digestFolder digests a dump in directory format, as archive.Original says.
func digestFolder(ctx context.Context, dir string) (sum string, size int64, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return "", 0, cannotLook(dir, err)
	}
	all := sha256.New()
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return "", 0, cannotLook(dir, err)
		}
		one := sha256.New()
		n, err := io.Copy(one, f)
		f.Close()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", 0, cannotLook(dir, err)
		}
		size += n
		fmt.Fprintf(all, "%s\x00%d\x00%x\n", e.Name(), n, one.Sum(nil))
	}
	return hex.EncodeToString(all.Sum(nil)), size, nil
}

// judge fills in what was found, and refuses what cannot be restored.
func (in *inspector) judge(f *ImportFile) {
	var ext []foreign.Extension
	if s := f.script; s != nil {
		f.Server, f.Dump, f.Tables, f.Roles, ext = s.Server, s.Dump, len(s.Tables), len(s.Roles), s.Extensions
		in.judgeScript(f, s)
	} else {
		c := f.contents
		f.Server, f.Dump, f.Tables, f.Roles, ext = firstWord(c.TOC.Header.ServerVersion), firstWord(c.TOC.Header.DumpVersion), c.Tables, len(c.Roles), c.Extensions
	}
	for _, e := range ext {
		f.Extensions = append(f.Extensions, e.Name)
	}
	slices.Sort(f.Extensions)
	if f.State == ImportReady {
		if _, err := in.choose(f); err != nil {
			e := fault.As(err)
			f.refuse(e.Code, strings.TrimSuffix(e.What+": "+e.Why, ": "), e.Do)
		}
	}
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

func (in *inspector) judgeScript(f *ImportFile, s *foreign.Script) {
	switch {
	case s.Cut != "":
		f.refuse(fault.Differs, "the script is cut: "+s.Cut, "look for another copy of it")
	case s.Cluster:
		f.refuse(fault.Refused, "the script is of several databases (pg_dumpall)", "restore it into a server of your own and back up its databases")
	case len(s.Commands) > 0:
		f.refuse(fault.Refused, fmt.Sprintf("line %d tells psql itself to do something, which is not run: %s", s.Commands[0].Line, s.Commands[0].Text), "read it, and take that line out of a copy of the script")
	case !in.o.RunSQL:
		f.refuse(fault.Refused, "a script may do whatever its maker wrote into it", "read it, then add --yes-run-sql: it is run in a scratch server, as a role without superuser, and psql runs none of its own commands (\\!, \\copy)")
	}
	if s.Inserts > 0 {
		f.Notes = append(f.Notes, plural(s.Inserts, "INSERT statement")+": rows that come so cannot be compared with the original")
	}
}

// chosen are the programs for one dump.
type chosen struct {
	server  string      // folder of the scratch server's programs
	restore pg.Programs // whose pg_restore, or for a script psql, fills the scratch server
	major   int         // of the scratch server
}

func (in *inspector) choose(f *ImportFile) (c chosen, err error) {
	head, _, _ := strings.Cut(f.Server, ".")
	major, _ := strconv.Atoi(head)
	version := [3]int{1, 12, 0}
	if f.contents != nil {
		version = f.contents.TOC.Header.Version
	}
	if c.server, err = pg.ForScratch(in.programs, in.searched, max(major, pg.ArchiveReader(version))); err != nil {
		return c, err
	}
	for _, p := range in.programs {
		if p.Dir == c.server {
			c.major = p.Major
		}
	}
	if f.script != nil {
		c.restore, err = pg.ForScript(in.programs, in.searched, c.major)
		return c, err
	}
	c.restore, err = pg.ForRestore(in.programs, in.searched, c.major, version)
	return c, err
}

// date finds when the dump was made.
func (in *inspector) date(f *ImportFile) {
	zone := in.v.c.Zone
	if zone == nil {
		zone = time.Local
	}
	byName, named := foreign.DateFromName(f.Name, zone)
	if !named {
		byName, named = foreign.DateFromName(filepath.Base(f.Name), zone)
	}
	said := time.Time{}
	if f.script != nil {
		said = f.script.Started
	} else {
		said = f.contents.TOC.Header.Created
	}
	switch {
	case !in.o.At.IsZero():
		f.At, f.Dated = in.o.At, DatedByUser
	case in.o.FromNames && named:
		f.At, f.Dated = byName, DatedByName
	case !said.IsZero():
		f.At, f.Dated = said, DatedByDump
	case f.State == ImportReady && named:
		f.refuse(fault.Refused, "it does not say when it was made; its name says "+byName.Format("2006-01-02 15:04"), "--from-names takes the dates from the names")
	case f.State == ImportReady:
		f.refuse(fault.Refused, "nothing says when it was made", "say it: --date YYYY-MM-DD")
	}
	f.At = f.At.UTC().Truncate(time.Second)
	if f.State == ImportReady && f.At.After(in.now) {
		f.refuse(fault.Refused, "its date is in the future: "+f.At.Format(time.RFC3339), "say the right one: --date YYYY-MM-DD")
	}
	if f.Dated == DatedByName && !said.IsZero() && said.Sub(f.At).Abs() > 48*time.Hour {
		f.Notes = append(f.Notes, "pg_dump says that it began at "+said.UTC().Format(time.RFC3339)+", its name says another day")
	}
	if f.Dated == DatedByDump && named && said.Sub(byName).Abs() > 48*time.Hour {
		f.Notes = append(f.Notes, "its name says another day: "+byName.Format("2006-01-02"))
	}
}
