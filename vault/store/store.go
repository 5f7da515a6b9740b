// Package store is what pgvault asks of a place where archives lie: a flat
// set of named, immutable objects.
//
// # Promises
//
// An object appears whole or not at all: nothing is visible under its name
// before [Writer.Commit] has returned nil, and what is visible never changes.
// A name that is taken stays as it is: a second Commit under it gives
// [ErrExist]. A place that cannot promise this is no place.
//
// # Names
//
// Names are slash-separated and relative to the place's root; [ValidName]
// says which are allowed. Folders are not objects: they come with the first
// object in them and are never listed. A name cannot be an object and the
// folder of another object at once.
//
// # Errors
//
// [ErrNotExist] and [ErrExist] are found with errors.Is. Where a person has
// to act (no space, place not reachable), errors are *fault.Error. A place
// over a network tries again what may pass by itself, and gives an error only
// when it has given up.
//
// Every kind of place passes the suite in package storetest.
package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// ErrNotExist says that no object has the name. errors.Is finds it in what
// Open, Stat and Remove return. It is fs.ErrNotExist.
var ErrNotExist = fs.ErrNotExist

// ErrExist says that the name is taken; the bytes there are unchanged. It is
// fs.ErrExist.
var ErrExist = fs.ErrExist

// ErrClosed is what a Writer gives that is written to or committed after
// Commit or Abort.
var ErrClosed = errors.New("the writer has ended")

// Info is one published object.
type Info struct {
	Name string // slash-separated, relative to the place's root
	Size int64  // bytes

	// Stamp is another one when the object of this name was replaced or its
	// bytes were changed. It is compared for equality, never read; two
	// empty ones tell nothing. Only List fills it, and it leaves it empty
	// where the place cannot know.
	Stamp string
}

// Capacity is what a Store may offer beside Free: the whole size, too, in
// bytes. Either is -1 when unknown.
type Capacity interface {
	Capacity(ctx context.Context) (free, total int64, err error)
}

// Store is one place. Its methods may be called from several goroutines at
// once. All take a context: when it ends, they return its error soon.
type Store interface {
	// List gives all published objects whose name starts with prefix, sorted
	// bytewise by name. The prefix is "" or a name followed by "/". Objects
	// that are being written are never in it. The list is complete or there
	// is an error; a prefix under which nothing lies gives an empty list.
	List(ctx context.Context, prefix string) ([]Info, error)

	// Open reads length bytes from offset, or to the end when length < 0.
	// Bytes beyond the end are not there: reading then ends early with
	// io.EOF. A negative offset is an error. The context governs the reads
	// too. io.EOF means the real end: a connection that breaks in between
	// is an error if it cannot be mended. The caller closes the reader.
	Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)

	// Create begins an object. The context governs the writes too: once it
	// has ended, Write and Commit fail. Create does not look whether the
	// name is taken, Commit does. The caller ends the writer with Commit or
	// Abort.
	Create(ctx context.Context, name string) (Writer, error)

	// Stat gives the size of one published object.
	Stat(ctx context.Context, name string) (Info, error)

	// Remove takes away exactly one object, for good before it returns. It
	// never recurses: the name of a folder gives ErrNotExist.
	Remove(ctx context.Context, name string) error

	// Free gives the bytes that can still be written, -1 when unknown.
	Free(ctx context.Context) (int64, error)

	// String gives the place's URL for people, without secrets.
	String() string
}

// Writer is one object being written, by one goroutine.
type Writer interface {
	// Write takes any length; it buffers where the place wants larger
	// pieces. After an error all further calls but Abort give that error.
	io.Writer

	// Commit makes the object durable and visible, in this order, and ends
	// the writer. nil means that the place holds exactly the bytes that
	// were written: a place over a network has compared them, by a checksum
	// that the service keeps or by reading back, before they are visible
	// where the service allows. ErrExist says that the name is taken; what
	// lies there is unchanged. After any error nothing of this writer is
	// visible.
	Commit(ctx context.Context) error

	// Abort discards what was written. It may be called more than once and
	// does nothing after Commit, so that it can be deferred.
	Abort() error
}
