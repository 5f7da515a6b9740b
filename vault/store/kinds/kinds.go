// Package kinds opens a place of any kind by its address. It is the one room
// that names all kinds, so that what is linked can be seen.
package kinds

import (
	"context"
	"errors"
	"os"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/azure"
	"pgvault/vault/store/disk"
	"pgvault/vault/store/gcs"
	"pgvault/vault/store/limit"
	"pgvault/vault/store/s3"
	"pgvault/vault/store/sftp"
)

// Open gives the place at a, held to perSecond bytes of reading and writing
// together where that is above 0. What can be checked without the network is
// checked (the folder of a file:, where credentials are said to be); nothing
// is connected before the first call of the Store. Close it with Close.
func Open(ctx context.Context, a address.Address, o address.Options, perSecond int64) (store.Store, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := address.CheckCredentials(a.Scheme, o.Credentials); err != nil {
		return nil, err
	}
	s, err := open(ctx, a, o)
	if err != nil {
		return nil, err
	}
	return limit.New(s, perSecond), nil
}

// opened keeps a nil of a kind's own type from becoming a Store.
func opened[T store.Store](s T, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, a address.Address, o address.Options) (store.Store, error) {
	switch a.Scheme {
	case address.File:
		if o.Owner != nil {
			return opened(disk.OpenToRead(a.Path, *o.Owner))
		}
		return opened(disk.Open(a.Path))
	case address.S3:
		return opened(s3.Open(ctx, a, o))
	case address.GCS:
		return opened(gcs.Open(ctx, a, o))
	case address.Azure:
		return opened(azure.Open(ctx, a, o))
	case address.SFTP:
		return opened(sftp.Open(ctx, a, o))
	}
	return nil, &fault.Error{Op: "place", What: "this place cannot be opened", Why: "pgvault knows no such kind of place",
		Left: "Nothing was changed.", Do: "Use " + address.Forms + ".", Code: fault.Usage}
}

// Parse reads an address and opens what it names.
func Parse(ctx context.Context, url string, o address.Options, perSecond int64) (store.Store, error) {
	a, err := address.Parse(url)
	if err != nil {
		return nil, err
	}
	return Open(ctx, a, o, perSecond)
}

// Prepare makes what a new vault at a needs: the folder of a file:, mode
// 0700, with its parents, or that of an sftp:, whose parent has to be there.
// Buckets and containers are the service's own matter.
func Prepare(ctx context.Context, a address.Address, o address.Options) error {
	switch a.Scheme {
	case address.File:
		d, err := disk.Init(a.String())
		if err != nil {
			return err
		}
		return d.Close()
	case address.SFTP:
		s, err := Open(ctx, a, o, 0)
		if err != nil {
			return err
		}
		if f, ok := store.As[*sftp.SFTP](s); ok {
			err = f.Init(ctx)
		}
		return errors.Join(err, Close(s))
	}
	return nil
}

// Close frees the connections of a place, where it keeps any.
func Close(s store.Store) error {
	if c, ok := store.As[interface{ Close() error }](s); ok {
		return c.Close()
	}
	return nil
}
