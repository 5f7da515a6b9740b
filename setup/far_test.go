package setup

import (
	"strings"
	"testing"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault/store/kinds"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// TestFarPlace: a place over a network is judged without asking it, tried
// when the step is left, and looked at by the Setup page.
func TestFarPlace(t *testing.T) {
	s := servers.GCS(t)
	p := config.Place{Name: "far", URL: s.URL("main")}
	has(t, CheckPlace(t.Context(), p, "main", nil, 0), "ok", "is tried when you go on")
	if err := TryPlace(t.Context(), p); err != nil {
		t.Error(err)
	}
	if free, err := lookAt(t.Context(), p, "main", t.TempDir()); free != -1 || err != nil {
		t.Error(free, err)
	}
	place, err := OpenPlace(t.Context(), p, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if left := storetest.Names(t, place, ""); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := kinds.Close(place); err != nil {
		t.Error(err)
	}
	p.URL = strings.Replace(p.URL, s.Bucket, "another", 1)
	if err := TryPlace(t.Context(), p); fault.As(err).Do == "" || fault.CodeOf(err) == fault.OK {
		t.Errorf("a bucket that is not there: %v", err)
	}
	has(t, CheckPlace(t.Context(), config.Place{URL: p.URL, Credentials: "hunter2"}, "main", nil, 0), "x", "never a secret itself")
	if err := TryPlace(t.Context(), config.Place{URL: "file:/nowhere"}); err != nil {
		t.Errorf("a folder is tried before it is made: %v", err)
	}
}

func TestPlaceName(t *testing.T) {
	for url, want := range map[string]string{"file:/x": "disk", "s3://abc": "s3", "gs://abc": "gcs", "azblob://acc/abc": "azure", "sftp://h/x": "sftp", "?": "place"} {
		if got := PlaceName(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}
