package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"sync"
	"time"

	"pgvault/config"
)

// errChanged ends a scheduler whose configuration has changed.
var errChanged = errors.New("the configuration has changed")

// configWatch notices that the configuration file is another one. Its methods
// may be called from several goroutines.
type configWatch struct {
	p    *program
	mu   sync.Mutex
	seen [sha256.Size]byte
}

// look tells whether the file has changed since the last look. One that cannot
// be read has not: it may be in the middle of being replaced.
func (w *configWatch) look() bool {
	path := w.p.config
	if path == "" {
		path = config.DefaultPath()
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen
	w.seen = sha256.Sum256(src)
	return w.seen != before
}

// wait waits for so long, or until ctx ends; the error is errChanged where
// there is another configuration by then. One that cannot be used is told of,
// and the one that holds goes on.
func (w *configWatch) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	if !w.look() {
		return nil
	}
	if _, err := w.p.load(); err != nil {
		w.p.printError(err)
		w.p.dueLine("", "the configuration has changed and cannot be used; the one from before goes on")
		return nil
	}
	return errChanged
}
