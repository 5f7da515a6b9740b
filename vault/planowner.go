package vault

import (
	"context"
	"slices"
	"strings"

	"pgvault/pg"
)

// checkOwners says whose objects the role that restores may not give to them:
// each would be an error of the restore.
func (p *RestorePlan) checkOwners(ctx context.Context, conn *pg.Conn, info pg.ServerInfo) error {
	r := p.prep.r
	if p.o.NoOwner {
		return nil
	}
	var owners []string
	if owner := r.catalog.Database.Owner; r.only == nil && owner != "" {
		owners = append(owners, owner)
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Owner != "" && (r.only == nil || r.only.entries[e.ID]) && !slices.Contains(owners, e.Owner) {
			owners = append(owners, e.Owner)
		}
	}
	far, err := pg.OwnersOutOfReach(ctx, conn, owners)
	if err != nil || len(far) == 0 {
		return err
	}
	me := pg.QuoteName("", info.User)
	p.check("!", "the role "+me+" may not make these the owners of objects: "+strings.Join(firstFew(far, 5), ", ")+"; what is theirs would be "+me+"'s, with an error for each",
		"restore as a superuser; or where the roles are there: GRANT "+pg.QuoteName("", far[0])+" TO "+me+"; or --no-owner")
	return nil
}
