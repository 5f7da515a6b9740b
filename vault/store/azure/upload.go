package azure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// owner is the metadata key under which an object says which writer made it.
const owner = "pgvaultwriter"

const binaryType = "application/octet-stream"

// errBlocks says that blocks that were staged are not there any more: another
// writer of the name made its object, which discards everybody's.
var errBlocks = errors.New("the service does not know the blocks that it took")

// stage sends one block. The service compares its MD5 before it takes it.
func (w *writer) stage(ctx context.Context, id string, block *remote.Buffer, sum []byte) error {
	w.shared.Lock()
	taken := w.taken
	w.shared.Unlock()
	if taken {
		return nil
	}
	err := w.send(ctx, block.Reader(), func(ctx context.Context, b *body) error {
		r, err := w.z.blockBlob(w.name).StageBlock(ctx, id, b, &blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeMD5(sum)})
		if err == nil {
			err = w.told(sum, r.ContentMD5)
		}
		return err
	})
	if is(err, bloberror.BlobImmutableDueToPolicy) { // a locked object has the name; Commit tells, not Write
		w.shared.Lock()
		defer w.shared.Unlock()
		w.taken, err = true, nil
	}
	return err
}

// told compares the checksum that the service says it found. Where it says
// none, the object is read back in the end.
func (w *writer) told(sum, found []byte) error {
	w.shared.Lock()
	defer w.shared.Unlock()
	switch {
	case len(found) == 0:
		w.untold = true
	case !bytes.Equal(sum, found):
		return errUnlike
	}
	return nil
}

// send tries an exchange with a body until it succeeds or cannot. Bytes that
// the service refused for their checksum are sent again: the next ones may
// arrive as they are.
func (w *writer) send(ctx context.Context, r *io.SectionReader, op func(ctx context.Context, b *body) error) error {
	return ended(ctx, w.z.retry.Do(ctx, func(ctx context.Context) error {
		err := w.z.once(ctx, func(ctx context.Context) error {
			b := &body{r: io.NewSectionReader(r, 0, r.Size()), alive: aliveOf(ctx)}
			defer b.end()
			return op(ctx, b)
		})
		if a := (*apiError)(nil); errors.As(err, &a) && a.unlike() {
			return a
		}
		return err
	}))
}

// makeSmall makes the object of the one block that it has, unless the name
// is taken.
func (w *writer) makeSmall(ctx context.Context) error {
	sum := w.md5.Sum(nil)
	mode, until := w.policy()
	return w.made(w.send(ctx, w.block.Reader(), func(ctx context.Context, b *body) error {
		r, err := w.z.blockBlob(w.name).Upload(ctx, b, &blockblob.UploadOptions{AccessConditions: ifFree(), HTTPHeaders: headers(), Metadata: w.metadata(),
			ImmutabilityPolicyMode: mode, ImmutabilityPolicyExpiryTime: until, TransactionalValidation: blob.TransferValidationTypeMD5(sum)})
		w.noteUnsure(w.z.errorOf(err))
		if err == nil {
			w.unsure = true // it is there, until all is well
			err = w.told(sum, r.ContentMD5)
		}
		return err
	}))
}

// onlyBegun tells whether nothing but blocks without a list has the name.
// Azurite (v3.35) lets them stand in the way of an object that comes in one
// request, though not of a list.
func (w *writer) onlyBegun(ctx context.Context) bool {
	_, err := w.z.properties(ctx, w.name)
	return errors.Is(err, store.ErrNotExist)
}

// makeOfBlocks sends the last block, waits for all, and makes the object of
// them, unless the name is taken.
func (w *writer) makeOfBlocks(ctx context.Context) error {
	err := w.ship(ctx)
	w.group.Wait()
	w.shared.Lock()
	if w.failure != nil {
		err = w.failure
	}
	w.shared.Unlock()
	if err != nil {
		return err
	}
	if w.taken {
		return store.ErrExist
	}
	mode, until := w.policy()
	return w.made(w.z.try(ctx, func(ctx context.Context) error {
		_, err := w.z.blockBlob(w.name).CommitBlockList(ctx, w.blocks, &blockblob.CommitBlockListOptions{AccessConditions: ifFree(), HTTPHeaders: headers(),
			Metadata: w.metadata(), ImmutabilityPolicyMode: mode, ImmutabilityPolicyExpiryTime: until})
		w.noteUnsure(w.z.errorOf(err))
		return err
	}))
}

// ifFree is the condition that the name is not taken.
func ifFree() *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
}

func headers() *blob.HTTPHeaders { return &blob.HTTPHeaders{BlobContentType: to.Ptr(binaryType)} }

func (w *writer) metadata() map[string]*string { return map[string]*string{owner: &w.id} }

// made tells what a refusal to make the object means.
func (w *writer) made(err error) error {
	switch {
	case is(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.UnauthorizedBlobOverwrite, bloberror.BlobImmutableDueToPolicy):
		return store.ErrExist
	case is(err, bloberror.InvalidBlockList):
		return errBlocks
	}
	return err
}

// policy is the lock that the object is to have from the beginning.
func (w *writer) policy() (*blob.ImmutabilityPolicySetting, *time.Time) {
	if w.until.IsZero() {
		return nil, nil
	}
	return to.Ptr(blob.ImmutabilityPolicySettingLocked), &w.until
}

// noteUnsure remembers a request that may have made the object although it
// came to err.
func (w *writer) noteUnsure(err error) {
	var a *apiError
	var c *credentialsError
	switch {
	case err == nil, errors.As(err, &c), remote.NotSent(err):
	case errors.As(err, &a) && !remote.Transient(a.status):
	default:
		w.unsure = true
	}
}
