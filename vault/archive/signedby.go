package archive

import (
	"context"
	"errors"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"pgvault/vault/store"
)

// SignedBy gives the key that a detached signature names. Whether the
// signature fits anything is not looked at: the key is a candidate, which
// counts only when a person has vouched for its fingerprint.
func SignedBy(sig []byte) (Signing, error) {
	parsed, err := sshsig.Unarmor(sig)
	if err != nil {
		return Signing{}, errors.New("the signature is not readable")
	}
	return Signing{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed.PublicKey))), ssh.FingerprintSHA256(parsed.PublicKey)}, nil
}

// SignerAt is SignedBy for the signature of the manifest in an archive's
// folder.
func SignerAt(ctx context.Context, place store.Store, folder string) (Signing, error) {
	sig, err := store.ReadAll(ctx, place, folder+SignatureName, maxSignature)
	if err != nil {
		return Signing{}, err
	}
	return SignedBy(sig)
}
