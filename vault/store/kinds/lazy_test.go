package kinds

import (
	"encoding/base64"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store/address"
)

// TestOpenConnectsNothing: the first frame of a screen does not wait for a
// network. A listener counts who knocks.
func TestOpenConnectsNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	host, port, _ := net.SplitHostPort(at)
	home := t.TempDir()
	getenv := func(name string) string {
		return map[string]string{"HOME": home, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1", "AZURE_STORAGE_KEY": base64.StdEncoding.EncodeToString(make([]byte, 64))}[name]
	}
	for _, url := range []string{
		"s3://bucket/x?endpoint=http://" + at, "gs://bucket/x?endpoint=http://" + at, "azblob://account1/cont/x?endpoint=http://" + at + "/account1", "sftp://u@" + host + ":" + port + "/x",
	} {
		s, err := Parse(t.Context(), url, address.Options{Getenv: getenv}, 1<<20)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := Close(s); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	// What knocked is in the listener's queue by now.
	if err := l.(*net.TCPListener).SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("somebody connected: %v, %v", c, err)
	}
}

// TestCredentialsAreLookedFor: what can be known without the network is told
// at once, with its remedy and without the credential.
func TestCredentialsAreLookedFor(t *testing.T) {
	for _, url := range []string{"s3://bucket", "gs://bucket", "azblob://account1/cont", "sftp://u@h/x"} {
		for _, c := range []string{"file:/nowhere/hunter2", "systemd:hunter2", "hunter2"} {
			_, err := Parse(t.Context(), url, address.Options{Credentials: c, Getenv: func(string) string { return "" }}, 0)
			if err == nil && strings.HasPrefix(url, "sftp:") && c == "file:/nowhere/hunter2" {
				continue // looked for when it logs in
			}
			if err == nil {
				t.Errorf("%s with %s is accepted", url, c)
				continue
			}
			f := fault.As(err)
			if f.Do == "" || c == "hunter2" && strings.Contains(f.What+f.Why+f.Do, "hunter2") {
				t.Errorf("%s with %s: %v", url, c, err)
			}
		}
	}
}
