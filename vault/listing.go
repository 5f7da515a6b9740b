package vault

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// folder is what a listing of the place says of one archive's folder.
type folder struct {
	database, id string
	objects      []store.Info // sorted, their names within the folder
}

// object gives the one with this name within the folder.
func (f folder) object(name string) (store.Info, bool) {
	for _, o := range f.objects {
		if o.Name == name {
			return o, true
		}
	}
	return store.Info{}, false
}

// has tells whether there is one with this name.
func (f folder) has(name string) bool {
	_, ok := f.object(name)
	return ok
}

// names gives the whole names of the objects, in a vault of this name.
func (f folder) names(vault string) []string {
	at := archive.Folder(vault, f.database, f.id)
	out := make([]string, len(f.objects))
	for i, o := range f.objects {
		out[i] = at + o.Name
	}
	return out
}

// key names the archive among those of the vault.
func (f folder) key() string { return f.database + "/" + f.id }

// whole tells whether it is an archive's: it has a manifest.
func (f folder) whole() bool { return f.has(archive.ManifestName) }

// deleted tells whether a deletion has begun here.
func (f folder) deleted() bool { return f.has(archive.DeletedName) }

// folders lists the archives' folders of the vault in one place that have a
// manifest, newest first, and those that have none: parts of a copy or a
// backup that was not finished, or is being made. database "" means all.
func (v *Vault) folders(ctx context.Context, place store.Store, database string) (whole, rest []folder, err error) {
	prefix := v.c.Name + "/"
	if database != "" {
		prefix += archive.EncodeName(database) + "/"
	}
	all, err := v.foldersIn(ctx, place, prefix)
	if err != nil {
		return nil, nil, err
	}
	whole = make([]folder, 0, len(all))
	for _, f := range all {
		if f.whole() {
			whole = append(whole, f)
		} else {
			rest = append(rest, f)
		}
	}
	sort.Slice(whole, func(i, j int) bool {
		if whole[i].id != whole[j].id {
			return whole[i].id > whole[j].id
		}
		return whole[i].database < whole[j].database
	})
	return whole, rest, nil
}

// foldersIn lists every folder below prefix that has an archive's place in
// the vault, in no order, also those that never became an archive.
func (v *Vault) foldersIn(ctx context.Context, place store.Store, prefix string) ([]folder, error) {
	infos, err := place.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var out []folder
	for len(infos) > 0 { // sorted by name, so that a folder's objects stand together
		rest := infos[0].Name[len(v.c.Name)+1:]
		encoded, rest, _ := strings.Cut(rest, "/")
		id, _, deeper := strings.Cut(rest, "/")
		at := v.c.Name + "/" + encoded + "/" + id + "/"
		n := 1
		for n < len(infos) && strings.HasPrefix(infos[n].Name, at) {
			n++
		}
		own := infos[:n]
		infos = infos[n:]
		name, err := archive.DecodeName(encoded)
		if !deeper || !archive.ValidID(id) || err != nil {
			continue
		}
		f := folder{database: name, id: id, objects: own[:0:n]}
		for _, i := range own {
			if i.Name = i.Name[len(at):]; !strings.Contains(i.Name, "/") {
				f.objects = append(f.objects, i)
			}
		}
		if len(f.objects) > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// List gives every archive of the vault, newest first. One that cannot be
// trusted is in it, with its state and the reason. It is an error only when
// no place answers.
func (v *Vault) List(ctx context.Context) ([]Archive, error) {
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	return w.archives, nil
}

// newer orders archives newest first. An id tells the second; within one
// second, the sequence number of a database tells which came later. What was
// resealed has the second and the number of what it was made from, and stands
// right before it: it is as old as its dump.
func newer(a, b *Archive) bool {
	switch {
	case a.ID[:idSecond] != b.ID[:idSecond]:
		return a.ID > b.ID
	case a.Database != b.Database:
		return a.Database < b.Database
	case a.Seq != b.Seq:
		return a.Seq > b.Seq
	case !a.resealed.Equal(b.resealed): // one dump, sealed more than once
		return a.resealed.After(b.resealed)
	}
	return a.ID > b.ID
}

// idSecond is the length of the time in an id: 20261122T213000Z.
const idSecond = 16

// describe opens the manifest of one place's copy and says what is known of
// it, its proofs as they lie there: what they mean, merge says. The error is
// not nil only when the place itself failed.
func (v *Vault) describe(ctx context.Context, place store.Store, vf *archive.VaultFile, trust *archive.Trust, f folder) (Archive, *archive.Opened, error) {
	a := Archive{ID: f.id, Database: f.database, State: "good", Pinned: f.pinned(), Recipient: []string{}}
	if f.has(archive.ExpiresName) { // also where the archive cannot be believed: that is when it goes
		e, err := archive.ReadExpiry(ctx, place, archive.Folder(v.c.Name, f.database, f.id), f.id)
		switch {
		case err == nil:
			a.expires = e.NotBefore
		case ofThePlace(ctx, err): // else it cannot be understood, or was taken away just now: no mark
			return a, nil, err
		}
	}
	o, err := archive.Open(ctx, place, trust, vf.ID, v.c.Name, f.database, f.id)
	if err != nil {
		if ofThePlace(ctx, err) {
			return a, nil, err
		}
		e := fault.As(err)
		a.State, a.Reason = "damaged", e.What+": "+e.Why
		if errors.Is(err, archive.ErrForeign) || errors.Is(err, archive.ErrNewer) {
			a.State = "foreign"
		}
		return a, nil, nil
	}
	a.fill(o.Manifest)
	a.digest = o.Digest
	for _, p := range o.Manifest.Parts {
		if i, ok := f.object(p.Name); !ok || i.Size != p.Size {
			a.State, a.Reason = "damaged", fmt.Sprintf("part %s is missing or has another size", p.Name)
		}
	}
	for _, p := range o.Proofs(ctx, trust, f.names(v.c.Name)) {
		a.Proofs = append(a.Proofs, ProofRecord{At: p.At, Level: Proof(p.Level), Result: p.Result, By: p.By, Key: p.Key, Note: p.Note, Place: p.Place, Told: archive.IsTold(p.Name)})
	}
	sort.SliceStable(a.Proofs, func(i, j int) bool { return a.Proofs[i].At.Before(a.Proofs[j].At) })
	return a, o, nil
}

// ofThePlace tells errors that speak of the place, or of who asked, and not
// of the archive.
func ofThePlace(ctx context.Context, err error) bool {
	switch fault.CodeOf(err) {
	case fault.PlaceUnreachable, fault.Refused, fault.Cancelled:
		return true
	}
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)
}

func (a *Archive) fill(m *archive.Manifest) {
	a.Started, a.Finished = m.Started, m.Finished
	a.Tables, a.Rows, a.Bytes, a.Stored = m.Tables, m.Rows, m.Bytes, m.Stored()
	a.Seq, a.ServerVersion, a.DumpVersion = m.Sequence, m.Server, m.DumpVersion
	a.Warnings, a.Tags = m.Warnings, m.Tags
	if m.Imported != nil {
		at := m.Imported.At
		a.Imported, a.mark = &at, m.Imported.Mark
	}
	if m.Scope == "partial" {
		a.State = "partial"
	}
	if r := m.Resealed; r != nil {
		a.ResealedFrom, a.fromDigest, a.resealed = r.ID, r.Manifest, r.At
	}
	a.keys = m.Recipients
	for _, r := range m.Recipients {
		a.Recipient = append(a.Recipient, r.Name)
	}
}
