package vault

import (
	"slices"

	"pgvault/pg"
	"pgvault/vault/archive"
)

// checkCode says what a signature does not: objects of an archive (checks,
// defaults, indexes, views) run code while they are loaded, as the role that
// restores, and only a proof by restore loads them as a role without rights. It
// says so of an archive that this host has not signed, or that was made of a
// dump from elsewhere, until a restore has proven it.
func (p *RestorePlan) checkCode(v *Vault, info pg.ServerInfo) {
	var whose string
	switch {
	case p.Archive.Proof == ProofRestored:
		return
	case p.Archive.Imported != nil:
		whose = "the archive was made of a dump from elsewhere"
	case !v.signedHere(p.prep.l.o):
		whose = "another host has signed the archive"
	default:
		return
	}
	as := "as the role " + pg.QuoteName("", info.User)
	if info.SuperUser {
		as += ", a superuser"
	}
	p.check("!", whose+", and what its objects run while they are loaded (checks, defaults, indexes) runs "+as,
		"pgvault verify "+p.Archive.ID+" --level restored -i KEY first: it loads them as a role without any rights, into a server that is thrown away; or restore as a role that is no superuser")
}

// signedHere tells whether the manifest's signature is by this host's own
// signing key, or where a recovery has none, by one that a person has vouched
// for.
func (v *Vault) signedHere(o *archive.Opened) bool {
	own := slices.Clone(v.c.Signers)
	if v.c.SigningKey != "" {
		if public, err := archive.PublicOf(v.c.SigningKey); err == nil {
			own = append(own, public)
		}
	}
	_, sig := o.Raw()
	by, err := archive.SignedBy(sig)
	if err != nil || len(own) == 0 {
		return false
	}
	t, err := archive.NewTrust(own)
	return err == nil && slices.ContainsFunc(t.Signings(), func(s archive.Signing) bool { return s.Fingerprint == by.Fingerprint })
}
