package servers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"pgvault/vault/store/storetest"
)

// S3Server is a versitygw with TLS, that has one bucket.
type S3Server struct {
	Endpoint    string // https://127.0.0.1:PORT
	CAFile      string // certificate of the authority to trust, PEM
	Key, Secret string // of the account that may do everything
	Region      string
	Bucket      string // made, empty
	Dir         string // of the server's buckets: an object is the file Dir/Bucket/name

	CA *storetest.CA
}

// S3 starts a server whose bucket has neither versions nor locks.
func S3(t TB) *S3Server {
	t.Helper()
	s := startS3(t)
	s.MakeBucket(t, s.Bucket, false)
	return s
}

// LockingS3 starts a server whose bucket keeps versions and takes object
// locks.
func LockingS3(t TB) *S3Server {
	t.Helper()
	s := startS3(t, "--versioning-dir", t.TempDir())
	s.MakeBucket(t, s.Bucket, true)
	return s
}

func startS3(t TB, posix ...string) *S3Server {
	t.Helper()
	s := &S3Server{CA: storetest.NewCA(t), Key: "pgvault-test", Secret: rand.Text(), Region: "us-east-1",
		Bucket: "backups", Dir: t.TempDir()}
	s.CAFile = s.CA.File
	client := s.client()
	addr := start(t, process{
		name: "versitygw",
		args: func(addr string) []string {
			args := []string{"--port", addr, "--cert", s.CA.CertFile, "--key", s.CA.KeyFile, "--health", "/health",
				"--keep-alive", "--quiet", "--region", s.Region, "posix"}
			return append(append(args, posix...), s.Dir)
		},
		env: []string{"ROOT_ACCESS_KEY=" + s.Key, "ROOT_SECRET_KEY=" + s.Secret, "PATH=/usr/bin:/bin", "HOME=" + t.TempDir()},
		up: func(ctx context.Context, addr string) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/health", nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("health: %s", resp.Status)
			}
			return nil
		},
	})
	s.Endpoint = "https://" + addr
	return s
}

// client trusts the server.
func (s *S3Server) client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12}}}
}

// URL is the address of the bucket, and of a prefix in it, for pgvault.
func (s *S3Server) URL(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s&region=%s&path_style=true", s.Bucket, prefix, s.Endpoint, s.Region)
}

// Env is the environment in which a client of the server finds the key and
// trusts the server, and looks at nothing of the user's.
func (s *S3Server) Env() []string {
	none := filepath.Join(s.Dir, "no-such-file")
	return []string{"AWS_ACCESS_KEY_ID=" + s.Key, "AWS_SECRET_ACCESS_KEY=" + s.Secret, "AWS_CA_BUNDLE=" + s.CAFile,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none}
}

// Getenv looks a name up in Env.
func (s *S3Server) Getenv(name string) string {
	for _, e := range s.Env() {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// MakeBucket makes a bucket; one with locks keeps versions, too.
func (s *S3Server) MakeBucket(t TB, name string, locks bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, s.Endpoint+"/"+name, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if locks {
		req.Header.Set("X-Amz-Bucket-Object-Lock-Enabled", "true")
	}
	s.sign(req)
	resp, err := s.client().Do(req)
	if err != nil {
		t.Fatalf("making the bucket: %v", err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("making the bucket: %s %s %v", resp.Status, body, err)
	}
}

// sign gives a request without body or query the signature that S3 asks for:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func (s *S3Server) sign(req *http.Request) {
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of no bytes
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", empty)
	names, lines := "host", "host:"+req.URL.Host+"\n"
	for _, h := range []string{"x-amz-bucket-object-lock-enabled", "x-amz-content-sha256", "x-amz-date"} { // sorted
		if v := req.Header.Get(h); v != "" {
			names, lines = names+";"+h, lines+h+":"+v+"\n"
		}
	}
	request := sha256.Sum256([]byte(req.Method + "\n" + req.URL.EscapedPath() + "\n\n" + lines + "\n" + names + "\n" + empty))
	scope := day + "/" + s.Region + "/s3/aws4_request"
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = io.WriteString(h, text) // never fails
		return h.Sum(nil)
	}
	key := mac(mac(mac(mac([]byte("AWS4"+s.Secret), day), s.Region), "s3"), "aws4_request")
	sum := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(request[:]))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.Key+"/"+scope+
		",SignedHeaders="+names+",Signature="+hex.EncodeToString(sum))
}
