package store

import (
	"context"
	"time"
)

// SizedCreator is what a Store may offer beside Create when it helps to know
// an object's size before: a service that takes objects in a limited number
// of pieces. size is in bytes; Commit fails when another number was written.
type SizedCreator interface {
	CreateSized(ctx context.Context, name string, size int64) (Writer, error)
}

// CreateSized begins an object of a known size, with what s offers for it.
func CreateSized(ctx context.Context, s Store, name string, size int64) (Writer, error) {
	if c, ok := As[SizedCreator](s); ok {
		return c.CreateSized(ctx, name, size)
	}
	return s.Create(ctx, name)
}

// Clock is what a Store may offer when the service tells its time.
type Clock interface {
	ServerTime(ctx context.Context) (time.Time, error)
}

// Upload is an object that was begun and neither published nor given up.
type Upload struct {
	Name    string // of the object that it was to become; empty when unknown
	ID      string // the service's or the temporary file's
	Started time.Time
	Size    int64 // bytes that it occupies, -1 when unknown
}

// Unfinished is what a Store may offer when a writer that was killed leaves
// something behind. Only what pgvault began is ever named.
type Unfinished interface {
	// Unfinished gives all uploads that were begun and have not ended, also
	// those of writers that are at work now.
	Unfinished(ctx context.Context) ([]Upload, error)
	// Discard takes one of them away. It never touches a published object.
	Discard(ctx context.Context, u Upload) error
}

// Hiding is a place in which an object can leave the listing though it is
// locked: its bytes stay, and another tool can bring it back. Only a trial of
// the place uses it.
type Hiding interface {
	Hide(ctx context.Context, name string) error
}

// Retained is what a Store may offer when its objects can be locked against
// deletion by anybody.
type Retained interface {
	// LockedUntil gives the time before which the object cannot be removed
	// or replaced; the zero time when it is not locked.
	LockedUntil(ctx context.Context, name string) (time.Time, error)
}

// Promises is what a kind of place does to keep the contract, in words for
// `place test`, and its limits.
type Promises struct {
	NoOverwrite string // how a taken name is kept: "If-None-Match", "O_EXCL and link"
	Compared    string // how bytes are compared at Commit: "SHA-256 of each piece, by the service"
	Durable     string // what Commit waits for: "fsync of file and folder", "the service's word"
	Lock        string // how objects are locked: "compliance, 30 days", "" where they are not

	MaxObject        int64 // bytes of the largest object, 0 unknown
	Pieces           int   // in how many pieces it may come, 0: any number
	MinPiece, MaxOne int64 // bytes of the smallest piece but the last, and of the largest; 0 unknown
}

// Promising is what a Store may offer to tell its promises.
type Promising interface {
	Promises(ctx context.Context) (Promises, error)
}

// Near marks a Store whose objects lie on this host: to read a byte twice, or
// a few bytes at a time, costs next to nothing. All others are over a network.
type Near interface{ Near() }

// IsNear tells whether s, or what it wraps, is Near.
func IsNear(s Store) bool {
	_, ok := As[Near](s)
	return ok
}

// Offers tells whether the Store within all wrappers has an optional
// interface: a wrapper may have it for whatever it wraps.
func Offers[T any](s Store) bool {
	for {
		w, wraps := s.(interface{ Unwrap() Store })
		if !wraps {
			break
		}
		s = w.Unwrap()
	}
	_, ok := s.(T)
	return ok
}

// As finds an optional interface in s, or in the Store that s wraps: a
// wrapper has a method Unwrap() Store.
func As[T any](s Store) (found T, ok bool) {
	for s != nil {
		if found, ok = s.(T); ok {
			return found, true
		}
		w, wraps := s.(interface{ Unwrap() Store })
		if !wraps {
			break
		}
		s = w.Unwrap()
	}
	return found, false
}
