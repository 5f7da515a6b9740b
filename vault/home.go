package vault

import (
	"context"
	"fmt"
	"slices"

	"pgvault/fault"
)

// homes gives the places that a backup of a database may go to, in order.
// Names that no place has are passed over: the configuration says so itself.
func (v *Vault) homes(database string) ([]site, error) {
	all, err := v.sites()
	if err != nil {
		return nil, err
	}
	var out []site
	for _, name := range v.copiesOf(database) {
		if i := slices.IndexFunc(all, func(s site) bool { return s.Name == name }); i >= 0 {
			out = append(out, all[i])
		}
	}
	if len(out) == 0 {
		return all, nil
	}
	return out, nil
}

// chooseHome takes the first place that answers and has room. It may be one
// over a network: then no copy on a disk is made. Where it is not the first
// one, the run says why; the others get their copies afterwards.
func (b *backup) chooseHome(ctx context.Context) error {
	sites, err := b.v.homes(b.o.Database)
	if err != nil {
		return err
	}
	var first error
	for i, s := range sites {
		// One place at a time: the next is asked only if this one cannot be used.
		r := askEach(ctx, b.v, []site{s}, verbWait, func(ctx context.Context, s site) (struct{}, error) { return struct{}{}, b.fits(ctx, s) })[0]
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.err == nil {
			b.home = s
			b.startNumbers()
			if i > 0 {
				b.warn("the backup goes to " + s.Name + ": " + oneLine(first))
			}
			return nil
		}
		if first == nil {
			first = r.err
		}
	}
	return first
}

// fits tells whether a place can take this backup: it is one of this vault,
// or becomes one, and has as much room as the archive before took, beyond
// what is to stay free. For a first archive there is nothing honest to
// compare with.
func (b *backup) fits(ctx context.Context, s site) error {
	if err := b.v.join(ctx, s, b.vf); err != nil {
		return err
	}
	free, err := s.Store.Free(ctx)
	if err != nil || free < 0 {
		return err
	}
	need := s.MinFree
	why := fmt.Sprintf("%s has %d bytes free", s.Store, free)
	if b.before != nil {
		need += b.before.Stored
		why = fmt.Sprintf("the archive before took %d bytes, %s", b.before.Stored, why)
	}
	if free >= need {
		return nil
	}
	if s.MinFree > 0 {
		why += fmt.Sprintf(", of which %d are to stay free", s.MinFree)
	}
	return &fault.Error{What: "not enough space", Why: why, Left: "nothing was dumped or written", Do: "free space there or configure another place", Code: fault.NoSpace}
}
