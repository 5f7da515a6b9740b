package job

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// followEvery is how often a journal that goes on is looked at.
const followEvery = 250 * time.Millisecond

// Reader is what Follow tells to. Nil functions are not called.
type Reader struct {
	// Line is given each whole line of the journal, without its line break,
	// in order; the bytes are valid until it returns. True ends Follow.
	Line func(line []byte) (last bool)
	// Status is given each new state, when all of the journal has been read
	// that was there before it.
	Status func(s Status)
}

// Follow reads a job's journal from the first line and waits for those to
// come. It returns true when Line did (and the runner had a moment to write
// its last state), false when the runner has ended and all was read, and an
// error when ctx ends or the journal cannot be read.
// Half a line at the end is never given: a runner that died in the middle of
// it left it.
func (d Dir) Follow(ctx context.Context, id string, to Reader) (bool, error) {
	f, err := openRegular(d.path(id, journalFile))
	if err != nil {
		return false, stateError(d.path(id), err)
	}
	defer f.Close()
	l := &lines{r: f}
	var seen os.FileInfo
	for tick := time.NewTicker(followEvery); ; {
		alive := d.Alive(id) // before the end is read: what was written until it ended is read
		if last, err := l.drain(ctx, to.Line); last || err != nil {
			tick.Stop()
			if last {
				d.settle(ctx, id)
			}
			return last, err
		}
		if to.Status != nil {
			seen = d.tellStatus(id, seen, l.read, to.Status)
		}
		if !alive {
			tick.Stop()
			return false, nil
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return false, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// settle waits until a runner that has told its end has written its last
// state, so that who saw the end does not read afterwards that it still runs.
func (d Dir) settle(ctx context.Context, id string) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	for tick := time.NewTicker(10 * time.Millisecond); d.Alive(id) && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			tick.Stop()
		case <-tick.C:
		}
	}
}

// tellStatus gives a state that was not given yet, unless the journal has
// lines before it that were not read: then the next look gives it.
func (d Dir) tellStatus(id string, seen os.FileInfo, read int64, tell func(Status)) os.FileInfo {
	info, err := os.Stat(d.path(id, statusFile))
	if err != nil || seen != nil && os.SameFile(seen, info) && seen.ModTime().Equal(info.ModTime()) {
		return seen
	}
	s, err := d.Read(id)
	if err != nil || s.Journal > read {
		return seen
	}
	tell(s)
	return info
}

// lines splits what grows into whole lines.
type lines struct {
	r    io.Reader
	buf  []byte
	read int64 // bytes of the lines given
}

const chunk = 64 << 10

// drain gives all lines that are there.
func (l *lines) drain(ctx context.Context, give func([]byte) bool) (bool, error) {
	for {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		start := len(l.buf)
		l.buf = append(l.buf, make([]byte, chunk)...)
		n, err := l.r.Read(l.buf[start:])
		l.buf = l.buf[:start+n]
		done := 0
		for from := start; ; {
			i := bytes.IndexByte(l.buf[from:], '\n')
			if i < 0 {
				break
			}
			line := l.buf[done : from+i]
			from += i + 1
			done = from
			l.read += int64(len(line)) + 1
			if give != nil && give(line) {
				return true, nil
			}
		}
		l.buf = append(l.buf[:0], l.buf[done:]...)
		if errors.Is(err, io.EOF) || n == 0 && err == nil {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// Replay reads the whole lines that a job's journal has now, as Follow does,
// and does not wait for more.
func (d Dir) Replay(ctx context.Context, id string, line func(line []byte) (last bool)) error {
	f, err := openRegular(d.path(id, journalFile))
	if err != nil {
		return stateError(d.path(id), err)
	}
	defer f.Close()
	_, err = (&lines{r: f}).drain(ctx, line)
	return err
}
