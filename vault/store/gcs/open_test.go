package gcs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

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
		return path
	}
	const key = `{"type":"service_account","client_email":"a@example.com","private_key":"CANARY","token_uri":"https://127.0.0.1:1/t"}`
	b := address.Address{Scheme: address.GCS, Bucket: "b"}
	for name, c := range map[string]struct {
		a   address.Address
		o   address.Options
		why string
	}{
		"no bucket":      {address.Address{}, address.Options{}, "bucket"},
		"http":           {address.Address{Bucket: "b", Endpoint: "http://storage.example.com"}, address.Options{}, "not encrypted"},
		"emulator":       {b, address.Options{Getenv: env(map[string]string{"STORAGE_EMULATOR_HOST": "storage.example.com:80"})}, "STORAGE_EMULATOR_HOST"},
		"lock":           {b, address.Options{ObjectLock: -1}, "negative"},
		"profile":        {b, address.Options{Credentials: "profile:x"}, "no profiles"},
		"form":           {b, address.Options{Credentials: "CANARY"}, "form"},
		"no file":        {b, address.Options{Credentials: "file:" + dir + "/none"}, "no such file"},
		"readable":       {b, address.Options{Credentials: "file:" + file("open", 0o644, key)}, "others can read"},
		"not JSON":       {b, address.Options{Credentials: "file:" + file("text", 0o600, "CANARY")}, "not the JSON"},
		"another kind":   {b, address.Options{Credentials: "file:" + file("kind", 0o600, `{"type":"gdch_service_account","key":"CANARY"}`)}, "kind"},
		"a person's":     {b, address.Options{Credentials: "file:" + file("user", 0o600, `{"type":"authorized_user","refresh_token":"CANARY"}`)}, "person's login"},
		"from the shell": {b, address.Options{Getenv: env(map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": dir + "/open"})}, "others can read"},
		"gcloud's":       {b, address.Options{Getenv: env(map[string]string{"CLOUDSDK_CONFIG": dir})}, "not the JSON"},
	} {
		if name == "gcloud's" {
			file("application_default_credentials.json", 0o600, "CANARY")
		}
		_, err := Open(t.Context(), c.a, c.o)
		f := fault.As(err)
		if err == nil || !strings.Contains(f.Why, c.why) || f.What == "" || f.Left == "" || f.Do == "" || f.Code != fault.Usage && f.Code != fault.Refused {
			t.Errorf("%s: %+v", name, f)
		}
		if strings.Contains(fmt.Sprintf("%+v %v", f, err), "CANARY") {
			t.Errorf("%s: a secret in %+v", name, f)
		}
	}
	if _, err := Open(t.Context(), b, address.Options{Getenv: env(map[string]string{"STORAGE_EMULATOR_HOST": "localhost:4443"})}); err != nil {
		t.Errorf("an emulator on this machine: %v", err)
	}
}

// account makes the file of a service account whose tokens come from uri.
func account(t *testing.T, uri string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "backup@example.iam.gserviceaccount.com", "private_key_id": "CANARY-KEY-ID",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": uri})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCredentials has a service that tells all that it was told, and answers
// in every way that it has for credentials: what a person hears is clear, and
// no token is in it.
func TestCredentials(t *testing.T) {
	const token = "CANARY-ACCESS-TOKEN"
	issue := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, token)
	}
	refuse := func(status int, reason, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":%q}]}}`, status, message+" "+r.Header.Get("Authorization"), reason)
		}
	}
	grant := func(status int, code, description string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, description+" "+r.Form.Get("assertion"))
		}
	}
	for name, c := range map[string]struct {
		tokens, service http.HandlerFunc
		code            fault.Code
		do              string
	}{
		"key withdrawn": {grant(400, "invalid_grant", "Invalid JWT Signature."), nil, fault.PlaceUnreachable, "withdrawn"},
		"clock":         {grant(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."), nil, fault.PlaceUnreachable, "clock"},
		"tokens down":   {grant(503, "unavailable", "later"), nil, fault.PlaceUnreachable, "when it answers"},
		"token unknown": {issue, refuse(401, "authError", "Invalid Credentials"), fault.PlaceUnreachable, "withdrawn"},
		"not allowed":   {issue, refuse(403, "forbidden", "backup@example does not have storage.objects.list access"), fault.Refused, "right"},
		"no bucket":     {issue, refuse(404, "notFound", "The specified bucket does not exist."), fault.PlaceUnreachable, "makes no buckets"},
		"a proxy speaks": {issue, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, "<html>"+r.Header.Get("Authorization"))
		}, fault.PlaceUnreachable, "when it answers"},
		"locked": {issue, refuse(403, "retentionPolicyNotMet", "Object is subject to bucket's retention policy"), fault.Refused, "lock ends"},
	} {
		t.Run(name, func(t *testing.T) {
			ts := httptest.NewServer(c.tokens)
			defer ts.Close()
			heard := make(chan string, 100)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				heard <- r.Header.Get("Authorization")
				c.service(w, r)
			}))
			defer s.Close()
			g, err := Open(t.Context(), address.Address{Bucket: "b", Endpoint: s.URL}, address.Options{Credentials: "file:" + account(t, ts.URL)})
			if err != nil {
				t.Fatal(err)
			}
			g.retry = remote.Retry{Attempts: 2, First: time.Millisecond}
			_, err = g.List(t.Context(), "")
			f := fault.As(err)
			if err == nil || f.Code != c.code || !strings.Contains(f.Do, c.do) || f.Why == "" {
				t.Errorf("%+v", f)
			}
			if text := fmt.Sprintf("%+v %v", f, err); strings.Contains(text, "CANARY") || strings.Contains(text, "eyJ") {
				t.Errorf("a secret in %s", text)
			}
			if c.service != nil && <-heard != "Bearer "+token {
				t.Error("the service was not told the token")
			}
			if c.service == nil && len(heard) > 0 {
				t.Error("a request without a token")
			}
		})
	}
}

// TestMissingBucket: where there is no bucket, no object is called missing.
func TestMissingBucket(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}`)
	}))
	defer s.Close()
	g := open(t, s.URL, "b", "p")
	_, list := g.List(t.Context(), "")
	_, stat := g.Stat(t.Context(), "x")
	_, opened := g.Open(t.Context(), "x", 0, -1)
	_, written := write(t, g, "x", []byte("x"))
	for what, err := range map[string]error{"List": list, "Stat": stat, "Open": opened, "Commit": written, "Remove": g.Remove(t.Context(), "x")} {
		if f := fault.As(err); err == nil || missing(err) || f.Code != fault.PlaceUnreachable || !strings.Contains(f.Do, "buckets") {
			t.Errorf("%s: %+v", what, f)
		}
	}
}
