package job

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// Dir is a folder of jobs.
type Dir struct {
	Path string
	// Shared lets the folder's group read: system mode.
	Shared bool
}

// The states that this package itself knows. A job ends with any other word,
// the caller's.
const (
	Running = "running"
	Died    = "died" // says running, and nobody holds its lock
)

// Status is the newest state of a job, as in status.json.
type Status struct {
	Schema  int       `json:"schema"`
	ID      string    `json:"id"`
	State   string    `json:"state"` // Running, the caller's word for how it ended, or (never written) Died
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	At      time.Time `json:"at"` // when this was written
	Ended   time.Time `json:"ended,omitzero"`
	// Journal is how many bytes the journal had: what Facts tell is not older
	// than that.
	Journal int64           `json:"journal"`
	Order   json.RawMessage `json:"order"`           // as Create was given it
	Facts   json.RawMessage `json:"facts,omitempty"` // as the caller last gave them
}

// The files of a job's folder.
const (
	orderFile   = "order.json"
	journalFile = "events.jsonl"
	statusFile  = "status.json"
	lockFile    = "lock"
	ctlFile     = "ctl"
	stderrFile  = "stderr.log"
)

// Folders with these prefixes are on their way in or out and are no jobs.
const (
	comingPrefix = ".new-"
	goingPrefix  = ".old-"
)

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$`)

// ValidID tells whether s has the form of a job's id: the time of start in
// UTC and four hex digits, 20261122T213000Z-7f3a.
func ValidID(s string) bool { return idPattern.MatchString(s) }

func newID(now time.Time, random io.Reader) (string, error) {
	var b [2]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:]), nil
}

// folderMode and fileMode are the only places that decide who may read.
func (d Dir) folderMode() os.FileMode {
	if d.Shared {
		return 0o750
	}
	return 0o700
}

func (d Dir) fileMode() os.FileMode {
	if d.Shared {
		return 0o640
	}
	return 0o600
}

func (d Dir) path(id string, file ...string) string {
	return filepath.Join(append([]string{d.Path, id}, file...)...)
}

// mkdir makes a folder of the job's mode, whatever the umask.
func (d Dir) mkdir(path string) error {
	if err := os.Mkdir(path, d.folderMode()); err != nil {
		return err
	}
	return os.Chmod(path, d.folderMode())
}

// openNew opens a file for appending, made with the job's mode whatever the
// umask.
func (d Dir) openNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, d.fileMode())
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(d.fileMode()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openRegular opens a file to read, and refuses what is none: a pipe in its
// place would never answer.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, f.Close(), &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")})
	}
	return f, nil
}

// maxStatus bounds status.json and order.json: what is larger is not ours.
const maxStatus = 4 << 20

func readJSON(path string, v any) error {
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxStatus))
	if err != nil {
		return err
	}
	return json.Unmarshal(src, v)
}

// Alive tells whether the runner of a job lives: whether it holds the lock.
// Only a lock for writing counts, and looking takes none: the group may read
// the file in system mode, and must not make a dead job look alive.
func (d Dir) Alive(id string) bool {
	f, err := openRegular(d.path(id, lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) == nil && l.Type == unix.F_WRLCK
}

// hold takes the lock that Alive looks for, until f is closed.
func hold(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
}

// Read gives the newest state of a job. A state that cannot be read (a
// crash of the whole machine may leave such) is made up from order.json.
func (d Dir) Read(id string) (Status, error) {
	alive := d.Alive(id) // before the state is read: a job that ends meanwhile has not died
	var s Status
	err := readJSON(d.path(id, statusFile), &s)
	if err != nil || s.ID != id || s.State == "" {
		s = Status{}
		if orderErr := readJSON(d.path(id, orderFile), &s); orderErr != nil || s.ID != id {
			return Status{}, &fault.Error{What: "the folder of job " + id + " cannot be read", Left: "nothing was changed", Do: "look at " + d.path(id), Err: errors.Join(err, orderErr)}
		}
		s.State = Running
	}
	if s.State == Running && !alive {
		s.State = Died
		s.Ended = s.At
		if info, err := os.Stat(d.path(id, journalFile)); err == nil && info.ModTime().After(s.Ended) {
			s.Ended = info.ModTime()
		}
	}
	return s, nil
}

// List gives all jobs, newest first. Folders that are no jobs, or cannot be
// read, are passed over; a folder of jobs that is not there has none.
func (d Dir) List() ([]Status, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	out := make([]Status, 0, len(ids))
	for _, id := range ids {
		if s, err := d.Read(id); err == nil {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Status) int { return b.Started.Compare(a.Started) })
	return out, nil
}

// ids gives the ids of all jobs, newest first.
func (d Dir) ids() ([]string, error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stateError(d.Path, err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && ValidID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	slices.Reverse(ids)
	return ids, nil
}

// Find gives the one id that is, begins or ends as part does.
func (d Dir) Find(part string) (string, error) {
	ids, err := d.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		if id == part {
			return id, nil
		}
		if part != "" && (strings.HasPrefix(id, part) || strings.HasSuffix(id, part)) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &fault.Error{What: fmt.Sprintf("there is no job %q", part), Why: "none of the " + fmt.Sprint(len(ids)) + " jobs in " + d.Path + " has this id, begins or ends with it",
			Left: "nothing was changed", Do: "pgvault job list shows them", Code: fault.Usage}
	}
	return "", &fault.Error{What: fmt.Sprintf("%q means %d jobs", part, len(found)), Why: "among them " + found[0] + " and " + found[1],
		Left: "nothing was changed", Do: "give more of the id", Code: fault.Usage}
}
