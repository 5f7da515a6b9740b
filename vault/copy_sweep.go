package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
)

// leftoverAge is how old an upload must be that never ended before it is
// taken for one of a writer that was killed. A younger one may be another
// host's, at work.
const leftoverAge = 24 * time.Hour

// discardUnfinished takes away what killed writers of this vault left in a
// place. What another job of this host is still writing is not touched,
// however old. Nothing of it is an error of the copy.
func (c *copying) discardUnfinished(ctx context.Context, t *copyTarget) {
	u, ok := store.As[store.Unfinished](t.Store)
	if !ok {
		return
	}
	all, err := u.Unfinished(ctx)
	if err != nil {
		c.info("what killed writers left in " + t.Name + " cannot be told: " + oneLine(err))
		return
	}
	gone, bytes := 0, int64(0)
	for _, up := range all {
		if c.now().Sub(up.Started) < leftoverAge || !c.ours(orElse(up.Name, up.ID)) {
			continue
		}
		if err := u.Discard(ctx, up); err != nil {
			c.info("what a killed writer left in " + t.Name + " cannot be discarded: " + oneLine(err))
			return
		}
		gone++
		bytes += max(0, up.Size)
	}
	if gone > 0 {
		c.info(fmt.Sprintf("%s discarded in %s, %s: writers that were killed more than a day ago had left them", plural(int64(gone), "unfinished upload"), t.Name, bytesText(bytes)))
	}
}

// ours tells whether an unfinished object is one of this vault that no job of
// this host is writing. Its name is that of the object, or of a temporary
// file in the folder of the object.
func (c *copying) ours(name string) bool {
	rest, ok := strings.CutPrefix(name, c.v.c.Name+"/")
	e := strings.Split(rest, "/")
	if !ok || len(e) != 3 {
		return ok && len(e) == 1 // the vault file
	}
	database, err := archive.DecodeName(e[0])
	if err != nil || !archive.ValidID(e[1]) {
		return false
	}
	return !job.Held(c.v.lockDir(), lockName(c.vf, database)) && !c.v.copied(c.vf, database, e[1])
}

// copied tells whether a job of this host copies the archive now.
func (v *Vault) copied(vf *archive.VaultFile, database, id string) bool {
	for _, name := range v.Places() {
		unlock, err := job.Alone(v.lockDir(), lockName(vf, database), "copy of "+id+" in "+name)
		if err != nil {
			return true
		}
		unlock()
	}
	return false
}
