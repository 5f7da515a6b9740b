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

// waiting is how a loop waits, see vault.DueOptions; nil: for real.
type waiting = func(context.Context, time.Duration) error

// loop is what goes on until ctx or a wait ends it.
type loop func(context.Context, waiting) error

// watched gives the loops that are there, for together. The first looks at the
// configuration, and the other ends with it: a change never breaks off a
// backup, which makes its wait only after it; a drill goes on where it was.
func (w *configWatch) watched(backups, drills loop) (out []func(context.Context) error) {
	var wait waiting = w.wait
	for _, l := range []loop{backups, drills} {
		if l == nil {
			continue
		}
		its := wait
		out, wait = append(out, func(ctx context.Context) error { return l(ctx, its) }), nil
	}
	return out
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
	conf, err := w.p.load()
	if err == nil && len(conf.Schedules()) == 0 && conf.DrillSchedule() == nil {
		err = noSchedule(conf.File)
	}
	if err != nil {
		w.p.printError(err)
		w.p.dueLine("", "the configuration has changed and cannot be used; the one from before goes on")
		return nil
	}
	return errChanged
}
