package s3

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// credentialsIn is how long looking for credentials may take: a metadata
// service that does not answer must not hold up a backup.
const credentialsIn = 10 * time.Second

// bounded ends a search for credentials.
type bounded struct {
	aws.CredentialsProvider
	in time.Duration
}

// noCredentials marks a failed search: it is not worth another try.
type noCredentials struct{ err error }

func (n *noCredentials) Error() string { return "no credentials were found: " + n.err.Error() }
func (n *noCredentials) Unwrap() error { return n.err }

// Retrieve implements aws.CredentialsProvider.
func (b bounded) Retrieve(ctx context.Context) (aws.Credentials, error) {
	limited, cancel := context.WithTimeout(ctx, b.in)
	defer cancel()
	c, err := b.CredentialsProvider.Retrieve(limited)
	switch {
	case err != nil && ctx.Err() != nil:
		return c, ctx.Err()
	case err != nil && limited.Err() != nil:
		return c, &noCredentials{fmt.Errorf("no answer within %s", b.in)}
	case err != nil:
		return c, &noCredentials{err}
	}
	return c, nil
}

// credentialOptions turns credentials = of the place's section into settings
// of the SDK.
func credentialOptions(ctx context.Context, a address.Address, o address.Options, env func(string) string) ([]func(*config.LoadOptions) error, error) {
	kind, name, _ := strings.Cut(o.Credentials, ":")
	provide := func(p aws.CredentialsProvider) []func(*config.LoadOptions) error {
		return []func(*config.LoadOptions) error{config.WithCredentialsProvider(p)}
	}
	switch {
	case o.Credentials == "":
		if id, secret := env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
			return provide(credentials.NewStaticCredentialsProvider(id, secret, env("AWS_SESSION_TOKEN"))), nil
		}
		if profile := env("AWS_PROFILE"); profile != "" {
			return []func(*config.LoadOptions) error{config.WithSharedConfigProfile(profile)}, nil
		}
		return nil, nil
	case kind == "profile" && name != "":
		return []func(*config.LoadOptions) error{config.WithSharedConfigProfile(name)}, nil
	case kind == "file" && name != "":
		c, err := fromFile(ctx, name, true)
		return provide(c), err
	case kind == "systemd" && name != "":
		dir := env("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, badCredentials(o.Credentials, "systemd gave this process no credentials", "run it as a unit with LoadCredential="+name+":FILE")
		}
		if name != filepath.Base(name) || name == ".." {
			return nil, badCredentials(o.Credentials, "it is a path, not the name of a credential", "write the name of LoadCredential= alone")
		}
		c, err := fromFile(ctx, filepath.Join(dir, name), false)
		return provide(c), err
	case o.Credentials == "instance":
		return provide(aws.NewCredentialsCache(instance(env))), nil
	}
	return nil, badCredentials(o.Credentials, "it is none of the kinds that an S3 place knows", "write profile:NAME, file:PATH, systemd:NAME or instance, or leave it out")
}

func badCredentials(which, why, do string) error {
	kind, _, _ := strings.Cut(which, ":") // what follows might be a key that somebody put there
	return &fault.Error{Op: "place", What: "credentials = " + remote.Words(kind) + " cannot be used", Why: remote.Words(why),
		Left: "Nothing was asked of the service.", Do: do, Code: fault.Usage}
}

// fromFile reads a file in the form of ~/.aws/credentials: its [default]
// section, or the only one.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
func fromFile(ctx context.Context, path string, private bool) (aws.CredentialsProvider, error) {
	const form = "write [default], aws_access_key_id = … and aws_secret_access_key = … in it"
	st, err := os.Stat(path)
	var pe *fs.PathError
	switch {
	case err != nil:
		why := err.Error()
		if e, ok := err.(*fs.PathError); ok {
			pe = e
			why = pe.Path + ": " + pe.Err.Error()
		}
		return nil, badCredentials("file", why, "name a file that this user can read")
	case !st.Mode().IsRegular():
		return nil, badCredentials("file", path+" is no file", "name a file that this user can read")
	case private && st.Mode().Perm()&0o077 != 0:
		return nil, badCredentials("file", fmt.Sprintf("others may read %s (mode %04o)", path, st.Mode().Perm()), "chmod 600 "+path)
	}
	shared, err := config.LoadSharedConfigProfile(ctx, "default", func(l *config.LoadSharedConfigOptions) {
		l.CredentialsFiles, l.ConfigFiles = []string{path}, []string{}
	})
	if err != nil { // its text may hold lines of the file
		return nil, badCredentials("file", path+" is not in the form of ~/.aws/credentials, or has no [default] section", form)
	}
	c := shared.Credentials
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return nil, badCredentials("file", path+" holds no key", form)
	}
	return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken), nil
}

// instance is the machine's own identity: the container's where there is one,
// else the virtual machine's.
func instance(env func(string) string) aws.CredentialsProvider {
	const containers = "http://169.254.170.2" // AWS's own address for them
	if at := env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); at != "" {
		return endpointcreds.New(containers + at)
	}
	if at := env("AWS_CONTAINER_CREDENTIALS_FULL_URI"); at != "" && remote.CheckEndpoint(at) == nil {
		return endpointcreds.New(at, func(o *endpointcreds.Options) { o.AuthorizationToken = env("AWS_CONTAINER_AUTHORIZATION_TOKEN") })
	}
	return ec2rolecreds.New()
}
