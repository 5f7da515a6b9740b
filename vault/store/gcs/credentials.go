package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// scope is the narrowest that writes, reads and removes objects.
const scope = "https://www.googleapis.com/auth/devstorage.read_write"

// tokens gives the access token that each request bears.
type tokens struct {
	source oauth2.TokenSource

	mu   sync.Mutex
	last string // the newest, so that it is kept out of errors
}

// credentials finds what the configuration names. What comes from Google's
// own files and environment is read here and not by the client library, so
// that no file of a kind that nobody named is ever used.
func (g *GCS) credentials(o address.Options) (*tokens, error) {
	form, _, _ := strings.Cut(o.Credentials, ":")
	switch form {
	case "":
		if strings.HasPrefix(g.base, "http://") {
			return nil, nil // an emulator on this machine takes anybody
		}
		return g.defaults(o.Getenv)
	case "instance":
		if o.Credentials != "instance" {
			break
		}
		return &tokens{source: google.ComputeTokenSource("", scope)}, nil
	case "profile":
		return nil, remote.CredentialsFault(g.place, "Google Cloud has no profiles that a program could use",
			`Name a service account's file, credentials = "file:/path", or leave the line out for gcloud's own.`, nil)
	case "file", "systemd":
		secret, _, err := remote.CredentialsFile(g.place, o.Credentials, o.Getenv)
		if err != nil {
			return nil, err
		}
		return g.fromJSON(secret, false)
	}
	return nil, remote.CredentialsFault(g.place, "the form of credentials is not known",
		`Write "file:/path", "systemd:NAME" or "instance".`, nil)
}

// defaults are Google's application default credentials, in their order: the
// file that GOOGLE_APPLICATION_CREDENTIALS names, the one that
// `gcloud auth application-default login` wrote, the machine's own identity.
func (g *GCS) defaults(getenv func(string) string) (*tokens, error) {
	if path := getenv("GOOGLE_APPLICATION_CREDENTIALS"); path != "" {
		secret, err := remote.ReadSecret(g.place, path, 0o077)
		if err != nil {
			return nil, err
		}
		return g.fromJSON(secret, true)
	}
	dir := getenv("CLOUDSDK_CONFIG")
	if home := getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config", "gcloud")
	}
	if dir != "" {
		path := filepath.Join(dir, "application_default_credentials.json")
		secret, err := remote.ReadSecret(g.place, path, 0o077)
		if err == nil {
			return g.fromJSON(secret, true)
		}
		if !missing(err) {
			return nil, err
		}
	}
	return &tokens{source: google.ComputeTokenSource("", scope)}, nil
}

// fromJSON makes a source of what Google calls a credentials file. A user's
// own login is taken only where Google's clients take it, too.
func (g *GCS) fromJSON(secret []byte, user bool) (*tokens, error) {
	var f struct {
		Type google.CredentialsType `json:"type"`
	}
	bad := func(why string) (*tokens, error) {
		return nil, remote.CredentialsFault(g.place, why, "Download the service account's key again, or make a file for workload identity.", nil)
	}
	if json.Unmarshal(secret, &f) != nil { // its error may hold a piece of the file
		return bad("the file is not the JSON of a service account")
	}
	switch f.Type {
	case google.ServiceAccount, google.ExternalAccount, google.ImpersonatedServiceAccount:
	case google.AuthorizedUser, google.ExternalAccountAuthorizedUser:
		if !user {
			return bad("the file is a person's login, not a service account")
		}
	default:
		return bad(fmt.Sprintf("the file is of the kind %.40q, not a service account", f.Type))
	}
	client := remote.HTTPClient()
	client.Timeout = time.Minute
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	c, err := google.CredentialsFromJSONWithType(ctx, secret, f.Type, scope)
	if err != nil {
		return bad("the file is not complete")
	}
	return &tokens{source: c.TokenSource}, nil
}

// authorize adds the token to a request. It waits for ctx at most: the
// source itself was made for all requests and knows no context.
func (t *tokens) authorize(ctx context.Context, r *http.Request) error {
	if t == nil {
		return nil
	}
	type answer struct {
		token *oauth2.Token
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		token, err := t.source.Token()
		got <- answer{token, err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case a := <-got:
		if a.err != nil {
			return tokenError(a.err)
		}
		t.mu.Lock()
		t.last = a.token.AccessToken
		t.mu.Unlock()
		a.token.SetAuthHeader(r)
		return nil
	}
}

// scrub takes the token out of a text that a service answered.
func (t *tokens) scrub(text string) string {
	if t == nil {
		return text
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == "" {
		return text
	}
	return strings.ReplaceAll(text, t.last, "…")
}

// credentialsError says that no token was to be had with these credentials.
type credentialsError struct {
	why   string
	clock bool
}

func (e *credentialsError) Error() string { return e.why }

// tokenError makes an error of a source fit to be shown: nothing of what was
// sent or answered is in it but the error's code and its description.
func tokenError(err error) error {
	var r *oauth2.RetrieveError
	if errors.As(err, &r) {
		status := 0
		if r.Response != nil {
			status = r.Response.StatusCode
		}
		code, description := r.ErrorCode, r.ErrorDescription
		if code == "" {
			var body struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
			}
			if json.Unmarshal(r.Body, &body) == nil {
				code, description = body.Error, body.Description
			}
		}
		why := fmt.Sprintf("no token for these credentials (status %d) %s %s", status, remote.Brief(code), remote.Brief(description))
		if remote.Transient(status) {
			return errors.New(why)
		}
		return remote.Permanent(&credentialsError{why: strings.TrimSpace(why), clock: strings.Contains(description, "iat and exp")})
	}
	if remote.Network(err) {
		return fmt.Errorf("asking for a token: %w", remote.WithoutURL(err))
	}
	return remote.Permanent(&credentialsError{why: "no token for these credentials: " + remote.Brief(err.Error())})
}
