package gcs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// publicEndpoint is where the service answers the world.
const publicEndpoint = "https://storage.googleapis.com"

// GCS is one bucket, or what lies below a prefix in it. It implements
// store.Store, SizedCreator, Clock, Retained and Promising.
type GCS struct {
	url, place string // the address, and what people need to see of it in an error
	bucket     string
	prefix     string // before every object's name: "" or with a slash at the end
	base       string // the endpoint without a slash at the end
	lock       time.Duration
	now        func() time.Time

	client *http.Client
	tokens *tokens // nil: requests bear none
	retry  remote.Retry
	piece  int // bytes that one request of an upload carries, at most pieceSize

	seen atomic.Bool // the bucket was there
}

// Open checks the address and where the credentials come from; nothing is
// sent before the first call. $STORAGE_EMULATOR_HOST is honoured when the
// address names no endpoint, for this machine only.
func Open(_ context.Context, a address.Address, o address.Options) (*GCS, error) {
	g := &GCS{url: a.String(), bucket: a.Bucket, lock: o.ObjectLock, now: o.Now, client: remote.HTTPClient(), piece: pieceSize}
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if g.now == nil {
		g.now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if a.Prefix != "" {
		g.prefix = a.Prefix + "/"
	}
	g.place = (&url.URL{Scheme: address.GCS, Host: a.Bucket, Path: a.Prefix}).String()
	if a.Bucket == "" || strings.ContainsAny(a.Bucket, "/?#%") {
		return nil, usage(g.place, "the bucket's name is not one", "write it as gs://bucket/prefix")
	}
	if o.ObjectLock < 0 {
		return nil, usage(g.place, "object_lock is negative", `write it as object_lock = "30d"`)
	}
	if err := g.endpoint(a.Endpoint, o.Getenv); err != nil {
		return nil, err
	}
	t, err := g.credentials(o)
	if err != nil {
		return nil, err
	}
	g.tokens = t
	return g, nil
}

// endpoint takes over the service's URL.
func (g *GCS) endpoint(endpoint string, getenv func(string) string) error {
	emulator := getenv("STORAGE_EMULATOR_HOST")
	switch {
	case endpoint != "":
	case emulator != "":
		if !strings.Contains(emulator, "://") {
			emulator = "http://" + emulator // as Google's own clients read it
		}
		if u, err := url.Parse(emulator); err != nil || !remote.Loopback(u.Hostname()) {
			return usage(g.place, "STORAGE_EMULATOR_HOST is set, and names no service on this machine",
				"unset it, or write endpoint= into the place's url")
		}
		endpoint = emulator
	default:
		endpoint = publicEndpoint
	}
	if err := remote.CheckEndpoint(endpoint); err != nil {
		return err
	}
	g.base = strings.TrimRight(endpoint, "/")
	return nil
}

func usage(place, why, do string) error {
	return &fault.Error{Op: "place", Code: fault.Usage, What: fmt.Sprintf("the place %s cannot be used", place), Why: why,
		Left: "Nothing was sent.", Do: do}
}

// String gives the place's URL.
func (g *GCS) String() string { return g.url }

// Close ends the connections that wait for use.
func (g *GCS) Close() error {
	g.client.CloseIdleConnections()
	return nil
}

// Free is not known of a bucket.
func (g *GCS) Free(ctx context.Context) (int64, error) { return -1, ctx.Err() }

// objects is the path of all objects' metadata, object that of one.
func (g *GCS) objects() string {
	return g.base + "/storage/v1/b/" + url.PathEscape(g.bucket) + "/o"
}

func (g *GCS) object(name string) string {
	return g.objects() + "/" + url.PathEscape(g.prefix+name)
}
