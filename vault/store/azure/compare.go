package azure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// withdrawIn is how long taking something back is tried.
const withdrawIn = 15 * time.Second

// compare refuses an object that is not what was written. The service has
// compared the MD5 of each request's bytes before it took them, and says so;
// where it did not say so, all is read back.
func (w *writer) compare(ctx context.Context) error {
	w.unsure = true // it is there, until all is well
	if len(w.blocks) > 0 || !w.until.IsZero() {
		p, err := w.z.properties(ctx, w.name)
		switch {
		case err != nil:
			return err
		case *p.ContentLength != w.size:
			return errUnlike
		case !w.until.IsZero() && !lockedUntil(p, w.until):
			return errNoLock
		}
	}
	if w.untold {
		if err := w.readBack(ctx); err != nil {
			return err
		}
	}
	w.unsure = false
	return nil
}

func lockedUntil(p blob.GetPropertiesResponse, until time.Time) bool {
	return p.ImmutabilityPolicyExpiresOn != nil && !p.ImmutabilityPolicyExpiresOn.Before(until) &&
		p.ImmutabilityPolicyMode != nil && strings.EqualFold(string(*p.ImmutabilityPolicyMode), string(blob.ImmutabilityPolicyModeLocked))
}

func (w *writer) readBack(ctx context.Context) error {
	r, err := w.z.Open(ctx, w.name, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return err
	}
	if n != w.size || !bytes.Equal(h.Sum(nil), w.sha.Sum(nil)) {
		return errUnlike
	}
	return nil
}

// resolve finds out what became of a request that came to err: that the name
// is taken, that blocks are gone, or that nobody knows whether the object was
// made. What this writer made, whatever carried its request twice, is no
// other's object; and after an answer that was lost these very bytes are what
// was wanted.
func (w *writer) resolve(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	p, perr := w.z.properties(ctx, w.name)
	switch {
	case perr != nil && w.unsure && errors.Is(err, store.ErrExist):
		return perr // it may be this writer's: nobody can tell
	case perr != nil:
		return err
	}
	mine := metadata(p.Metadata, owner) == w.id
	if !mine && !w.unsure {
		return store.ErrExist
	}
	w.untold = w.untold || !mine // another's bytes are compared in full
	switch cerr := w.compare(ctx); {
	case cerr == nil:
		return nil
	case mine, !errors.Is(cerr, errUnlike) && !errors.Is(cerr, errNoLock):
		return cerr
	}
	return store.ErrExist
}

// withdraw takes away the object if it is this writer's. Blocks that were
// staged cannot be taken away: the service forgets them after a week, or when
// an object of the name is made. It cannot be insisted on: who may only add
// objects cannot remove this one.
func (w *writer) withdraw() {
	if !w.unsure {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), withdrawIn)
	defer cancel()
	once := *w.z
	once.retry = remote.Retry{Attempts: 1, Stall: w.z.retry.Stall}
	once.seen = new(atomic.Bool)
	once.seen.Store(true)
	p, err := once.properties(ctx, w.name)
	if err == nil && metadata(p.Metadata, owner) == w.id {
		_ = once.remove(ctx, w.name, *p.ETag)
	}
}
