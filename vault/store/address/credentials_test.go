package address

import (
	"strings"
	"testing"

	"pgvault/fault"
)

func TestCredentials(t *testing.T) {
	for _, c := range []struct {
		scheme, credentials, want string // want: of the refusal; empty: none
	}{
		{S3, "", ""}, {File, "", ""}, {S3, "profile:a b.c", ""}, {S3, "instance", ""}, {SFTP, "file:key", ""}, {Azure, "systemd:azure", ""}, {GCS, "file:/x:y", ""},
		{File, "file:/x", "takes none"}, {S3, "hunter2", "never a secret"}, {S3, "hunter2:x", "never a secret"}, {S3, "instance:x", "never a secret"}, {S3, "profile", "never a secret"},
		{GCS, "profile:hunter2", "file:PATH or systemd:NAME or instance"}, {SFTP, "instance", "file:PATH"}, {S3, "file:", "path"}, {S3, "file:a\x00b", "path"}, {S3, "systemd:../hunter2", "needs a name"}, {S3, "profile:", "needs a name"},
	} {
		err := CheckCredentials(c.scheme, c.credentials)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || fault.CodeOf(err) != fault.Usage) {
			t.Errorf("%s %q: %v, want %q", c.scheme, c.credentials, err, c.want)
		}
	}
}
