package s3

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// publicRegion is where a service that is not Amazon's lies when nobody says
// otherwise: most of them answer to this name.
const publicRegion = "us-east-1"

// newClient makes the SDK's client. Its own trying again, its redirects, its
// log and its correction of a wrong clock are off: the first multiplies
// waits, the second sends data elsewhere, the third prints, and the last
// hides a clock by which locks would end too early.
func newClient(ctx context.Context, a address.Address, o address.Options) (*s3.Client, error) {
	env := o.Getenv
	if env == nil {
		env = os.Getenv
	}
	cfg, err := settings(ctx, a, o, env)
	if err != nil {
		return nil, err
	}
	endpoint := first(a.Endpoint, env("AWS_ENDPOINT_URL_S3"), env("AWS_ENDPOINT_URL"))
	var bad error
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		if endpoint != "" {
			so.BaseEndpoint = &endpoint
		}
		if so.BaseEndpoint != nil { // it may be a profile's
			bad = remote.CheckEndpoint(*so.BaseEndpoint)
		}
		so.Region = first(a.Region, env("AWS_REGION"), env("AWS_DEFAULT_REGION"), so.Region)
		if so.Region == "" && so.BaseEndpoint != nil {
			so.Region = publicRegion
		}
		if so.Region == "" {
			bad = errors.Join(bad, wrong(a, "nothing says in which region the bucket is", "add ?region=NAME to the place's url, or set AWS_REGION"))
		}
		so.UsePathStyle = a.PathStyle
		so.HTTPClient = httpClient(cfg)
		so.Retryer = aws.NopRetryer{}
		so.Logger = logging.Nop{}
		so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		so.DisableLogOutputChecksumValidationSkipped = true
		so.DisableClockSkewCorrection = true
		so.ContinueHeaderThresholdBytes = -1
		so.AppID = "pgvault"
	})
	return client, bad
}

// settings gathers what files and environment say of credentials, region and
// certificates.
func settings(ctx context.Context, a address.Address, o address.Options, env func(string) string) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if name := env("AWS_CA_BUNDLE"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return aws.Config{}, wrong(a, "AWS_CA_BUNDLE: "+err.Error(), "name a file of certificates that can be read")
		}
		options = append(options, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	if name := env("AWS_CONFIG_FILE"); name != "" {
		options = append(options, config.WithSharedConfigFiles([]string{name}))
	}
	if name := env("AWS_SHARED_CREDENTIALS_FILE"); name != "" {
		options = append(options, config.WithSharedCredentialsFiles([]string{name}))
	}
	more, err := credentialOptions(ctx, a, o, env)
	if err != nil {
		return aws.Config{}, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, append(options, more...)...)
	if err != nil {
		return aws.Config{}, wrong(a, err.Error(), "see the files of the AWS configuration, and the environment's AWS_ variables")
	}
	if cfg.Credentials != nil {
		cfg.Credentials = bounded{cfg.Credentials, credentialsIn}
	}
	return cfg, nil
}

// httpClient follows no redirect and tells each request's watch what moves.
// The certificates are those that the SDK's settings trust.
func httpClient(cfg aws.Config) *http.Client {
	c := remote.HTTPClient()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t := c.Transport.(*http.Transport)
	t.ResponseHeaderTimeout = 0 // the watch ends what is silent, and knows what may take longer
	t.DisableCompression = true
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		if own := b.GetTransport().TLSClientConfig; own != nil && own.RootCAs != nil {
			t.TLSClientConfig = &tls.Config{RootCAs: own.RootCAs, MinVersion: tls.VersionTLS12}
		}
	}
	c.Transport = watched{t}
	return c
}

// watched tells the watch of a request of each byte of its answer.
type watched struct{ http.RoundTripper }

type aliveKey struct{}

func (w watched) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if alive, ok := req.Context().Value(aliveKey{}).(func()); ok && err == nil {
		alive()
		resp.Body = &movingBody{resp.Body, alive}
	}
	return resp, err
}

type movingBody struct {
	io.ReadCloser
	alive func()
}

func (m *movingBody) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	m.alive()
	return n, err
}

// moving is the body of a request that tells its watch of each byte.
type moving struct {
	*io.SectionReader
	alive func()
}

func (m *moving) Read(b []byte) (int, error) {
	m.alive()
	return m.SectionReader.Read(b)
}

// first gives the first that is not empty.
func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
