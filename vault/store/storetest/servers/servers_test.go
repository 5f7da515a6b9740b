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
