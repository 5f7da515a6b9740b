package gcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// apiError is an answer that is no success.
type apiError struct {
	status  int
	reason  string // Google's word for it: notFound, conditionNotMet, forbidden
	message string // bounded and safe to print
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("status %d", e.status)
	if e.reason != "" {
		text += " " + e.reason
	}
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

var (
	errUnlikeRead = errors.New("the bytes that came are not those that the service keeps")
	errReplaced   = errors.New("another object was put in its place meanwhile")

	errUnlike = errors.New("the service keeps other bytes than were sent")
	errNoLock = errors.New("the service keeps the object without the lock that was asked for")
)

// maxErrorBody is how much of an error's body is looked at.
const maxErrorBody = 64 << 10

// errorOf reads what an answer that is no success says. It is marked as
// permanent where trying again cannot help.
func (g *GCS) errorOf(r *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, maxErrorBody)) // what came of it is as good
	e := &apiError{status: r.StatusCode}
	var body errorBody
	if json.Unmarshal(raw, &body) == nil && body.Error != nil {
		e.message = body.Error.Message
		if len(body.Error.Errors) > 0 {
			e.reason = remote.Brief(body.Error.Errors[0].Reason)
		}
	} else {
		e.message = string(raw)
	}
	e.message = remote.Words(g.tokens.scrub(strings.TrimSpace(e.message)))
	if remote.Transient(e.status) || e.status == http.StatusForbidden && slices.Contains([]string{"rateLimitExceeded", "userRateLimitExceeded"}, e.reason) {
		return e
	}
	return remote.Permanent(e)
}

// errorBody is what an answer holds that is an error, and what an answer
// with a good status must not hold.
type errorBody struct {
	Error *struct {
		Message string
		Errors  []struct{ Reason string }
	} `json:"error"`
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// is tells whether err is an answer with the status.
func is(err error, status int) bool {
	var a *apiError
	return errors.As(err, &a) && a.status == status
}

// fault gives an error its four lines; did completes "cannot …".
func (g *GCS) fault(did, name string, err error) error {
	if err == nil {
		return nil
	}
	kind := remote.Unreachable
	var a *apiError
	var c *credentialsError
	switch {
	case errors.As(err, &c):
		kind = remote.Unknown
		if c.clock {
			kind = remote.Clock
		}
	case errors.Is(err, errUnlike), errors.Is(err, errUnlikeRead):
		kind = remote.Unlike
	case errors.Is(err, errNoLock):
		return noLock(g.place, name, err)
	case errors.As(err, &a):
		kind = a.kind()
		if a.unlike() {
			kind = remote.Unlike
		}
		if a.lockRefused() {
			return noLock(g.place, name, err)
		}
	}
	return remote.Fault(g.place, did, name, kind, err)
}

// locked are the reasons for which an object cannot be removed or replaced.
var locked = []string{"retentionPolicyNotMet", "objectUnderActiveHold", "objectRetentionNotMet"}

func (e *apiError) kind() remote.Kind {
	switch {
	case e.status == http.StatusUnauthorized:
		return remote.Unknown
	case e.status == http.StatusForbidden && (slices.Contains(locked, e.reason) || strings.Contains(e.message, "retention")):
		return remote.Locked
	case e.status == http.StatusForbidden:
		return remote.Denied
	case e.status == http.StatusNotFound:
		return remote.NoPlace
	}
	return remote.Unreachable
}

// unlike tells that the service compared a checksum and refused the bytes.
func (e *apiError) unlike() bool {
	return e.status == http.StatusBadRequest && strings.Contains(e.message, "match") && strings.Contains(strings.ToLower(e.message), "hash")
}

// lockRefused tells that the bucket was made without object retention.
func (e *apiError) lockRefused() bool {
	return e.status == http.StatusBadRequest && strings.Contains(strings.ToLower(e.reason+e.message), "retention")
}

func noLock(place, name string, err error) error {
	return remote.LockFault(place, name,
		"Make a bucket with --enable-per-object-retention (it cannot be added to every bucket), or take object_lock out of the place's section.", err)
}

// absent is the error of an object that is not there.
func (g *GCS) absent(name string) error {
	return fmt.Errorf("%s: %s: %w", g.place, name, store.ErrNotExist)
}
