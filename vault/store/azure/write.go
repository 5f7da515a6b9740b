package azure

import (
	"context"
	"crypto/md5" // the service compares no other checksum of each request everywhere
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// sizing of the blocks: https://learn.microsoft.com/rest/api/storageservices/put-block
var sizing = remote.Sizing{First: 8 << 20, Most: 4000 << 20, Parts: 50_000}

// inFlight is how many bytes of blocks are on their way at most: four small
// blocks, or one that is larger than this.
const inFlight = 32 << 20

// writer is one object on its way. Up to one block is sent at Commit as one
// request. What is larger is staged in blocks, several at a time while the
// next one fills; the list of them makes the object.
type writer struct {
	z      *Azure
	ctx    context.Context // ends with Create's, with Abort, and with the first error
	cancel context.CancelCauseFunc
	name   string
	want   int64  // the size that was told, -1 when none
	id     string // in the object's metadata: whose it is
	until  time.Time

	mu     sync.Mutex
	size   int64
	sha    hash.Hash
	block  *remote.Buffer
	md5    hash.Hash // of the block
	room   int64     // bytes that the block takes
	blocks []string
	ended  bool
	err    error // sticky

	slots *semaphore.Weighted
	group sync.WaitGroup
	free  chan *remote.Buffer

	shared  sync.Mutex // what those who send blocks write
	taken   bool       // the name: nothing more is sent, Commit says so
	untold  bool       // the service did not say which checksum it found
	unsure  bool       // a request that makes the object was sent and not answered
	failure error
}

// Create implements store.Store.
func (z *Azure) Create(ctx context.Context, name string) (store.Writer, error) {
	return z.create(ctx, name, -1)
}

// CreateSized implements store.SizedCreator: blocks are as large as they have
// to be, so that the object fits into 50 000 of them.
func (z *Azure) CreateSized(ctx context.Context, name string, size int64) (store.Writer, error) {
	if size < 0 {
		return nil, fmt.Errorf("%s: %s: negative size %d", z, name, size)
	}
	return z.create(ctx, name, size)
}

func (z *Azure) create(ctx context.Context, name string, size int64) (store.Writer, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name), z.fits(name)); err != nil {
		return nil, err
	}
	w := &writer{z: z, name: name, want: size, id: rand.Text(), sha: sha256.New(), md5: md5.New(), room: z.sizing.Next(0, size),
		block: remote.NewBuffer(z.temp), slots: semaphore.NewWeighted(inFlight), free: make(chan *remote.Buffer, 5)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	if z.lock > 0 {
		w.until = z.now().Add(z.lock).UTC().Truncate(time.Second).Add(time.Second)
	}
	return w, nil
}

// fits refuses a name that is too long together with the place's prefix.
func (z *Azure) fits(name string) error {
	if n := len(z.prefix) + len(name); n > store.MaxName {
		return fmt.Errorf("%s: %.80q: %d bytes with the place's prefix, %d are allowed", z, name, n, store.MaxName)
	}
	return nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.ctx.Err() != nil {
		w.err = w.why()
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.want >= 0 && w.size+int64(len(p)) > w.want {
		w.err = fmt.Errorf("%s: %s: more than the %d bytes that were told", w.z, w.name, w.want)
		return 0, w.err
	}
	n := len(p)
	w.size += int64(n)
	_, _ = w.sha.Write(p) // hashes never fail
	for len(p) > 0 {
		if w.block.Len() == w.room {
			err := w.ship(w.ctx)
			if err == nil && w.room == 0 {
				err = fmt.Errorf("the object does not fit into %d blocks", w.z.sizing.Parts)
			}
			if err != nil {
				w.err = w.z.fault("write", w.name, err)
				return 0, w.err
			}
		}
		part := p[:min(int64(len(p)), w.room-w.block.Len())]
		if _, err := w.block.Write(part); err != nil {
			w.err = w.z.fault("write", w.name, err)
			return 0, w.err
		}
		_, _ = w.md5.Write(part) // hashes never fail
		p = p[len(part):]
	}
	return n, nil
}

// why is the error with which the writer's context ended: a block's, or the
// caller's own.
func (w *writer) why() error {
	w.shared.Lock()
	failure := w.failure
	w.shared.Unlock()
	if failure != nil {
		return w.z.fault("write", w.name, failure)
	}
	return w.ctx.Err()
}

// ship sends the block behind the writer's back, when there is room for it on
// the way.
func (w *writer) ship(ctx context.Context) error {
	full, sum, id := w.block, w.md5.Sum(nil), w.blockID(len(w.blocks))
	weight := min(max(full.Len(), 1), inFlight)
	if err := w.slots.Acquire(ctx, weight); err != nil {
		return ended(ctx, w.why())
	}
	w.blocks = append(w.blocks, id)
	w.room = w.z.sizing.Next(len(w.blocks), w.want)
	w.group.Go(func() {
		defer w.slots.Release(weight)
		if err := w.stage(w.ctx, id, full, sum); err != nil {
			w.fail(err)
		}
		w.spare(full)
	})
	w.md5.Reset()
	select {
	case w.block = <-w.free:
	default:
		w.block = remote.NewBuffer(w.z.temp)
	}
	return nil
}

// spare keeps a buffer for the next block.
func (w *writer) spare(b *remote.Buffer) {
	if b.Reset() == nil {
		select {
		case w.free <- b:
			return
		default:
		}
	}
	_ = b.Close() // a temporary file that is of no use any more
}

// fail ends the writer with the first error of a block.
func (w *writer) fail(err error) {
	w.shared.Lock()
	defer w.shared.Unlock()
	if w.failure == nil {
		w.failure = err
	}
	w.cancel(err)
}

// blockID names a block: all names of one blob have the same length, and
// those of two writers of one name never meet.
func (w *writer) blockID(n int) string {
	var b [24]byte
	copy(b[:20], w.id)
	binary.BigEndian.PutUint32(b[20:], uint32(n))
	return base64.StdEncoding.EncodeToString(b[:])
}

// Commit implements store.Writer.
func (w *writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return w.err
	}
	err := w.err
	if err == nil {
		err = errors.Join(ctx.Err(), w.ctx.Err())
	}
	if err == nil {
		err = w.finish(ctx)
	}
	w.end(err)
	if err == nil {
		w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
		return nil
	}
	w.err = w.z.fault("write", w.name, err)
	return w.err
}

// Abort implements store.Writer.
func (w *writer) Abort() error {
	w.cancel(context.Canceled) // blocks on their way, so that the lock is free soon
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.end(context.Canceled)
		w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	}
	return nil
}

// end frees everything; after an error it takes back what can be.
func (w *writer) end(err error) {
	w.ended = true
	w.cancel(err)
	w.group.Wait()
	close(w.free)
	for b := range w.free {
		_ = b.Close() // it is empty
	}
	_ = w.block.Close() // a temporary file that is of no use any more
	if err != nil {
		w.withdraw()
	}
}

// finish sends what is left, makes the object, and compares.
func (w *writer) finish(commit context.Context) error {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	defer context.AfterFunc(commit, func() {
		cancel(commit.Err())
		w.cancel(commit.Err())
	})()
	if w.want >= 0 && w.size != w.want {
		return fmt.Errorf("%d bytes were written, %d were told", w.size, w.want)
	}
	var err error
	if len(w.blocks) == 0 {
		if err = w.makeSmall(ctx); errors.Is(err, store.ErrExist) && w.onlyBegun(ctx) {
			err = w.makeOfBlocks(ctx)
		}
	} else {
		err = w.makeOfBlocks(ctx)
	}
	if err == nil {
		err = w.compare(ctx)
	} else if w.unsure || errors.Is(err, store.ErrExist) || errors.Is(err, errBlocks) {
		err = w.resolve(ctx, err)
	}
	return ended(commit, err)
}
