package azure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgvault/vault/store"
)

// ServerTime implements store.Clock.
func (z *Azure) ServerTime(ctx context.Context) (time.Time, error) {
	p, err := z.page(ctx, "", nil, 1)
	if err == nil && p.Date == nil {
		err = errors.New("the answer bears no date")
	}
	if err != nil {
		return time.Time{}, z.fault("ask for the time of", "", err)
	}
	return *p.Date, nil
}

// Promises implements store.Promising. Blocks that a killed writer leaves
// cannot be removed without making an object of the name, which would be seen
// and would take away the blocks of another writer: they are left to the
// service, which forgets them after a week.
func (z *Azure) Promises(ctx context.Context) (store.Promises, error) {
	p := store.Promises{
		NoOverwrite: "If-None-Match: *, compared by the service when the object is made",
		Compared:    "MD5 of each request, by the service before the object is made; SHA-256 by reading back where it does not say so",
		Durable:     "the service's word; blocks of an upload that was cut off are forgotten after a week",
		MaxObject:   int64(sizing.Parts) * sizing.Most, Pieces: sizing.Parts, MinPiece: 1, MaxOne: sizing.Most,
	}
	if z.lock > 0 {
		p.Lock = fmt.Sprintf("version-level immutability, locked, %d days", z.lock/(24*time.Hour))
	}
	return p, ctx.Err()
}
