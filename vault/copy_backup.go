package vault

import (
	"context"
	"strings"

	"pgvault/fault"
)

// copiesAfter tells whether a backup brings copies to other places in its
// end.
func (v *Vault) copiesAfter(o BackupOptions) bool {
	sites, err := v.homes(o.Database)
	return err == nil && len(sites) > 1 && !o.NoCopy
}

// copies brings the new archive to the other places that it ought to be in,
// and what they lack of this database's older archives, newest first. The
// archive is good whatever comes of it: what could not be copied makes the
// run partial, and is tried again by the next one.
func (b *backup) copies(ctx context.Context) error {
	b.enter(StageCopies)
	b.left = "archive " + b.id + " is whole in " + b.home.Name + "; pgvault copy --missing brings it to the other places"
	c := &copying{v: b.v, run: b.run}
	err := c.begin(ctx)
	if err == nil {
		var list []Archive
		var silent []sight
		if list, silent, err = b.v.list(ctx, b.o.Database, true); err == nil {
			err = c.apply(ctx, b.v.planCopies(list, silent, CopyOptions{Missing: true}))
		}
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	why := oneLine(err)
	if lacking := c.lacking(); lacking != "" {
		why = lacking
	}
	return &fault.Error{Op: "copy", What: "archive " + b.id + " is good, but not every copy could be made", Why: why, Code: fault.Partial, Err: err,
		Left: "the archive is whole in " + strings.Join(append([]string{b.home.Name}, c.came[b.id]...), " and "), Do: fault.As(err).Do}
}
