package vault

import (
	"context"

	"pgvault/vault/archive"
)

// list reads and checks every archive of a database, in all places that
// answer. With recall false nothing that is remembered is used; with true, it
// is of folders that have not changed since. Places that do not answer are
// in silent, with what is remembered of them; it is an error when all are.
func (v *Vault) list(ctx context.Context, database string, recall bool) (list []Archive, silent []sight, err error) {
	sites, err := v.sites()
	if err != nil {
		return nil, nil, err
	}
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, nil, err
	}
	replies := askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) (*remembered, error) {
		return v.readAll(ctx, s, vf, trust, database, recall)
	})
	var sights []sight
	for _, r := range replies {
		s := sight{site: r.site, seen: r.value, err: r.err}
		if r.err != nil {
			s.seen = nil
			past := s
			if old := v.recall(r.site); old.fits(&remembered{vaultID: vf.ID, trust: trust.Digest()}) {
				past.seen = old
			}
			silent = append(silent, past)
		}
		sights = append(sights, s)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if len(silent) == len(sights) {
		return nil, nil, firstError(replies)
	}
	return v.merge(sights, false), silent, nil
}

// readAll is lookAt for one database.
func (v *Vault) readAll(ctx context.Context, s site, vf *archive.VaultFile, trust *archive.Trust, database string, recall bool) (*remembered, error) {
	if _, err := v.belongs(ctx, s, vf); err != nil {
		return nil, err
	}
	folders, rest, err := v.folders(ctx, s.Store, database)
	if err != nil {
		return nil, err
	}
	now := &remembered{at: v.now(), vaultID: vf.ID, trust: trust.Digest()}
	var old *remembered
	if recall {
		old = v.recall(s)
	}
	if _, err := v.describeFolders(ctx, s, vf, trust, now, old, folders, rest); err != nil {
		return nil, err
	}
	return now, nil
}
