package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// statusEvery is how often status.json is replaced at most.
const statusEvery = 250 * time.Millisecond

// maxPending bounds what is kept of a journal that cannot be written.
const maxPending = 4 << 20

// Run is a job seen from its runner. Its methods may be called from several
// goroutines.
type Run struct {
	d   Dir
	dir string
	now func() time.Time

	lock    *os.File
	journal *os.File
	ctl     *ctl

	mu      sync.Mutex
	status  Status
	written time.Time // when status.json was last replaced
	due     *time.Timer
	size    int64  // bytes of whole lines in the journal
	pending []byte // lines that could not be written yet
	failed  error  // the first failure of a write, for End
	ended   bool
}

// Create makes the folder of a new job and takes its lock. cancel is called,
// once, when somebody asks the job to end. order is written down: it must
// hold no secret.
func (d Dir) Create(now func() time.Time, random io.Reader, order any, cancel func()) (*Run, error) {
	if err := os.MkdirAll(filepath.Dir(d.Path), 0o700); err != nil {
		return nil, stateError(d.Path, err)
	}
	if err := d.mkdir(d.Path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, stateError(d.Path, err)
	}
	text, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("order of a job: %w", err)
	}
	for try := 0; ; try++ {
		id, err := newID(now(), random)
		if err != nil {
			return nil, err
		}
		r := &Run{d: d, now: now, status: Status{Schema: 1, ID: id, State: Running, PID: os.Getpid(), Started: now().UTC(), Order: text}}
		err = r.create(cancel)
		if err == nil {
			return r, nil
		}
		if try == 20 || !errors.Is(err, os.ErrExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return nil, stateError(d.Path, err)
		}
	}
}

// create builds the folder under a name that nobody reads, then shows it.
func (r *Run) create(cancel func()) (err error) {
	coming, final := r.d.path(comingPrefix+r.status.ID), r.d.path(r.status.ID)
	if _, err := os.Lstat(final); err == nil {
		return os.ErrExist
	}
	if err := r.d.mkdir(coming); err != nil {
		return err
	}
	r.dir = coming
	defer func() {
		if err != nil {
			r.release()
			removeFiles(coming)
		}
	}()
	if r.lock, err = os.OpenFile(filepath.Join(coming, lockFile), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if err := errors.Join(hold(r.lock), r.lock.Chmod(r.d.fileMode())); err != nil { // in this order: a reader could be first
		return err
	}
	if r.journal, err = r.d.openNew(filepath.Join(coming, journalFile)); err != nil {
		return err
	}
	r.status.At = r.status.Started
	for _, name := range []string{orderFile, statusFile} {
		if err := r.replace(name); err != nil {
			return err
		}
	}
	if r.ctl, err = listen(coming, cancel); err != nil {
		return err
	}
	if err := os.Rename(coming, final); err != nil {
		return err
	}
	r.dir = final
	return nil
}

// ID is the job's id.
func (r *Run) ID() string { return r.status.ID }

// Status is the state as it was last set, written or not.
func (r *Run) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Stderr opens the file for what a runner without a terminal has to say
// beside its events, such as the trace of a panic.
func (r *Run) Stderr() (*os.File, error) { return r.d.openNew(filepath.Join(r.dir, stderrFile)) }

// Append adds one line to the journal. line must hold no line break. A
// journal that cannot be written (the disk is full) holds nobody up: the
// lines are kept and written when they can be.
func (r *Run) Append(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending)+len(line) < maxPending {
		r.pending = append(append(r.pending, line...), '\n')
	}
	r.flush()
}

// flush writes what is pending. Half a line that a full disk has let
// through is taken back: a line is in the journal whole or not at all.
func (r *Run) flush() {
	n, err := r.journal.Write(r.pending)
	if err == nil {
		r.size += int64(n)
		r.pending = r.pending[:0]
		return
	}
	if r.failed == nil {
		r.failed = err
	}
	if n > 0 {
		_ = r.journal.Truncate(r.size)
	}
}

// SetFacts sets what status.json tells beside the journal. It is written at
// once when the last writing was long enough ago, else when it will be.
func (r *Run) SetFacts(facts any) {
	text, err := json.Marshal(facts)
	if err != nil {
		return // facts are the caller's own plain types
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.status.Facts = text
	wait := statusEvery - r.now().Sub(r.written)
	switch {
	case r.due != nil:
	case wait <= 0:
		r.writeStatus()
	default:
		r.due = time.AfterFunc(wait, r.writeDue)
	}
}

func (r *Run) writeDue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = nil
	if !r.ended {
		r.writeStatus()
	}
}

func (r *Run) writeStatus() {
	r.written = r.now()
	r.status.At, r.status.Journal = r.written.UTC(), r.size
	if err := r.replace(statusFile); err != nil && r.failed == nil {
		r.failed = err
	}
}

// replace writes the status under a name of the folder, as a whole.
func (r *Run) replace(name string) error {
	text, err := json.Marshal(r.status)
	if err != nil {
		return err
	}
	path := filepath.Join(r.dir, name)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, r.d.fileMode())
	if err != nil {
		return err
	}
	err = errors.Join(f.Chmod(r.d.fileMode()), write(f, append(text, '\n')))
	if r.ended {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return os.Rename(path+".new", path)
}

func write(w io.Writer, src []byte) error {
	_, err := w.Write(src)
	return err
}

// End writes the last state and lets go of the lock. The error tells that
// the journal or the state could not be written at some time.
func (r *Run) End(state string, facts any) error {
	text, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.flush()
	err = r.journal.Sync()
	r.status.State, r.status.Facts, r.status.Ended = state, text, r.now().UTC()
	r.writeStatus()
	r.release()
	return errors.Join(r.failed, err)
}

// Discard ends a job that has not begun and removes its folder.
func (r *Run) Discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if going := r.d.path(goingPrefix + r.status.ID); os.Rename(r.dir, going) == nil {
		r.dir = going
	}
	r.release()
	removeFiles(r.dir)
}

func (r *Run) release() {
	if r.due != nil {
		r.due.Stop()
	}
	if r.ctl != nil {
		r.ctl.close()
		_ = os.Remove(filepath.Join(r.dir, ctlFile))
	}
	for _, f := range []*os.File{r.journal, r.lock} { // the lock last: then the folder is as it stays
		if f != nil {
			_ = f.Close()
		}
	}
}

// removeFiles removes a job's files by their names, then the folder: one
// that holds anything else stays.
func removeFiles(dir string) {
	for _, name := range []string{statusFile, statusFile + ".new", journalFile, ctlFile, stderrFile, orderFile, orderFile + ".new", lockFile} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	_ = os.Remove(dir)
}
