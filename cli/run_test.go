package cli

import (
	"slices"
	"testing"

	"pgvault/vault/archive"
)

// TestDetachedAsOwner: root that has become the vault's owner can no longer
// open its identity files. A job of its own gets what was read before.
func TestDetachedAsOwner(t *testing.T) {
	id, err := archive.MakeIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{texts: []string{id.Secret()}}
	s, err := p.detachedSecrets(t.Context())
	if err != nil || !slices.Equal(s.Texts, p.texts) || len(s.Files) != 0 {
		t.Errorf("a job would get %d texts, %d files, %v", len(s.Texts), len(s.Files), err)
	}
}
