package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"pgvault/fault"
)

// maxSize bounds the file; a real one has a few KiB.
const maxSize = 1 << 20

// Load reads the file at path. A missing one gives an error in which
// errors.Is finds fs.ErrNotExist. A file that everybody can write to is
// refused: who changes it chooses the recipients. All errors are *fault.Error
// with the code Usage.
func Load(path string, environ func(string) (string, bool)) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openFault(path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, openFault(path, err)
	case !fi.Mode().IsRegular():
		return nil, openFault(path, errors.New("it is not a file"))
	case fi.Mode().Perm()&0o002 != 0:
		return nil, &fault.Error{
			Op: "config", Code: fault.Usage,
			What: "everybody can change the configuration " + path,
			Why:  fmt.Sprintf("its mode is %04o; who changes it chooses who can read the backups", fi.Mode().Perm()),
			Left: "It was not used, nothing was started.",
			Do:   "Read it through, then: chmod o-w " + path,
		}
	}
	src, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, openFault(path, err)
	}
	return Parse(src, path, environ)
}

func openFault(path string, err error) error {
	f := &fault.Error{
		Op: "config", Code: fault.Usage, Err: err,
		What: "the configuration " + path + " cannot be read",
		Why:  err.Error(),
		Left: "Nothing was started.",
		Do:   "Give the right file with --config, or the right to read it to this user: ls -l " + path,
	}
	if errors.Is(err, fs.ErrNotExist) {
		f.Why = "there is no such file"
		f.Do = "Make one with pgvault init, or give another with --config."
	}
	return f
}

// Parse reads a configuration from memory; file is its name for messages and
// for names relative to it. environ looks up one environment variable, as
// os.LookupEnv does; nil knows none. Where the file says nothing, these count:
// DB_HOST, DB_PORT, DB_USERNAME, DB_PASSWORD (into Server), DB_DATABASE (the
// only database), BACKUP_DIR (a place named "disk"), S3_BACKUP_BUCKET with
// AWS_REGION and AWS_ENDPOINT_URL (a place named "s3"), BACKUP_RETENTION_DAYS
// (keep within). All errors are *fault.Error with the code Usage.
func Parse(src []byte, file string, environ func(string) (string, bool)) (*Config, error) {
	if environ == nil {
		environ = func(string) (string, bool) { return "", false }
	}
	l := &loader{file: file, environ: environ, raw: map[string]string{}}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if len(src) > maxSize {
		l.problem(0, "larger than %d bytes", maxSize)
		return nil, l.fault()
	}
	tree := map[string]any{}
	if _, err := toml.Decode(string(src), &tree); err != nil {
		l.syntax(err)
		return nil, l.fault()
	}
	l.lines = lineNumbers(string(src))
	c := Default()
	c.File = file
	l.fillStruct(reflect.ValueOf(c).Elem(), tree, "")
	if len(l.problems) == 0 {
		l.absolute(&c.Keys.RecipientsFile)
		l.absolute(&c.Keys.SigningKey)
		l.absolute(&c.Keys.TrustedSigners)
		l.absolute(&c.Tell.PingFile)
		l.absolute(&c.Tell.MetricsFile)
		l.check(c)
		l.fromEnvironment(c, tree)
		l.checkCopies(c)
	}
	if err := l.fault(); err != nil {
		return nil, err
	}
	return c, nil
}

// loader is one reading of a file. Paths address values in it, see sub.
type loader struct {
	file     string
	environ  func(string) (string, bool)
	lines    map[string]int    // path of a value -> line
	raw      map[string]string // path of a string -> its text before ${…} was replaced
	problems []problem
}

type problem struct {
	line int // 0: the file as a whole
	text string
}

// noFile is the line of a problem that is not in the file.
const noFile = -1

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, problem{line, fmt.Sprintf(format, args...)})
}

// at notes a problem of the value at path, or of what encloses it.
func (l *loader) at(path, format string, args ...any) {
	p := path
	for l.lines[p] == 0 && p != "" {
		p = p[:strings.LastIndexAny(p, pathMarks)]
	}
	l.problem(l.lines[p], format, args...)
}

// syntax notes what the TOML parser says, without quoting the file.
func (l *loader) syntax(err error) {
	var p toml.ParseError
	if errors.As(err, &p) {
		l.problem(p.Position.Line, "not TOML: %s", p.Message)
		return
	}
	l.problem(0, "not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
}

// fault turns the problems into one error, nil if there are none. The first
// line counts; the others are named.
func (l *loader) fault() error {
	if len(l.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(l.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	where := func(p problem) string {
		switch {
		case p.line > 0:
			return fmt.Sprintf("%s:%d: ", l.file, p.line)
		case p.line == 0 && l.file != "":
			return l.file + ": "
		}
		return ""
	}
	first := l.problems[0]
	all := &invalid{}
	for _, p := range l.problems {
		all.problems = append(all.problems, Problem{Line: max(p.line, 0), Text: p.text})
	}
	f := &fault.Error{
		Op: "config", Code: fault.Usage, Err: all,
		What: where(first) + first.text,
		Left: "The configuration was not used, nothing was started.",
		Do:   "Correct it, then run again.",
	}
	if first.line > 0 {
		f.Do = fmt.Sprintf("Correct line %d of %s, then run again.", first.line, l.file)
	}
	var others []string
	for _, p := range l.problems[1:] {
		others = append(others, where(p)+p.text)
	}
	if len(others) > 0 {
		f.Why = "there is more: " + strings.Join(others[:min(len(others), 3)], "; ")
		if len(others) > 3 {
			f.Why += fmt.Sprintf("; and %d more", len(others)-3)
		}
	} else {
		f.Why = "every key must be known and every value sensible: a typing error must not leave a database without backups"
	}
	return f
}

// Problem is one thing that is wrong in a configuration.
type Problem struct {
	Line int // from 1; 0: the file as a whole, or the environment
	Text string
}

// invalid carries all problems in the error of Parse.
type invalid struct{ problems []Problem }

// Error tells how many there are; the fault around it tells the first.
func (e *invalid) Error() string {
	return fmt.Sprintf("%d problems in the configuration", len(e.problems))
}

// Problems gives everything that Parse or Load found wrong, in the order of
// the file; none for an error of another kind.
func Problems(err error) []Problem {
	var e *invalid
	if !errors.As(err, &e) {
		return nil
	}
	return slices.Clone(e.problems)
}

// absolute makes a file name count from the folder of the configuration.
func (l *loader) absolute(name *string) {
	if *name == "" || filepath.IsAbs(*name) || l.file == "" {
		return
	}
	if dir, err := filepath.Abs(filepath.Dir(l.file)); err == nil {
		*name = filepath.Join(dir, *name)
	}
}
