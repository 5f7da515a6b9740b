package azure

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// secret is one of the ways in: the account's key, a shared access
// signature, or an identity that gets tokens.
type secret struct {
	key, sas string
	identity azcore.TokenCredential
}

// connect makes the client. The client library tries nothing again by
// itself: waits would multiply with those of remote.Retry.
func (z *Azure) connect(containerURL, account string, o address.Options) error {
	s, err := z.credentials(account, o)
	if err != nil {
		return err
	}
	options := &container.ClientOptions{ClientOptions: z.clientOptions()}
	switch {
	case s.key != "":
		key, kerr := blob.NewSharedKeyCredential(account, s.key)
		if kerr != nil { // its error may hold a piece of the key
			return remote.CredentialsFault(z.place, "the account's key is not base64", "Copy it again from the portal or from `az storage account keys list`.", nil)
		}
		z.client, err = container.NewClientWithSharedKeyCredential(containerURL, key, options)
	case s.sas != "":
		z.client, err = container.NewClientWithNoCredential(containerURL+"?"+s.sas, options)
	default:
		if strings.HasPrefix(containerURL, "http://") {
			return remote.CredentialsFault(z.place, "a token does not go over http", "Give the account's key (AZURE_STORAGE_KEY), or use https.", nil)
		}
		z.client, err = container.NewClient(containerURL, s.identity, options)
	}
	if err != nil {
		return remote.CredentialsFault(z.place, remote.Brief(remote.WithoutURL(err).Error()), "Mend the place's url.", nil)
	}
	return nil
}

func (z *Azure) clientOptions() policy.ClientOptions {
	return policy.ClientOptions{Transport: z.http, Retry: policy.RetryOptions{MaxRetries: -1}, Telemetry: policy.TelemetryOptions{Disabled: true}}
}

// identityOptions lets an identity try again by itself: what it then gives up
// is final here.
func (z *Azure) identityOptions() policy.ClientOptions {
	o := z.clientOptions()
	o.Retry = policy.RetryOptions{MaxRetries: 3}
	return o
}

// credentials finds what the configuration names.
func (z *Azure) credentials(account string, o address.Options) (secret, error) {
	form, _, _ := strings.Cut(o.Credentials, ":")
	switch {
	case o.Credentials == "":
		return z.defaults(account, o.Getenv)
	case o.Credentials == "instance":
		options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: z.identityOptions()}
		if id := o.Getenv("AZURE_CLIENT_ID"); id != "" { // one of several that the machine has
			options.ID = azidentity.ClientID(id)
		}
		identity, err := azidentity.NewManagedIdentityCredential(options)
		return z.identified(identity, err)
	case form == "file", form == "systemd":
		raw, _, err := remote.CredentialsFile(z.place, o.Credentials, o.Getenv)
		if err != nil {
			return secret{}, err
		}
		return z.parse(account, strings.TrimSpace(string(raw)))
	case form == "profile":
		return secret{}, remote.CredentialsFault(z.place, "Azure has no profiles that a program could use",
			`Name a file with the account's key or a SAS token, credentials = "file:/path", or leave the line out.`, nil)
	}
	return secret{}, remote.CredentialsFault(z.place, "the form of credentials is not known", `Write "file:/path", "systemd:NAME" or "instance".`, nil)
}

// defaults looks where `az storage` looks, AZURE_STORAGE_CONNECTION_STRING,
// AZURE_STORAGE_KEY and AZURE_STORAGE_SAS_TOKEN, unless they belong to
// another account; then at what azidentity knows: AZURE_CLIENT_ID and its
// like, workload and managed identity, the login of az.
func (z *Azure) defaults(account string, getenv func(string) string) (secret, error) {
	if text := getenv("AZURE_STORAGE_CONNECTION_STRING"); text != "" {
		return z.parse(account, text)
	}
	if of := getenv("AZURE_STORAGE_ACCOUNT"); of == "" || of == account {
		if key := getenv("AZURE_STORAGE_KEY"); key != "" {
			return z.parse(account, key)
		}
		if sas := getenv("AZURE_STORAGE_SAS_TOKEN"); sas != "" {
			return z.parse(account, sas)
		}
	}
	identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: z.identityOptions()})
	return z.identified(identity, err)
}

func (z *Azure) identified(identity azcore.TokenCredential, err error) (secret, error) {
	if err != nil {
		return secret{}, remote.CredentialsFault(z.place, remote.Brief(err.Error()), "Set AZURE_STORAGE_KEY, AZURE_CLIENT_ID and its like, or credentials =.", nil)
	}
	return secret{identity: identity}, nil
}

// parse reads a secret that is one line: the account's key (base64), a SAS
// token (sv=…&sig=…, with or without a question mark before it), or a
// connection string of this account (AccountName=…;AccountKey=…).
func (z *Azure) parse(account, line string) (secret, error) {
	bad := func(why string) (secret, error) {
		return secret{}, remote.CredentialsFault(z.place, why, "Give one line: the account's key, or a SAS token (sv=…&sig=…).", nil)
	}
	if strings.ContainsAny(line, "\r\n") {
		return bad("the credentials have more than one line")
	}
	if strings.Contains(line, ";") {
		fields := map[string]string{}
		for field := range strings.SplitSeq(line, ";") {
			k, v, _ := strings.Cut(field, "=")
			fields[strings.ToLower(strings.TrimSpace(k))] = v
		}
		if of := fields["accountname"]; of != "" && of != account {
			return bad("the connection string is another account's")
		}
		line = fields["accountkey"]
		if line == "" {
			line = fields["sharedaccesssignature"]
		}
	}
	line = strings.TrimPrefix(line, "?")
	if q, err := url.ParseQuery(line); err == nil && q.Get("sig") != "" && q.Get("sv") != "" {
		z.http.hide(q.Get("sig"), url.QueryEscape(q.Get("sig")))
		return secret{sas: line}, nil
	}
	if raw, err := base64.StdEncoding.DecodeString(line); err != nil || len(raw) < 16 {
		return bad("the credentials are neither the key of an account nor a SAS token")
	}
	z.http.hide(line)
	return secret{key: line}, nil
}
