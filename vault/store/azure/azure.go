package azure

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// Azure is one container, or what lies below a prefix in it. It implements
// store.Store, SizedCreator, Clock, Retained and Promising.
type Azure struct {
	url, place string // the address, and what people need to see of it in an error
	prefix     string // before every object's name: "" or with a slash at the end
	lock       time.Duration
	temp       string // for pieces too large for memory
	now        func() time.Time

	client *container.Client
	http   *transport
	retry  remote.Retry
	sizing remote.Sizing // of blocks

	seen *atomic.Bool // the container was there
}

// names are what the service takes for an account and for a container:
// https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerName = regexp.MustCompile(`^(\$root|[a-z0-9](-?[a-z0-9]){2,62})$`)
)

// Open checks the address and where the credentials come from; nothing is
// sent before the first call.
func Open(_ context.Context, a address.Address, o address.Options) (*Azure, error) {
	z := &Azure{url: a.String(), lock: o.ObjectLock, temp: o.TempDir, now: o.Now, http: newTransport(), sizing: sizing, seen: new(atomic.Bool)}
	if z.now == nil {
		z.now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if a.Prefix != "" {
		z.prefix = a.Prefix + "/"
	}
	z.place = (&url.URL{Scheme: address.Azure, Host: a.Account, Path: "/" + strings.TrimSuffix(a.Bucket+"/"+a.Prefix, "/")}).String()
	switch {
	case !accountName.MatchString(a.Account):
		return nil, usage(z.place, "the account's name is not one", "write it as azblob://account/container/prefix")
	case !containerName.MatchString(a.Bucket):
		return nil, usage(z.place, "the container's name is not one", "write it as azblob://account/container/prefix")
	case o.ObjectLock < 0:
		return nil, usage(z.place, "object_lock is negative", `write it as object_lock = "30d"`)
	}
	endpoint := a.Endpoint
	if endpoint == "" {
		endpoint = "https://" + a.Account + ".blob.core.windows.net"
	}
	if err := remote.CheckEndpoint(endpoint); err != nil {
		return nil, err
	}
	err := z.connect(strings.TrimRight(endpoint, "/")+"/"+a.Bucket, a.Account, o)
	if err != nil {
		return nil, err
	}
	return z, nil
}

func usage(place, why, do string) error {
	return &fault.Error{Op: "place", Code: fault.Usage, What: "the place " + place + " cannot be used", Why: why,
		Left: "Nothing was sent.", Do: do}
}

// String gives the place's URL.
func (z *Azure) String() string { return z.url }

// Close ends the connections that wait for use.
func (z *Azure) Close() error {
	z.http.client.CloseIdleConnections()
	return nil
}

// Free is not known of a container.
func (z *Azure) Free(ctx context.Context) (int64, error) { return -1, ctx.Err() }

func (z *Azure) blob(name string) *blob.Client { return z.client.NewBlobClient(z.prefix + name) }

func (z *Azure) blockBlob(name string) *blockblob.Client {
	return z.client.NewBlockBlobClient(z.prefix + name)
}

// transport sends the requests that the Azure client makes. It keeps what
// could be a secret out of errors, follows no redirect, and tells those who
// watch a request that something moves.
type transport struct {
	hidden
	client *http.Client
}

func newTransport() *transport {
	c := remote.HTTPClient()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{client: c}
}

// Do implements policy.Transporter.
func (t *transport) Do(r *http.Request) (*http.Response, error) {
	answer, err := t.client.Do(r)
	if err != nil {
		return nil, remote.WithoutURL(err)
	}
	alive := aliveOf(r.Context())
	alive()
	answer.Body = &moving{ReadCloser: answer.Body, alive: alive}
	return answer, nil
}
