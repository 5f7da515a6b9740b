package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// wantFault checks the four lines of an error.
func wantFault(t *testing.T, err error, code fault.Code, words ...string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Errorf("no four lines: %v", err)
		return
	}
	text := strings.Join([]string{f.What, f.Why, f.Left, f.Do}, "\n")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
	if f.Code != code || f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" {
		t.Errorf("code %d, want %d:\n%s", f.Code, code, text)
	}
}

// with changes some names of a server's environment.
func with(s *servers.S3Server, changes map[string]string) func(string) string {
	return func(name string) string {
		if v, ok := changes[name]; ok {
			return v
		}
		return s.Getenv(name)
	}
}

func TestWhatCannotBeUsedIsRefusedBeforeAnythingIsSent(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const key = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3cr3t\n"
	evil := file("config", "[profile evil]\nendpoint_url = http://192.0.2.1\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n", 0o600)
	good := address.Address{Bucket: "b", Region: "eu-west-1"}
	for name, c := range map[string]struct {
		a    address.Address
		cred string
		env  map[string]string
		want string
	}{
		"no bucket":               {a: address.Address{}, want: "s3://BUCKET"},
		"prefix":                  {a: address.Address{Bucket: "b", Prefix: "a/../b"}, want: ".."},
		"small pieces":            {a: address.Address{Bucket: "b", PartSize: 1 << 20}, want: "part_size"},
		"many pieces":             {a: address.Address{Bucket: "b", MaxParts: 20_000}, want: "max_parts"},
		"no region":               {a: address.Address{Bucket: "b"}, want: "AWS_REGION"},
		"http":                    {a: address.Address{Bucket: "b", Endpoint: "http://s3.example.com"}, want: "not encrypted"},
		"http in the environment": {a: good, env: map[string]string{"AWS_ENDPOINT_URL": "http://192.0.2.1:9000"}, want: "not encrypted"},
		"http in a profile":       {a: good, cred: "profile:evil", env: map[string]string{"AWS_CONFIG_FILE": evil}, want: "not encrypted"},
		"no such profile":         {a: good, cred: "profile:nobody", want: "nobody"},
		"unknown kind":            {a: good, cred: "AKIAEXAMPLE:s3cr3t", want: "none of the kinds"},
		"no file":                 {a: good, cred: "file:" + dir + "/nothing", want: "no such file"},
		"a folder":                {a: good, cred: "file:" + dir, want: "no file"},
		"a file for all":          {a: good, cred: "file:" + file("open", key, 0o644), want: "chmod 600"},
		"a file for the group":    {a: good, cred: "file:" + file("group", key, 0o640), want: "chmod 600"},
		"a file without a key":    {a: good, cred: "file:" + file("empty", "[default]\n", 0o600), want: "aws_access_key_id"},
		"a file of another form":  {a: good, cred: "file:" + file("bare", "AKIAEXAMPLE s3cr3t\n", 0o600), want: "aws_access_key_id"},
		"not under systemd":       {a: good, cred: "systemd:s3", want: "LoadCredential="},
		"a path for systemd":      {a: good, cred: "systemd:../s3", env: map[string]string{"CREDENTIALS_DIRECTORY": dir}, want: "LoadCredential="},
		"no certificates":         {a: good, env: map[string]string{"AWS_CA_BUNDLE": dir + "/nothing"}, want: "AWS_CA_BUNDLE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), c.a, address.Options{Credentials: c.cred, Getenv: func(name string) string { return c.env[name] }})
			wantFault(t, err, fault.Usage, c.want)
			if err != nil && strings.Contains(fmt.Sprintf("%+v %v", fault.As(err), err), "s3cr3t") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	s := servers.S3(t)
	dir := t.TempDir()
	section := func(name string) string {
		return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, s.Key, s.Secret)
	}
	for name, text := range map[string]string{"credentials": section("default"), "profiles": "[default]\naws_access_key_id = no\naws_secret_access_key = no\n" + section("backup")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
	profiles := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "profiles")}
	for name, c := range map[string]struct {
		cred string
		env  map[string]string
	}{
		"environment":            {},
		"file":                   {cred: "file:" + filepath.Join(dir, "credentials"), env: none},
		"systemd":                {cred: "systemd:credentials", env: map[string]string{"CREDENTIALS_DIRECTORY": dir, "AWS_ACCESS_KEY_ID": "no"}},
		"profile":                {cred: "profile:backup", env: profiles}, // before the environment's key
		"profile of environment": {env: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "backup", "AWS_SHARED_CREDENTIALS_FILE": profiles["AWS_SHARED_CREDENTIALS_FILE"]}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(t.Context(), at(s, "vault"), address.Options{Credentials: c.cred, Getenv: with(s, c.env)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.List(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	// The address's silence is filled by the environment.
	p, err := Open(t.Context(), address.Address{Bucket: s.Bucket, PathStyle: true}, address.Options{Getenv: with(s, map[string]string{"AWS_ENDPOINT_URL": s.Endpoint})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.List(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

func TestWrongKeysAreNamed(t *testing.T) {
	s := servers.S3(t)
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"unknown key":       {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, "No user exists with the provided access key ID"},
		"wrong secret":      {map[string]string{"AWS_SECRET_ACCESS_KEY": "s3cr3t"}, "SignatureDoesNotMatch"},
		"untrusted service": {map[string]string{"AWS_CA_BUNDLE": ""}, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(t.Context(), at(s, "vault"), address.Options{Getenv: with(s, c.env)})
			if err != nil {
				t.Fatal(err)
			}
			p.retry = hasty(time.Minute)
			_, err = p.List(t.Context(), "")
			do := "See which credentials are used"
			if name == "untrusted service" {
				do = "Try again"
			}
			wantFault(t, err, fault.PlaceUnreachable, c.want, do)
			w, err := p.Create(t.Context(), "main/x")
			if err != nil {
				t.Fatal(err)
			}
			wantFault(t, w.Commit(t.Context()), fault.PlaceUnreachable, c.want)
		})
	}
	p := open(t, s, at(s, "vault"))
	wantNothing(t, p)
}

// TestSearchForCredentialsEnds: a metadata service that accepts and is silent
// does not hold up a backup.
func TestSearchForCredentialsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	silent := bounded{aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	}), time.Millisecond}
	_, err := silent.Retrieve(ctx)
	var none *noCredentials
	if !errors.As(err, &none) || !refused(err) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent search: %v", err)
	}
	cancel()
	if _, err := silent.Retrieve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled search: %v", err)
	}
}

// TestInstance gets the machine's key from a metadata service and uses it.
func TestInstance(t *testing.T) {
	s := servers.S3(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/creds", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Expiration":%q}`, s.Key, s.Secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	p, err := Open(t.Context(), at(s, "vault"), address.Options{Credentials: "instance", Getenv: with(s, map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://" + l.Addr().String() + "/creds"})})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, p, "main/x", nil)
}

// TestHosts: where requests go, by address; no server is asked.
func TestHosts(t *testing.T) {
	for want, a := range map[string]address.Address{
		"https://backups.s3.eu-west-1.amazonaws.com/p/main/x": {Bucket: "backups", Prefix: "p", Region: "eu-west-1"},
		"https://s3.eu-west-1.amazonaws.com/backups/p/main/x": {Bucket: "backups", Prefix: "p", Region: "eu-west-1", PathStyle: true},
		"https://backups.s3.example.com/main/x":               {Bucket: "backups", Endpoint: "https://s3.example.com"},
		"https://s3.example.com:8443/backups/main/x":          {Bucket: "backups", Endpoint: "https://s3.example.com:8443", PathStyle: true},
		"http://127.0.0.1:9000/backups/main/x":                {Bucket: "backups", Endpoint: "http://127.0.0.1:9000"},
	} {
		env := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
		p, err := Open(t.Context(), a, address.Options{Getenv: func(name string) string { return env[name] }})
		if err != nil {
			t.Fatal(err)
		}
		var asked string
		p.client = s3.New(p.client.Options(), func(o *s3.Options) {
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
				return nil, errIgnored
			})
		})
		if _, err := p.Stat(t.Context(), "main/x"); !errors.Is(err, errIgnored) || asked != want {
			t.Errorf("asked %s, want %s; %v", asked, want, err)
		}
		if !strings.HasPrefix(p.String(), "s3://backups") {
			t.Errorf("String() = %q", p)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestMissingBucket(t *testing.T) {
	s := servers.S3(t)
	a := at(s, "vault")
	a.Bucket = "nothing-here"
	p := open(t, s, a)
	for what, call := range map[string]func() error{
		"List":        func() error { _, err := p.List(t.Context(), ""); return err },
		"Open":        func() error { _, err := p.Open(t.Context(), "main/x", 0, -1); return err },
		"Stat":        func() error { _, err := p.Stat(t.Context(), "main/x"); return err },
		"Remove":      func() error { return p.Remove(t.Context(), "main/x") },
		"ServerTime":  func() error { _, err := p.ServerTime(t.Context()); return err },
		"LockedUntil": func() error { _, err := p.LockedUntil(t.Context(), "main/x"); return err },
		"Unfinished":  func() error { _, err := p.Unfinished(t.Context()); return err },
		"Promises":    func() error { _, err := p.Promises(t.Context()); return err },
		"Commit": func() error {
			w, err := p.Create(t.Context(), "main/x")
			if err != nil {
				return err
			}
			return w.Commit(t.Context())
		},
	} {
		t.Run(what, func(t *testing.T) {
			err := call()
			wantFault(t, err, fault.PlaceUnreachable, "NoSuchBucket", "pgvault makes no buckets")
			if errors.Is(err, store.ErrNotExist) {
				t.Errorf("it passes for a missing object: %v", err)
			}
		})
	}
}
