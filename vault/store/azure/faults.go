package azure

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"pgvault/vault/store/remote"
)

var (
	errReplaced = errors.New("another object was put in its place meanwhile")

	errUnlike = errors.New("the service keeps other bytes than were sent")
	errNoLock = errors.New("the service keeps the object without the lock that was asked for")
)

// hidden are the secrets that are kept out of errors.
type hidden struct {
	mu    sync.Mutex
	words []string
}

func (h *hidden) hide(words ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.words = append(h.words, words...)
}

func (h *hidden) scrub(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.words {
		text = strings.ReplaceAll(text, w, "…")
	}
	return text
}

// fault gives an error its four lines; did completes "cannot …".
func (z *Azure) fault(did, name string, err error) error {
	if err == nil {
		return nil
	}
	kind := remote.Unreachable
	var a *apiError
	var c *credentialsError
	switch {
	case errors.As(err, &c):
		kind = remote.Unknown
	case errors.Is(err, errUnlike):
		kind = remote.Unlike
	case errors.Is(err, errNoLock):
		return z.noLock(name, err)
	case errors.As(err, &a):
		if a.lockRefused() && z.lock > 0 {
			return z.noLock(name, err)
		}
		kind = a.kind()
	}
	return remote.Fault(z.place, did, name, kind, err)
}

func (e *apiError) kind() remote.Kind {
	switch bloberror.Code(e.code) {
	case bloberror.AuthenticationFailed:
		if strings.Contains(e.message, "date header") || strings.Contains(e.message, "Request date") {
			return remote.Clock
		}
		return remote.Unknown
	case bloberror.AuthorizationFailure:
		if strings.Contains(e.message, "failed to authenticate") { // Azurite's word for a wrong key
			return remote.Unknown
		}
		return remote.Denied
	case bloberror.InvalidAuthenticationInfo, bloberror.NoAuthenticationInformation:
		return remote.Unknown
	case bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled:
		return remote.NoPlace
	case bloberror.BlobImmutableDueToPolicy, bloberror.ImmutabilityPolicyDeleteOnLockedPolicy:
		return remote.Locked
	}
	switch {
	case e.unlike():
		return remote.Unlike
	case e.status == http.StatusUnauthorized:
		return remote.Unknown
	case e.status == http.StatusForbidden:
		return remote.Denied
	case e.status == http.StatusNotFound:
		return remote.NoPlace
	}
	return remote.Unreachable
}

// unlike tells that the service compared a checksum and refused the bytes.
// Azurite says it in other words.
func (e *apiError) unlike() bool {
	return e.status == http.StatusBadRequest && (e.code == string(bloberror.MD5Mismatch) || strings.Contains(e.message, "contentMD5 doesn't match"))
}

// lockRefused tells that the container takes no locks.
func (e *apiError) lockRefused() bool {
	text := strings.ToLower(e.code + e.message)
	return (e.status == http.StatusBadRequest || e.status == http.StatusConflict) && e.code != string(bloberror.BlobImmutableDueToPolicy) &&
		(strings.Contains(text, "immutab") || strings.Contains(text, "versionlevelworm"))
}

func (z *Azure) noLock(name string, err error) error {
	return remote.LockFault(z.place, name,
		"Turn on version-level immutability for the container (az storage container-rm create --enable-vlw), or take object_lock out of the place's section.", err)
}
