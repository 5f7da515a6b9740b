package azure

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

var canaryKey = base64.StdEncoding.EncodeToString([]byte("CANARY-CANARY-CANARY-CANARY-CANARY-CANARY"))

// TestOpenRefuses has addresses and credentials that cannot be used. Nothing
// secret is in what is said of them.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	b := address.Address{Scheme: address.Azure, Account: "acct", Bucket: "backups"}
	for name, c := range map[string]struct {
		a   address.Address
		o   address.Options
		why string
	}{
		"no account":     {address.Address{Bucket: "backups"}, address.Options{}, "account"},
		"no container":   {address.Address{Account: "acct", Bucket: "No/Name"}, address.Options{}, "container"},
		"http":           {address.Address{Account: "acct", Bucket: "backups", Endpoint: "http://blob.example.com"}, address.Options{}, "not encrypted"},
		"lock":           {b, address.Options{ObjectLock: -1}, "negative"},
		"profile":        {b, address.Options{Credentials: "profile:x"}, "no profiles"},
		"form":           {b, address.Options{Credentials: "CANARY"}, "form"},
		"no file":        {b, address.Options{Credentials: "file:" + dir + "/none"}, "no such file"},
		"readable":       {b, address.Options{Credentials: file("open", 0o644, canaryKey)}, "others can read"},
		"no key":         {b, address.Options{Credentials: file("text", 0o600, "CANARY!CANARY")}, "neither"},
		"two lines":      {b, address.Options{Credentials: file("two", 0o600, canaryKey+"\n"+canaryKey)}, "more than one line"},
		"another's":      {b, address.Options{Credentials: file("cs", 0o600, "AccountName=other;AccountKey="+canaryKey)}, "another account"},
		"environment":    {b, address.Options{Getenv: env(map[string]string{"AZURE_STORAGE_KEY": "CANARY!CANARY"})}, "neither"},
		"token by http":  {address.Address{Account: "acct", Bucket: "backups", Endpoint: "http://127.0.0.1:1/acct"}, address.Options{Credentials: "instance"}, "http"},
		"connection str": {b, address.Options{Getenv: env(map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "AccountName=acct;EndpointSuffix=core"})}, "neither"},
	} {
		_, err := Open(t.Context(), c.a, c.o)
		f := fault.As(errors.Join(err, errors.New("")))
		if err == nil || !strings.Contains(f.Why, c.why) || f.What == "" || f.Left == "" || f.Do == "" || f.Code != fault.Usage && f.Code != fault.Refused {
			t.Errorf("%s: %+v", name, f)
		}
		if strings.Contains(fmt.Sprintf("%+v %v", f, err), "CANARY") {
			t.Errorf("%s: a secret in %+v", name, f)
		}
	}
}

// TestWaysIn reads and writes with the account's key from everywhere that it
// may come from, and with a shared access signature.
func TestWaysIn(t *testing.T) {
	s := servers.Azure(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"key": s.Key + "\n", "cs": "DefaultEndpointsProtocol=https;AccountName=" + s.Account + ";AccountKey=" + s.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signed := signature(t, s)
	for name, o := range map[string]address.Options{
		"file":              {Credentials: "file:" + dir + "/key"},
		"connection string": {Credentials: "file:" + dir + "/cs"},
		"systemd":           {Credentials: "systemd:key", Getenv: env(map[string]string{"CREDENTIALS_DIRECTORY": dir})},
		"key":               {Getenv: env(map[string]string{"AZURE_STORAGE_KEY": s.Key, "AZURE_STORAGE_ACCOUNT": s.Account})},
		"connection":        {Getenv: env(map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "AccountName=" + s.Account + ";AccountKey=" + s.Key})},
		"sas":               {Getenv: env(map[string]string{"AZURE_STORAGE_SAS_TOKEN": "?" + signed})},
	} {
		z, err := Open(t.Context(), address.Address{Account: s.Account, Bucket: s.Container, Prefix: "p", Endpoint: s.Endpoint}, o)
		if err != nil {
			t.Fatal(err)
		}
		trust(z, s.CA.Pool)
		storetest.Put(t, z, name, []byte(name))
		if got := string(storetest.Get(t, z, name)); got != name {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(z.String(), "sig=") {
			t.Error(z.String())
		}
	}
}

// signature is a SAS token for the container.
func signature(t *testing.T, s *servers.AzureServer) string {
	t.Helper()
	z := open(t, s, s.Endpoint, s.CA.Pool, "")
	u, err := z.client.GetSASURL(sas.ContainerPermissions{Read: true, Write: true, Create: true, Delete: true, List: true}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(u, "?")
	return query
}

// TestWrongCredentials: a key that is another account's, and one that is
// signed wrongly, are refused with words that help and nothing secret.
func TestWrongCredentials(t *testing.T) {
	s := servers.Azure(t)
	signed := signature(t, s)
	for name, text := range map[string]string{"key": canaryKey, "sas": strings.Replace(signed, "sig=", "sig=CANARY", 1)} {
		z, err := Open(t.Context(), address.Address{Account: s.Account, Bucket: s.Container, Endpoint: s.Endpoint},
			address.Options{Getenv: env(map[string]string{map[string]string{"key": "AZURE_STORAGE_KEY", "sas": "AZURE_STORAGE_SAS_TOKEN"}[name]: text})})
		if err != nil {
			t.Fatal(err)
		}
		trust(z, s.CA.Pool)
		z.retry = remote.Retry{Attempts: 2, First: time.Millisecond}
		_, list := z.List(t.Context(), "")
		_, written := write(t, z, "x", []byte("x"))
		for what, err := range map[string]error{"List": list, "Commit": written} {
			f := fault.As(errors.Join(err, errors.New("")))
			if f.Code != fault.PlaceUnreachable || !strings.Contains(f.Do, "withdrawn") || f.Why == "" {
				t.Errorf("%s, %s: %+v", name, what, f)
			}
			if strings.Contains(fmt.Sprintf("%+v %v", f, err), "CANARY") {
				t.Errorf("%s, %s: a secret in %+v", name, what, f)
			}
		}
	}
}

// identity gives a token, or an error.
type identity struct{ err error }

func (i identity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "CANARY-ACCESS-TOKEN", ExpiresOn: time.Now().Add(time.Hour)}, i.err
}

// final is an identity's error as azidentity marks its own.
type final struct{ error }

func (final) NonRetriable() {}

// TestTokens has a service that tells all that it was told, and an identity:
// what a person hears is clear, and no token or signature is in it.
func TestTokens(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		code    string
		message string
		sas     bool
		id      identity
		want    fault.Code
		do      string
	}{
		"not allowed": {403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.", false, identity{}, fault.Refused, "right"},
		"unknown":     {401, "InvalidAuthenticationInfo", "Server failed to authenticate the request.", false, identity{}, fault.PlaceUnreachable, "withdrawn"},
		"clock":       {403, "AuthenticationFailed", "Request date header too old: 'x'", false, identity{}, fault.PlaceUnreachable, "clock"},
		"no identity": {200, "", "", false, identity{final{errors.New("no managed identity " + strings.Repeat("CANARY", 20))}}, fault.PlaceUnreachable, "withdrawn"},
		"signed":      {403, "AuthorizationFailure", "no", true, identity{}, fault.Refused, "right"},
		"locked":      {409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy.", false, identity{}, fault.Refused, "lock ends"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Ms-Error-Code", c.code)
				w.WriteHeader(c.status)
				_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s %s sig=%s</Message></Error>", c.code, c.message, r.Header.Get("Authorization"), r.URL.Query().Get("sig"))
			}))
			defer s.Close()
			z, err := Open(t.Context(), address.Address{Account: "acct", Bucket: "backups", Endpoint: s.URL},
				address.Options{Getenv: env(map[string]string{"AZURE_STORAGE_SAS_TOKEN": "sv=2021-12-02&sig=CANARY%2BCANARY"})})
			if err != nil {
				t.Fatal(err)
			}
			z.http.client.Transport = s.Client().Transport
			if !c.sas {
				z.client, err = container.NewClient(s.URL+"/backups", c.id, &container.ClientOptions{ClientOptions: z.clientOptions()})
				if err != nil {
					t.Fatal(err)
				}
			}
			z.retry = remote.Retry{Attempts: 2, First: time.Millisecond}
			_, err = z.List(t.Context(), "")
			f := fault.As(errors.Join(err, errors.New("")))
			if f.Code != c.want || !strings.Contains(f.Do, c.do) || f.Why == "" {
				t.Errorf("%+v", f)
			}
			if text := fmt.Sprintf("%+v %v", f, err); strings.Contains(text, "CANARY") {
				t.Errorf("a secret in %s", text)
			}
			s.CloseClientConnections()
			s.Close()
			if _, err = z.List(t.Context(), ""); c.id.err == nil && (fault.CodeOf(err) != fault.PlaceUnreachable || strings.Contains(err.Error(), "CANARY")) {
				t.Errorf("a service that is gone: %v", err)
			}
		})
	}
}

// TestMissingContainer: where there is no container, no object is called
// missing.
func TestMissingContainer(t *testing.T) {
	s := servers.Azure(t)
	s.Container = "nothere"
	z := open(t, s, s.Endpoint, s.CA.Pool, "p")
	_, list := z.List(t.Context(), "")
	_, stat := z.Stat(t.Context(), "x")
	_, opened := z.Open(t.Context(), "x", 0, -1)
	_, written := write(t, z, "x", []byte("x"))
	for what, err := range map[string]error{"List": list, "Stat": stat, "Open": opened, "Commit": written, "Remove": z.Remove(t.Context(), "x")} {
		if f := fault.As(errors.Join(err, errors.New(""))); err == nil || errors.Is(err, fs.ErrNotExist) || f.Code != fault.PlaceUnreachable || !strings.Contains(f.Do, "buckets") {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// TestLock: the request for an object asks for its lock. Azurite (v3.35)
// knows no locks and makes the object without: that is refused, and nothing
// is left of it.
func TestLock(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	z.lock = time.Hour
	for _, size := range []int{1000, 2*block + 1} {
		_, err := write(t, z, "x", storetest.Bytes(size, 1))
		if f := fault.As(errors.Join(err, errors.New(""))); !errors.Is(err, errNoLock) || f.Code != fault.Refused || !strings.Contains(f.Do, "immutability") {
			t.Errorf("%d bytes: %+v", size, f)
		}
		if names := storetest.Names(t, z, ""); len(names) != 0 {
			t.Errorf("%d bytes: %q is there", size, names)
		}
	}
	z.lock = 0
	storetest.Put(t, z, "free", nil)
	if until, err := z.LockedUntil(t.Context(), "free"); err != nil || !until.IsZero() {
		t.Errorf("locked until %v, %v", until, err)
	}
	if _, err := z.LockedUntil(t.Context(), "none"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestLockAsDocumented has a service that keeps locks as the documentation
// tells: https://learn.microsoft.com/rest/api/storageservices/put-blob
func TestLockAsDocumented(t *testing.T) {
	var until string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		switch r.Method {
		case http.MethodPut:
			if r.Header.Get("X-Ms-Immutability-Policy-Mode") != "Locked" || r.Header.Get("If-None-Match") != "*" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			until = r.Header.Get("X-Ms-Immutability-Policy-Until-Date")
			w.Header().Set("Content-MD5", r.Header.Get("Content-MD5"))
			w.WriteHeader(http.StatusCreated)
		case http.MethodHead:
			w.Header().Set("X-Ms-Immutability-Policy-Mode", "locked")
			w.Header().Set("X-Ms-Immutability-Policy-Until-Date", until)
			w.Header().Set("X-Ms-Blob-Type", "BlockBlob")
			w.Header().Set("Content-Length", "4")
		default:
			w.WriteHeader(http.StatusNotImplemented)
		}
	}))
	defer s.Close()
	z, err := Open(t.Context(), address.Address{Account: "acct", Bucket: "backups", Endpoint: s.URL},
		address.Options{ObjectLock: 24 * time.Hour, Getenv: env(map[string]string{"AZURE_STORAGE_KEY": canaryKey})})
	if err != nil {
		t.Fatal(err)
	}
	z.http.client.Transport = s.Client().Transport
	z.retry = remote.Retry{Attempts: 1}
	begun := time.Now()
	if _, err := write(t, z, "x", []byte("data")); err != nil {
		t.Fatal(err)
	}
	got, err := z.LockedUntil(t.Context(), "x")
	if err != nil || got.Before(begun.Add(24*time.Hour)) || got.After(time.Now().Add(24*time.Hour+2*time.Second)) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPromisesAndTime(t *testing.T) {
	s := servers.Azure(t)
	z := open(t, s, s.Endpoint, s.CA.Pool, "")
	z.lock = 48 * time.Hour
	p, err := z.Promises(t.Context())
	if err != nil || p.NoOverwrite == "" || p.Compared == "" || p.Durable == "" || !strings.Contains(p.Lock, "2 days") || p.Pieces != 50_000 {
		t.Errorf("%+v, %v", p, err)
	}
	now, err := z.ServerTime(t.Context())
	if d := time.Since(now); err != nil || d < -2*time.Second || d > 10*time.Second {
		t.Errorf("%v, %v", now, err)
	}
	var _ interface {
		store.SizedCreator
		store.Clock
		store.Retained
		store.Promising
	} = z
}
