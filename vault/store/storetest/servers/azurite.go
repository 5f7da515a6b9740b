package servers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"pgvault/vault/store/storetest"
)

// AzureServer is an Azurite with TLS, that has one container.
type AzureServer struct {
	Endpoint  string // https://127.0.0.1:PORT/ACCOUNT
	Account   string
	Key       string // of the account
	Container string // made, empty
	CAFile    string // certificate of the authority to trust, PEM

	CA *storetest.CA
}

// The account that every Azurite has:
// https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
const (
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azure starts a server that keeps its blobs in memory.
func Azure(t TB) *AzureServer { return startAzure(t, "--inMemoryPersistence") }

// AzureOnDisk starts a server that keeps its blobs in dir.
func AzureOnDisk(t TB, dir string) *AzureServer { return startAzure(t, "--location", dir) }

func startAzure(t TB, more ...string) *AzureServer {
	t.Helper()
	s := &AzureServer{Account: azuriteAccount, Key: azuriteKey, Container: "backups", CA: storetest.NewCA(t)}
	s.CAFile = s.CA.File
	client := s.client()
	addr := start(t, process{
		name: "azurite-blob",
		args: func(addr string) []string {
			_, port, _ := net.SplitHostPort(addr)
			return append([]string{"--skipApiVersionCheck", "--disableTelemetry", "--silent", "--blobHost", "127.0.0.1", "--blobPort", port,
				"--cert", s.CA.CertFile, "--key", s.CA.KeyFile}, more...)
		},
		env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir()},
		up: func(ctx context.Context, addr string) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/"+s.Account+"?comp=list", nil)
			if err != nil {
				return err
			}
			answer, err := client.Do(r)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.Header.Get("X-Ms-Request-Id") == "" {
				return errors.New("it does not answer as a blob service")
			}
			return nil
		},
	})
	s.Endpoint = "https://" + addr + "/" + s.Account
	s.MakeContainer(t, s.Container)
	return s
}

// client trusts the server.
func (s *AzureServer) client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12}}}
}

// URL is the address of the container, and of a prefix in it, for pgvault.
func (s *AzureServer) URL(prefix string) string {
	return fmt.Sprintf("azblob://%s/%s/%s?endpoint=%s", s.Account, s.Container, prefix, s.Endpoint)
}

// Env is the environment in which a client of the server finds the key and
// trusts the server.
func (s *AzureServer) Env() []string {
	return []string{"AZURE_STORAGE_KEY=" + s.Key, "SSL_CERT_FILE=" + s.CAFile}
}

// Getenv looks a name up in Env.
func (s *AzureServer) Getenv(name string) string {
	for _, e := range s.Env() {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// MakeContainer makes another container.
func (s *AzureServer) MakeContainer(t TB, name string) {
	t.Helper()
	url := s.Endpoint + "/" + name + "?restype=container"
	if err := sendPlain(context.Background(), s.client(), http.MethodPut, url, "", s.sign); err != nil {
		t.Fatalf("making the container: %v", err)
	}
}

// sign gives a request without a body, and with restype=container for its
// query, the signature of the account's key:
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
func (s *AzureServer) sign(r *http.Request) {
	r.Header.Set("X-Ms-Date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("X-Ms-Version", "2021-12-02")
	text := r.Method + strings.Repeat("\n", 12) + "x-ms-date:" + r.Header.Get("X-Ms-Date") + "\nx-ms-version:" + r.Header.Get("X-Ms-Version") +
		"\n/" + s.Account + r.URL.Path + "\nrestype:container"
	key, err := base64.StdEncoding.DecodeString(s.Key)
	if err != nil {
		panic(err) // a constant
	}
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // hashes never fail
	r.Header.Set("Authorization", "SharedKey "+s.Account+":"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
}
