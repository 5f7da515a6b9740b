package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// StallAfter is how long a connection may give not one byte before it is
// taken for dead and opened anew.
const StallAfter = 60 * time.Second

// errStalled is the cause of a read that was given up for its silence.
var errStalled = errors.New("the service is silent")

// OpenRange opens the bytes of one object from offset: length of them, or to
// the end when length < 0. total is how many bytes the service says will
// come, -1 when it does not say. ctx governs the reads too.
type OpenRange func(ctx context.Context, offset, length int64) (r io.ReadCloser, total int64, err error)

// Reader reads a range of an object; where a connection breaks, stalls or
// ends before all its bytes have come, it opens another one at the same byte.
// Several failures in a row without a byte between them are an error.
type Reader struct {
	ctx    context.Context
	open   OpenRange
	retry  Retry
	stall  time.Duration
	offset int64
	left   int64 // bytes still to come, -1 when not known yet
	begun  bool  // a first connection was there: left is what is owed

	now    io.ReadCloser
	cancel context.CancelCauseFunc
	err    error
}

// NewReader opens the range; errors of the first opening are returned at
// once, when trying again has not helped.
func NewReader(ctx context.Context, retry Retry, open OpenRange, offset, length int64) (*Reader, error) {
	r := &Reader{ctx: ctx, open: open, retry: retry, stall: retry.Stall, offset: offset, left: -1}
	if r.stall <= 0 {
		r.stall = StallAfter
	}
	if length >= 0 {
		r.left = length
	}
	if err := retry.Do(ctx, func(context.Context) error { return r.connect(length) }); err != nil {
		return nil, err
	}
	return r, nil
}

// connect opens from where reading has come to. want is the length to ask
// for, -1 for all.
func (r *Reader) connect(want int64) error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	opening := time.AfterFunc(r.stall, func() { cancel(errStalled) })
	body, total, err := r.open(ctx, r.offset, want)
	opening.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		cancel(nil)
		return err
	}
	r.now, r.cancel = body, cancel
	if total >= 0 && !r.begun && (r.left < 0 || total < r.left) {
		r.left = total
	}
	r.begun = true
	return nil
}

// Read implements io.Reader. io.EOF comes only when the whole range came.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.some(p)
	if err != nil {
		r.err = err
	}
	return n, err
}

func (r *Reader) some(p []byte) (n int, err error) {
	failed := r.retry.Do(r.ctx, func(context.Context) error {
		if r.left == 0 {
			err = io.EOF
			return nil
		}
		if r.now == nil {
			if cerr := r.connect(r.left); cerr != nil {
				return cerr
			}
		}
		n, err = r.once(p)
		if n > 0 || err == nil || err == io.EOF {
			return nil
		}
		return err
	})
	if failed != nil {
		return 0, failed
	}
	if err != io.EOF {
		err = nil
	}
	return n, err
}

// once reads from the connection that is open. An error that comes with
// bytes is left for the next call to meet: the connection is gone by then.
func (r *Reader) once(p []byte) (int, error) {
	if r.left >= 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	body, cancel := r.now, r.cancel
	silent := time.AfterFunc(r.stall, func() { cancel(errStalled) })
	n, err := body.Read(p)
	if !silent.Stop() && err != nil {
		err = errStalled
	}
	r.offset += int64(n)
	if r.left > 0 {
		r.left -= int64(n)
	}
	if err == nil {
		return n, nil
	}
	r.drop()
	if err == io.EOF {
		if r.left > 0 {
			return n, fmt.Errorf("the connection ended %d bytes early: %w", r.left, io.ErrUnexpectedEOF)
		}
		r.left = 0
	}
	return n, err
}

func (r *Reader) drop() {
	if r.now != nil {
		_ = r.now.Close() // what it had to say came with the read
		r.cancel(nil)
		r.now = nil
	}
}

// Close ends the reading.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	r.drop()
	return nil
}
