package gcs

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"pgvault/vault/store"
)

// ServerTime implements store.Clock.
func (g *GCS) ServerTime(ctx context.Context) (t time.Time, err error) {
	q := request{method: http.MethodGet, url: g.objects() + "?maxResults=1&fields=kind"}
	err = g.try(ctx, func(ctx context.Context) error {
		return g.exchange(ctx, q, func(r *http.Response) (err error) {
			if r.StatusCode != http.StatusOK {
				return g.errorOf(r)
			}
			t, err = serverTime(r)
			return err
		})
	})
	return t, g.fault("ask for the time of", "", err)
}

// Promises implements store.Promising. Upload sessions that a killed writer
// leaves cannot be listed: the service ends them after a week, and nothing of
// them is kept or billed.
func (g *GCS) Promises(ctx context.Context) (store.Promises, error) {
	p := store.Promises{
		NoOverwrite: "ifGenerationMatch=0, compared by the service when the object is made",
		Compared:    "CRC32C and MD5 of the whole object, by the service before the object is made, and again with what it says it keeps",
		Durable:     "the service's word; an upload that was cut off ends by itself after a week and cannot be listed",
		MaxObject:   5 << 40, MinPiece: 256 << 10,
	}
	if g.lock > 0 {
		p.Lock = fmt.Sprintf("object retention, locked, %d days", g.lock/(24*time.Hour))
	}
	return p, ctx.Err()
}
