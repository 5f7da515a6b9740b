package vault

import (
	"context"
	"slices"

	"pgvault/vault/archive"
)

// A proof of a level above intact speaks of the archive: of the bytes that all
// copies have. So it is told to every place that has a copy, under a name that
// says it was brought there: any one place is then enough to know what a
// restore has proven, and none claims bytes to be read back that were not.

// tellingOf gives those of an archive's proofs, the oldest first, that every
// place ought to have.
func tellingOf(proofs []aboutProof) []*ProofRecord {
	files := make([]archive.ProofFile, len(proofs))
	for i, p := range proofs {
		files[i] = archive.ProofFile{Level: string(p.Level), Result: p.Result, Place: p.Place}
	}
	var out []*ProofRecord
	for i, tells := range archive.Tells(files) {
		if tells {
			out = append(out, proofs[i].ProofRecord)
		}
	}
	return out
}

// lacksProof tells that one of these proofs does not lie beside a copy.
func lacksProof(row *Archive, digest string, telling []*ProofRecord) bool {
	if row.digest != digest {
		return false
	}
	return slices.ContainsFunc(telling, func(p *ProofRecord) bool {
		return !slices.ContainsFunc(row.Proofs, func(q ProofRecord) bool { return sameProof(&q, p) })
	})
}

// addProofEverywhere is addProof, and tells it to the other places. One that
// does not take it now is told by the next backup or copy.
func (v *Vault) addProofEverywhere(ctx context.Context, r *run, l *located, signer *archive.Signer, p archive.ProofFile) error {
	s, err := v.signProof(l, signer, p)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := l.o.PutProof(ctx, s); err != nil || Proof(p.Level) == ProofIntact {
		return err
	}
	sites, err := v.sites()
	if err != nil {
		return nil
	}
	others := slices.DeleteFunc(sites, func(o site) bool { return o.n == l.n })
	replies := askEach(ctx, v, others, screenWait, func(ctx context.Context, o site) (bool, error) {
		return l.o.In(o.Store).TellProof(ctx, s)
	})
	for _, reply := range replies {
		if reply.err != nil && r != nil {
			r.info("what was proven does not lie in " + reply.Name + " yet, the next backup or pgvault copy --missing brings it: " + oneLine(reply.err))
		}
	}
	return nil
}

// untold is an archive of which places lack proofs that speak of it.
type untold struct {
	database, id string
	to           []string
}

// untoldOf finds the places that lack proofs of an archive, among those that
// answer and have a copy.
func untoldOf(a *Archive) (untold, bool) {
	u := untold{database: a.Database, id: a.ID}
	for _, c := range a.Copies {
		if c.untold && c.State != CopyMissing {
			u.to = append(u.to, c.Place)
		}
	}
	return u, len(u.to) > 0
}

// tellProofs brings proofs to the places that lack them. It is no error of a
// copy when one does not take them: the copy is whole, and it is tried again.
func (c *copying) tellProofs(ctx context.Context, list []untold) {
	told := 0
	failed := map[string]error{}
	for _, u := range list {
		if ctx.Err() != nil {
			return
		}
		told += c.tellArchive(ctx, u, failed)
	}
	if told > 0 {
		c.info(plural(int64(told), "proof") + " that lay in one place only told to the others")
	}
	for place, err := range failed {
		c.info("proofs that lie in other places could not be told to " + place + ": " + oneLine(err))
	}
}

// tellArchive tells what is known of one archive in any place to those that
// lack it, and gives how many proofs were told. A place that failed once is
// left alone.
func (c *copying) tellArchive(ctx context.Context, u untold, failed map[string]error) int {
	f, err := c.v.locate(ctx, u.database+"/"+u.id, "")
	if err != nil {
		return 0
	}
	type signed struct {
		*archive.SignedProof
		archive.ProofFile
	}
	var all []signed
	for _, l := range f.copies {
		if l.o == nil || l.o.Digest != f.digest {
			continue
		}
		for _, o := range l.folder.objects {
			if !archive.IsProof(o.Name) {
				continue
			}
			s, p, err := l.o.ReadProof(ctx, c.trust, o.Name)
			if err == nil && !slices.ContainsFunc(all, func(o signed) bool { return string(o.Sig) == string(s.Sig) }) {
				all = append(all, signed{s, *p})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b signed) int { return a.At.Compare(b.At) })
	files := make([]archive.ProofFile, len(all))
	for i, s := range all {
		files[i] = s.ProofFile
	}
	told := 0
	tells := archive.Tells(files)
	for _, l := range f.copies {
		if l.o == nil || l.o.Digest != f.digest || failed[l.Name] != nil || !slices.Contains(u.to, l.Name) {
			continue
		}
		for i, s := range all {
			home, here := archive.HomeName(s.SignedProof.Name), archive.ToldName(s.SignedProof.Name)
			if !tells[i] || l.folder.has(home) || l.folder.has(here) {
				continue
			}
			if _, err := l.o.TellProof(ctx, s.SignedProof); err != nil {
				failed[l.Name] = err
				break
			}
			told++
		}
	}
	return told
}
