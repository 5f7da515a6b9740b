package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// located is one place's copy of an archive, as that place has it now.
type located struct {
	site
	folder folder
	row    Archive
	o      *archive.Opened // nil: why says why
	why    error
}

// found is an archive and its copies, the best to read from first. There is
// at least one.
type found struct {
	Archive
	copies []located
	silent []reply[[]folder] // places that did not answer
}

// locate resolves an id, database/id or latest:DB to an archive, by asking
// the places: the one named, or all for an empty name. Nothing that is
// remembered is believed. A damaged or foreign archive is found by its id, so
// that verify can look at it; latest: passes over all that are not good or
// partial.
func (v *Vault) locate(ctx context.Context, ref, place string) (*found, error) {
	sites, err := v.sitesOf(place)
	if err != nil {
		return nil, err
	}
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	database, latest := strings.CutPrefix(ref, "latest:")
	within := database
	if !latest {
		within = v.databaseOf(sites, ref)
	}
	replies := v.askForCopies(ctx, sites, func(ctx context.Context, s site) ([]folder, error) {
		return v.candidates(ctx, s, vf, ref, within, latest)
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(replies, func(r reply[[]folder]) bool { return r.err == nil }) {
		return nil, firstError(replies)
	}
	var best *found
	for _, key := range keysOf(replies) {
		if best != nil && key.id[:idSecond] != best.ID[:idSecond] {
			break
		}
		f, err := v.foundAt(ctx, vf, trust, replies, key)
		if err != nil {
			return nil, err
		}
		if !latest {
			return f, nil
		}
		if f.usable() && (best == nil || newer(&f.Archive, &best.Archive)) {
			best = f
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, v.noArchive(ref, place, replies)
}

// askForCopies asks all places for folders. Where one has what is looked for,
// the others are not waited for much longer; where none has, they are.
func (v *Vault) askForCopies(ctx context.Context, sites []site, ask func(ctx context.Context, s site) ([]folder, error)) []reply[[]folder] {
	if len(sites) == 1 {
		return askEach(ctx, v, sites, verbWait, ask)
	}
	replies := askEach(ctx, v, sites, screenWait, ask)
	if slices.ContainsFunc(replies, func(r reply[[]folder]) bool { return len(r.value) > 0 }) || ctx.Err() != nil {
		return replies
	}
	var slow []site
	for _, r := range replies {
		if errors.Is(r.err, errSilent) {
			slow = append(slow, r.site)
		}
	}
	for _, again := range askEach(ctx, v, slow, verbWait, ask) {
		i := slices.IndexFunc(replies, func(r reply[[]folder]) bool { return r.n == again.n })
		replies[i] = again
	}
	return replies
}

// noAnswer names the places that did not answer, so that they may have
// another copy or, of latest:, a newer archive; "" where all did.
func (f *found) noAnswer() string {
	var names []string
	for _, r := range f.silent {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// databaseOf guesses the database of an archive by what is remembered, so
// that not all of a place has to be listed; "" when it is not known.
func (v *Vault) databaseOf(sites []site, id string) string {
	if database, rest, ok := cutLast(id, "/"); ok && archive.ValidID(rest) {
		return database
	}
	for _, s := range sites {
		r := v.recall(s)
		if r == nil {
			continue
		}
		if i := slices.IndexFunc(r.archives, func(a Archive) bool { return a.ID == id }); i >= 0 {
			return r.archives[i].Database
		}
	}
	return ""
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// candidates lists the archives' folders of one place that ref may mean.
// within is the database that they are looked for in first.
func (v *Vault) candidates(ctx context.Context, s site, vf *archive.VaultFile, ref, within string, latest bool) ([]folder, error) {
	if _, err := v.belongs(ctx, s, vf); err != nil {
		return nil, err
	}
	all, _, err := v.folders(ctx, s.Store, within)
	if err != nil || latest {
		return all, err
	}
	other := func(f folder) bool { return f.id != ref && f.key() != ref }
	some := slices.DeleteFunc(all, other)
	if len(some) > 0 || within == "" {
		return some, nil
	}
	if all, _, err = v.folders(ctx, s.Store, ""); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, other), nil
}

// keysOf gives the archives of all replies, newest first, each once.
func keysOf(replies []reply[[]folder]) []folder {
	var out []folder
	for _, r := range replies {
		for _, f := range r.value {
			out = append(out, folder{database: f.database, id: f.id})
		}
	}
	order := func(a, b folder) int { return cmp.Or(cmp.Compare(b.id, a.id), cmp.Compare(a.database, b.database)) }
	slices.SortFunc(out, order)
	return slices.CompactFunc(out, func(a, b folder) bool { return order(a, b) == 0 })
}

// foundAt describes one archive in all places that have it.
func (v *Vault) foundAt(ctx context.Context, vf *archive.VaultFile, trust *archive.Trust, replies []reply[[]folder], key folder) (*found, error) {
	f := &found{}
	having := map[int]folder{}
	var sites []site
	for _, r := range replies {
		if r.err != nil {
			f.silent = append(f.silent, r)
			continue
		}
		if i := slices.IndexFunc(r.value, func(o folder) bool { return o.key() == key.key() }); i >= 0 {
			having[r.n] = r.value[i]
			sites = append(sites, r.site)
		}
	}
	wait := screenWait
	if len(sites) == 1 {
		wait = verbWait
	}
	described := askEach(ctx, v, sites, wait, func(ctx context.Context, s site) (located, error) {
		return v.locatedAt(ctx, s, vf, trust, having[s.n])
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var sights []sight
	for _, r := range replies {
		s := sight{site: r.site, seen: &remembered{at: v.now()}, err: r.err}
		if i := slices.IndexFunc(described, func(d reply[located]) bool { return d.n == r.n }); i >= 0 {
			if s.err = described[i].err; s.err == nil {
				f.copies = append(f.copies, described[i].value)
				s.seen.archives = []Archive{described[i].value.row}
			}
		}
		if s.err != nil {
			s.seen = nil
		}
		sights = append(sights, s)
	}
	if len(f.copies) == 0 {
		return nil, firstError(described)
	}
	f.Archive = v.merge(sights, false)[0]
	f.order()
	return f, nil
}

func (v *Vault) locatedAt(ctx context.Context, s site, vf *archive.VaultFile, trust *archive.Trust, f folder) (located, error) {
	l := located{site: s, folder: f}
	var err error
	if l.row, l.o, err = v.describe(ctx, s.Store, vf, trust, f); err != nil {
		return l, err
	}
	l.row.locked = locksOf(ctx, s.Store)(ctx, archive.Folder(v.c.Name, f.database, f.id)+archive.ManifestName)
	if l.o == nil { // say why
		_, l.why = archive.Open(ctx, s.Store, trust, vf.ID, v.c.Name, f.database, f.id)
	}
	if l.o == nil && l.why == nil {
		l.why = &fault.Error{Op: "open archive", What: "archive " + f.id + " was read in two ways", Why: "its manifest changed between two readings", Left: "nothing was changed", Do: "look again", Code: fault.Differs}
	}
	return l, nil
}

// order puts the copies in the order in which to read them: whole ones first,
// a folder of this host before a network, then the one last read back.
func (f *found) order() {
	state := map[string]Copy{}
	for _, c := range f.Copies {
		state[c.Place] = c
	}
	flag := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	back := func(l located) int64 {
		if at := state[l.Name].ReadBack; at != nil {
			return at.UnixNano()
		}
		return 0
	}
	slices.SortStableFunc(f.copies, func(a, b located) int {
		return cmp.Or(
			cmp.Compare(flag(state[a.Name].State == CopyGood), flag(state[b.Name].State == CopyGood)),
			cmp.Compare(flag(a.row.digest == f.digest && a.o != nil), flag(b.row.digest == f.digest && b.o != nil)),
			cmp.Compare(flag(a.near()), flag(b.near())),
			cmp.Compare(back(b), back(a)),
			cmp.Compare(a.n, b.n))
	})
}

// read calls do with each copy, the best first, until one serves: a copy that
// is damaged, or whose place fails, gives way to the next one of the same
// archive. The error is that of the best.
func (f *found) read(ctx context.Context, do func(l *located) error) error {
	var first error
	for i := range f.copies {
		l := &f.copies[i]
		if i > 0 && (l.o == nil || l.o.Digest != f.digest) {
			continue
		}
		err := l.why
		if l.o != nil {
			err = do(l)
		}
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if !anotherCopy(ctx, err) {
			return err
		}
	}
	return first
}

// anotherCopy tells whether it may go better with another copy.
func anotherCopy(ctx context.Context, err error) bool {
	switch fault.CodeOf(err) {
	case fault.Differs, fault.PlaceUnreachable:
		return ctx.Err() == nil
	}
	return false
}

// find is locate for who reads little: the archive, opened at its best copy.
func (v *Vault) find(ctx context.Context, ref string) (Archive, *archive.Opened, error) {
	f, err := v.locate(ctx, ref, "")
	if err != nil {
		return Archive{}, nil, err
	}
	return f.Archive, f.copies[0].o, f.copies[0].why
}

func (v *Vault) noArchive(ref, place string, replies []reply[[]folder]) error {
	e := &fault.Error{Op: "find archive", What: fmt.Sprintf("there is no archive %q", ref), Left: "nothing was changed",
		Do: "pgvault list shows the archives; latest:DB takes the newest good one", Code: fault.Usage}
	var asked, silent []string
	for _, r := range replies {
		if r.err == nil {
			asked = append(asked, r.Store.String())
			continue
		}
		silent = append(silent, r.Name)
		e.Err = errors.Join(e.Err, r.err)
	}
	e.Why = fmt.Sprintf("vault %q in %s has none", v.c.Name, strings.Join(asked, ", "))
	if len(silent) > 0 {
		e.Why += "; it may lie in " + strings.Join(silent, ", ") + ", which cannot be read now"
		e.Code = fault.PlaceUnreachable
	}
	if place != "" {
		e.Do = "pgvault show " + ref + " tells in which places it lies"
	}
	return e
}

// Show gives one archive as List does, and with keys its contents.
func (v *Vault) Show(ctx context.Context, ref string, ids Identities) (Archive, *archive.Contents, error) {
	f, err := v.locate(ctx, ref, "")
	if err != nil {
		return Archive{}, nil, err
	}
	if ids.None() {
		return f.Archive, nil, f.copies[0].why
	}
	keys, err := v.keys(ids)
	if err != nil {
		return f.Archive, nil, err
	}
	var c *archive.Contents
	err = f.read(ctx, func(l *located) (err error) {
		c, err = l.o.Contents(ctx, keys)
		return err
	})
	return f.Archive, c, err
}
