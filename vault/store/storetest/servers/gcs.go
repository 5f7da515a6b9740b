package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// GCSServer is a fake-gcs-server over http, that has one bucket and takes
// anybody.
type GCSServer struct {
	Endpoint string // http://127.0.0.1:PORT
	Bucket   string // made, empty
}

// GCS starts a server that keeps its objects in memory.
func GCS(t TB) *GCSServer { return startGCS(t, "-backend", "memory") }

// GCSOnDisk starts a server that keeps its objects in dir.
func GCSOnDisk(t TB, dir string) *GCSServer {
	return startGCS(t, "-backend", "filesystem", "-filesystem-root", dir)
}

func startGCS(t TB, backend ...string) *GCSServer {
	t.Helper()
	s := &GCSServer{Bucket: "backups"}
	addr := start(t, process{
		name: "fake-gcs-server",
		args: func(addr string) []string {
			_, port, _ := net.SplitHostPort(addr)
			return append([]string{"-scheme", "http", "-host", "127.0.0.1", "-port", port, "-public-host", addr, "-log-level", "error"}, backend...)
		},
		up: func(ctx context.Context, addr string) error {
			return s.send(ctx, http.MethodGet, "http://"+addr+"/_internal/healthcheck", "")
		},
	})
	s.Endpoint = "http://" + addr
	s.MakeBucket(t, s.Bucket)
	return s
}

// URL is the address of the bucket, and of a prefix in it, for pgvault.
func (s *GCSServer) URL(prefix string) string {
	return fmt.Sprintf("gs://%s/%s?endpoint=%s", s.Bucket, prefix, s.Endpoint)
}

// MakeBucket makes another bucket.
func (s *GCSServer) MakeBucket(t TB, name string) {
	t.Helper()
	if err := s.send(context.Background(), http.MethodPost, s.Endpoint+"/storage/v1/b?project=test", `{"name":"`+name+`"}`); err != nil {
		t.Fatalf("making the bucket: %v", err)
	}
}

func (s *GCSServer) send(ctx context.Context, method, url, body string) error {
	return sendPlain(ctx, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, method, url, body, nil)
}

// sendPlain does one request and wants a good status.
func sendPlain(ctx context.Context, c *http.Client, method, url, body string, sign func(*http.Request)) error {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if sign != nil {
		sign(r)
	}
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s", answer.Status, bytes.TrimSpace(said))
	}
	return err
}
