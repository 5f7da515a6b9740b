package remote

import (
	"context"
	"errors"
	"fmt"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store"
)

// Kind is what an answer of a service means for a person.
type Kind int

// The kinds. Each has a remedy of its own.
const (
	Unreachable Kind = iota // no answer, or one that says to come back later
	Denied                  // the credentials are known and may not do this
	Unknown                 // the service does not know the credentials
	NoPlace                 // the bucket, container or folder is not there
	Clock                   // the service refuses because the clocks differ
	Full                    // no space, or a quota
	Unlike                  // the bytes that arrived are not those that were sent
	Locked                  // the object is locked against this
)

// TryAgain is the remedy where a service does not answer.
const TryAgain = "Try again when it answers; what is missing there is sent at the next run, or by pgvault copy --missing."

// maxWhy bounds what a service's own words take of an error, in runes.
const maxWhy = 300

// Fault gives an error its four lines. place is the place for people, did
// completes "cannot …", name is the object or "". A context's error, a taken
// and a missing name stay what they are, and so does an error that has its
// four lines already.
func Fault(place, did, name string, kind Kind, err error) error {
	var already *fault.Error
	switch {
	case err == nil || errors.As(err, &already):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, store.ErrNotExist), errors.Is(err, store.ErrExist), errors.Is(err, store.ErrClosed):
		return fmt.Errorf("%s: %s: %w", place, name, err)
	}
	what := fmt.Sprintf("cannot %s %s", did, place)
	if name != "" {
		what = fmt.Sprintf("cannot %s %s in %s", did, name, place)
	}
	f := &fault.Error{Op: "place", What: what, Why: Words(err.Error()), Code: fault.PlaceUnreachable, Err: err,
		Left: "What lay in the place before is unchanged; nothing new is visible."}
	switch kind {
	case Denied:
		f.Code, f.Do = fault.Refused, "Give these credentials the right to do this, or name others with credentials = in the place's section."
	case Unknown:
		f.Do = "See which credentials are used (pgvault place test), and whether they were renewed or withdrawn."
	case NoPlace:
		f.Do = "Make it with the service's own tools, or mend the place's url. pgvault makes no buckets."
	case Clock:
		f.Do = "Set this machine's clock (timedatectl), then run again."
	case Full:
		f.Code, f.Do = fault.NoSpace, "Make room there or raise the quota, then run again."
	case Unlike:
		f.Code, f.Do = fault.Failed, "Run again; if it comes back, something between here and there changes bytes."
	case Locked:
		f.Code, f.Do = fault.Refused, "Wait until the lock ends; pgvault show names the day."
	default:
		f.Do = TryAgain
	}
	return f
}

// Words makes a service's own text safe and short.
func Words(s string) string {
	r := []rune(safetext.Line(s))
	if len(r) > maxWhy {
		r = append(r[:maxWhy], '…')
	}
	return string(r)
}

// LockFault is the error of a place whose objects cannot be locked as the
// configuration asks for; do says how they could.
func LockFault(place, name, do string, err error) error {
	return &fault.Error{Op: "place", Code: fault.Refused, What: fmt.Sprintf("cannot lock %s in %s", name, place), Why: Words(err.Error()),
		Left: "Nothing new is visible; without its lock an object is not kept.", Do: do, Err: err}
}
