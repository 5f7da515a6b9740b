package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// whereabouts is where one archive's folders are. A place that answers and
// has none gives an empty one.
type whereabouts struct {
	folder
	replies []reply[folder]
}

// whereabouts finds the folders of one archive by its id or database/id, in
// the places themselves. It is an error when none that answers has it.
func (v *Vault) whereabouts(ctx context.Context, id string) (*whereabouts, error) {
	sites, err := v.sites()
	if err != nil {
		return nil, err
	}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return nil, err
	}
	lists := askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) ([]folder, error) {
		return v.candidates(ctx, s, vf, id, "", false)
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(lists, func(r reply[[]folder]) bool { return r.err == nil }) {
		return nil, firstError(lists)
	}
	keys := keysOf(lists)
	switch {
	case len(keys) == 0:
		err := fault.As(v.noArchive(id, "", lists))
		err.Do = "give the whole id of one archive, as pgvault list shows it"
		return nil, err
	case len(keys) > 1:
		return nil, &fault.Error{Op: "find archive", What: fmt.Sprintf("more than one archive has the id %q", id), Why: "archives of several databases may share an id",
			Left: "nothing was changed", Do: "write it as " + keys[0].database + "/" + id, Code: fault.Usage}
	}
	w := &whereabouts{folder: keys[0]}
	for _, l := range lists {
		r := reply[folder]{site: l.site, err: l.err}
		if len(l.value) > 0 {
			r.value = l.value[0]
		}
		w.replies = append(w.replies, r)
	}
	return w, nil
}

// mayHold tells whether a place that does not answer may have a copy, by what
// is remembered of it, or because it ought to.
func (v *Vault) mayHold(s site, a Archive) bool {
	r := v.recall(s)
	if r != nil && slices.ContainsFunc(r.archives, func(o Archive) bool { return o.ID == a.ID && o.Database == a.Database }) {
		return true
	}
	if began, err := time.Parse("20060102T150405Z", a.ID[:idSecond]); err == nil && r != nil && began.Before(r.at.Add(-day)) {
		return false // a backup that took longer than a day is asked for once more
	}
	return slices.Contains(v.copiesOf(a.Database), s.Name)
}

// day is how long a backup may take before what is remembered of a place says
// nothing of it: an id tells when it began.
const day = 24 * time.Hour

// pendingKind is what waits for a place.
type pendingKind string

const (
	pendingDelete pendingKind = "delete"
	pendingPin    pendingKind = "pin"
	pendingUnpin  pendingKind = "unpin"
)

func (w *pending) name() string {
	return cmp.Or(w.Vault, strings.Repeat("0", 12))[:12] + "-" + archive.EncodeName(w.Database) + "-" + w.ID + ".json"
}
