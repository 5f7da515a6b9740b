package job

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"pgvault/fault"
)

// Lock takes the lock named name (one path element) in dir, which is made
// 0700; it ends with the process, however that ends, so that no stale lock can
// remain. holder is the id of the job that takes it, "" for none. When
// another process holds it, the error is fault.Running at once and names its
// job. The returned function releases it.
func Lock(dir, name, what, holder string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, stateError(dir, err)
	}
	l := flock.New(filepath.Join(dir, name+".lock"), flock.SetPermissions(0o600))
	got, err := takeLock(l)
	if err != nil {
		return nil, stateError(dir, err)
	}
	if !got {
		_ = l.Close()
		return nil, heldError(l.Path(), what)
	}
	_ = os.WriteFile(l.Path(), []byte(holder+"\n"), 0o600) // for people; a full disk keeps nobody from working
	return func() {
		_ = os.Truncate(l.Path(), 0) // nobody's any more
		_ = l.Unlock()
	}, nil
}

func heldError(path, what string) error {
	e := &fault.Error{Op: "lock", What: what + " is already running", Why: "another process holds " + path,
		Left: "that run goes on; nothing else was started", Do: "wait for it, or look who holds it: fuser " + path, Code: fault.Running}
	id := readHolder(path)
	for end := time.Now().Add(100 * time.Millisecond); id == "" && time.Now().Before(end); id = readHolder(path) {
		time.Sleep(5 * time.Millisecond) // it may have taken the lock a moment ago
	}
	if id != "" {
		e.Why, e.Do = "job "+id+" holds the lock", "pgvault job watch "+id
	}
	return e
}

// Holder gives the id of the job that holds a lock, "" when it is free or no
// job's.
func Holder(dir, name string) string {
	if !Held(dir, name) {
		return ""
	}
	return readHolder(filepath.Join(dir, name+".lock"))
}

func readHolder(path string) string {
	f, err := openRegular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, 100))
	if id := strings.TrimSpace(string(src)); err == nil && ValidID(id) {
		return id
	}
	return ""
}

// takeLock tries to lock. Held takes the lock for an instant, shared: who
// only looks must not make a backup believe that another one runs. A lock
// that can be shared is not one that a run holds, so it is tried again.
func takeLock(l *flock.Flock) (bool, error) {
	for {
		if got, err := l.TryLock(); got || err != nil {
			return got, err
		}
		shared, err := l.TryRLock()
		if !shared || err != nil {
			return false, err
		}
		if err := l.Unlock(); err != nil {
			return false, err
		}
	}
}

// Held tells whether some process holds the lock. An absent file is a lock
// that nobody holds.
func Held(dir, name string) bool {
	path := filepath.Join(dir, name+".lock")
	if _, err := os.Stat(path); err != nil {
		return false
	}
	l := flock.New(path)
	defer l.Close()
	got, err := l.TryRLock()
	return err == nil && !got
}

func stateError(dir string, err error) error {
	return &fault.Error{Op: "lock", What: fmt.Sprintf("the state folder %s cannot be used", dir), Left: "nothing was started",
		Do: "make it writable for this user, or set XDG_STATE_HOME", Err: err}
}
