package servers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestS3(t *testing.T) {
	for name, open := range map[string]func(TB) *S3Server{"plain": S3, "locking": LockingS3} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if info, err := os.Stat(filepath.Join(s.Dir, s.Bucket)); err != nil || !info.IsDir() {
				t.Errorf("the bucket is not there: %v", err)
			}
			if !strings.HasPrefix(s.Endpoint, "https://127.0.0.1:") || s.Getenv("AWS_SECRET_ACCESS_KEY") != s.Secret {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestGCS(t *testing.T) {
	for name, open := range map[string]func() *GCSServer{
		"emulator": func() *GCSServer { return GCS(t) }, "with sessions": func() *GCSServer { return GCSWithSessions(t).GCSServer },
		"on disk": func() *GCSServer { return GCSOnDisk(t, t.TempDir()) },
	} {
		s := open()
		if err := s.send(t.Context(), "GET", s.Endpoint+"/storage/v1/b/"+s.Bucket, ""); err != nil {
			t.Errorf("%s: the bucket is not there: %v", name, err)
		}
		if err := s.send(t.Context(), "GET", s.Endpoint+"/storage/v1/b/other", ""); err == nil {
			t.Errorf("%s: any bucket is there", name)
		}
	}
}

func TestAzure(t *testing.T) {
	s := Azure(t)
	url := s.Endpoint + "/" + s.Container + "?restype=container"
	if err := sendPlain(t.Context(), s.client(), "GET", url, "", s.sign); err != nil {
		t.Errorf("the container is not there: %v", err)
	}
	if err := sendPlain(t.Context(), s.client(), "GET", url, "", nil); err == nil {
		t.Error("anybody may look")
	}
}
