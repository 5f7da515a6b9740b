package vault

import (
	"context"
	"errors"
	"slices"
	"sort"
	"time"

	"pgvault/vault/archive"
)

// sight is what is known of one place.
type sight struct {
	site
	seen *remembered // nil: nothing is known
	err  error       // why seen is not of now; nil: it is, but for asking
	// asking says that the place has not answered yet: seen is what is
	// remembered of it.
	asking bool
}

// view is the whole vault as its places show it.
type view struct {
	at       time.Time
	archives []Archive
	sights   []sight
}

// look asks every place. What a place does not tell now is taken from what
// is remembered of it. It is an error only when no place answers.
func (v *Vault) look(ctx context.Context, wait time.Duration) (*view, error) {
	sites, err := v.sites()
	if err != nil {
		return nil, err
	}
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	replies := askEach(ctx, v, sites, wait, func(ctx context.Context, s site) (*remembered, error) {
		return v.lookAt(ctx, s, vf, trust)
	})
	w := &view{at: v.now()}
	answers := 0
	for _, r := range replies {
		s := sight{site: r.site, seen: r.value, err: r.err}
		switch {
		case r.err != nil && !errors.Is(r.err, errOtherVault):
			if old := v.recall(r.site); old.fits(&remembered{vaultID: vf.ID, trust: trust.Digest()}) {
				s.seen = old
			}
		case r.err == nil:
			answers++
		}
		w.sights = append(w.sights, s)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if answers == 0 {
		return nil, firstError(replies)
	}
	w.archives = v.merge(w.sights, false)
	return w, nil
}

// recallAll is look without asking: nil where nothing is remembered of any
// place.
func (v *Vault) recallAll(err error) *view {
	sites, serr := v.sites()
	if serr != nil {
		return nil
	}
	w := &view{}
	known := v.rememberedFile()
	for _, s := range sites {
		r := v.recall(s)
		if r != nil && known != nil && r.vaultID != known.ID {
			r = nil
		}
		w.sights = append(w.sights, sight{site: s, seen: r, err: err})
		if r != nil && r.at.After(w.at) {
			w.at = r.at
		}
	}
	if w.at.IsZero() {
		return nil
	}
	w.archives = v.merge(w.sights, err == nil)
	return w
}

// lookAt lists one place, describes what is new there or has changed, and
// remembers the result. When it cannot be finished, what was described is
// remembered all the same, so that the next look has less to do.
func (v *Vault) lookAt(ctx context.Context, s site, vf *archive.VaultFile, trust *archive.Trust) (*remembered, error) {
	absent, err := v.belongs(ctx, s, vf)
	if err != nil {
		return nil, err
	}
	folders, rest, err := v.folders(ctx, s.Store, "")
	if err != nil {
		return nil, err
	}
	old := v.recall(s)
	if !old.fits(&remembered{vaultID: vf.ID, trust: trust.Digest()}) && len(folders) >= leaveFrom {
		if left := v.leftIn(ctx, s, trust); left != nil {
			old = left
		}
	}
	now := &remembered{at: v.now(), vaultID: vf.ID, trust: trust.Digest(), empty: absent && len(folders)+len(rest) == 0}
	if old.fits(now) {
		now.left = old.left
	}
	rows, err := v.describeFolders(ctx, s, vf, trust, now, old, folders, rest)
	if err != nil {
		v.rememberSome(s, now, old, rows)
		return nil, err
	}
	changed := !old.fits(now) || old.at.IsZero() || len(old.archives) != len(rows) || !slices.Equal(old.rest, now.rest) || old.empty != now.empty
	for i := range rows {
		changed = changed || rows[i].fresh
	}
	v.remember(s, now, changed)
	return now, nil
}

// fits tells whether what is remembered was read with the same eyes.
func (r *remembered) fits(now *remembered) bool {
	return r != nil && r.vaultID == now.vaultID && r.trust == now.trust
}

// describeFolders fills now with the archives in these folders, those of old
// that have not changed among them. The rows are given also with an error:
// those that are done.
func (v *Vault) describeFolders(ctx context.Context, s site, vf *archive.VaultFile, trust *archive.Trust, now, old *remembered, folders, rest []folder) ([]row, error) {
	for _, f := range rest {
		if !f.deleted() {
			now.rest = append(now.rest, f.key())
		}
	}
	slices.Sort(now.rest)
	known := map[string]int{} // where an archive stands in old
	if old.fits(now) {
		for i := range old.archives {
			known[old.archives[i].Database+"/"+old.archives[i].ID] = i
		}
	}
	rows := make([]row, len(folders))
	var unknown []int
	for i, f := range folders {
		rows[i].print = f.print()
		if was, ok := known[f.key()]; ok {
			rows[i].Archive, rows[i].old = old.archives[was], old.prints[was]
			if rows[i].print != "" && rows[i].old == rows[i].print {
				rows[i].done = true
				continue
			}
		}
		rows[i].fresh = true
		unknown = append(unknown, i)
	}
	if err := v.describeAll(ctx, s, vf, trust, unknown, func(i int) (*folder, *row) { return &folders[i], &rows[i] }); err != nil {
		return rows, err
	}
	now.take(rows)
	return rows, nil
}

// row is one archive of a listing that is being made.
type row struct {
	Archive
	print string
	old   string // the print that Archive was remembered with
	fresh bool   // to be described now
	done  bool   // Archive is as the place has it
}

// take makes rows the listing, newest first.
func (r *remembered) take(rows []row) {
	sort.SliceStable(rows, func(i, j int) bool { return newer(&rows[i].Archive, &rows[j].Archive) })
	r.archives, r.prints = make([]Archive, len(rows)), make([]string, len(rows))
	for i := range rows {
		r.archives[i], r.prints[i] = rows[i].Archive, rows[i].print
	}
}

// rememberSome keeps what a look found out before it was cut short: the time
// stays that of the last whole one.
func (v *Vault) rememberSome(s site, now, old *remembered, rows []row) {
	now.at, now.rest = time.Time{}, nil
	if old.fits(now) {
		now.at, now.rest = old.at, old.rest
	}
	some := false
	rows = slices.DeleteFunc(rows, func(r row) bool { return !r.done && r.Archive.ID == "" })
	for i := range rows {
		some = some || rows[i].done && rows[i].fresh
		if !rows[i].done {
			rows[i].print = rows[i].old
		}
	}
	if some {
		now.take(rows)
		v.remember(s, now, true)
	}
}
