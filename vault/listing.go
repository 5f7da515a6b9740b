package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// folder is what a listing of the place says of one archive's folder.
type folder struct {
	database, id string
	objects      map[string]store.Info // by name within the folder
	names        []string              // whole names
}

// folders lists every archive's folder of the vault that has a manifest:
// one without never became an archive. database "" means all.
func (v *Vault) folders(ctx context.Context, place store.Store, database string) ([]folder, error) {
	all, err := v.allFolders(ctx, place, database)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(f folder) bool { _, ok := f.objects[archive.ManifestName]; return !ok })
	sort.Slice(out, func(i, j int) bool {
		if out[i].id != out[j].id {
			return out[i].id > out[j].id
		}
		return out[i].database < out[j].database
	})
	return out, nil
}

// allFolders lists every folder that has an archive's place in the vault, in
// no order, also those that never became an archive.
func (v *Vault) allFolders(ctx context.Context, place store.Store, database string) ([]folder, error) {
	prefix := v.c.Name + "/"
	if database != "" {
		prefix += archive.EncodeName(database) + "/"
	}
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
		f := folder{database: name, id: id, objects: make(map[string]store.Info, n), names: make([]string, 0, n)}
		for _, i := range own {
			if base := i.Name[len(at):]; !strings.Contains(base, "/") {
				f.objects[base] = i
				f.names = append(f.names, i.Name)
			}
		}
		if len(f.objects) > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// List gives every archive of the vault, newest first. One that cannot be
// trusted is in it, with its state and the reason.
func (v *Vault) List(ctx context.Context) ([]Archive, error) {
	l, err := v.Listing(ctx, true)
	return l.Archives, err
}

// list reads and checks every archive of a database; nothing that is
// remembered is used.
func (v *Vault) list(ctx context.Context, database string) ([]Archive, error) {
	place, vf, trust, err := v.open(ctx)
	if err != nil {
		return nil, err
	}
	folders, err := v.folders(ctx, place, database)
	if err != nil {
		return nil, err
	}
	out := make([]Archive, 0, len(folders))
	for _, f := range folders {
		a, _, err := v.describe(ctx, place, vf, trust, f)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	sort.SliceStable(out, func(i, j int) bool { return newer(out[i], out[j]) })
	return out, nil
}

// newer orders archives newest first. An id tells the second; within one
// second, the sequence number of a database tells which came later.
func newer(a, b Archive) bool {
	switch {
	case a.ID[:idSecond] != b.ID[:idSecond]:
		return a.ID > b.ID
	case a.Database != b.Database:
		return a.Database < b.Database
	case a.Seq != b.Seq:
		return a.Seq > b.Seq
	}
	return a.ID > b.ID
}

// idSecond is the length of the time in an id: 20261122T213000Z.
const idSecond = 16

func (v *Vault) open(ctx context.Context) (store.Store, *archive.VaultFile, *archive.Trust, error) {
	place, err := v.place()
	if err != nil {
		return nil, nil, nil, err
	}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	trust, err := v.trust(vf)
	return place, vf, trust, err
}

// describe opens one archive's manifest and says what is known of it. The
// error is not nil only when the place itself failed.
func (v *Vault) describe(ctx context.Context, place store.Store, vf *archive.VaultFile, trust *archive.Trust, f folder) (Archive, *archive.Opened, error) {
	a := Archive{ID: f.id, Database: f.database, State: "good", Pinned: f.pinned(), Recipient: []string{}, Copies: []Copy{}}
	o, err := archive.Open(ctx, place, trust, vf.ID, v.c.Name, f.database, f.id)
	if err != nil {
		if ctx.Err() != nil || fault.CodeOf(err) == fault.PlaceUnreachable {
			return a, nil, err
		}
		e := fault.As(err)
		a.State, a.Reason = "damaged", e.What+": "+e.Why
		if errors.Is(err, archive.ErrForeign) {
			a.State = "foreign"
		}
		a.Copies = []Copy{{Place: v.homeName(), State: a.State}}
		return a, nil, nil
	}
	a.fill(o.Manifest)
	a.digest = o.Digest
	for _, p := range o.Manifest.Parts {
		if i, ok := f.objects[p.Name]; !ok || i.Size != p.Size {
			a.State, a.Reason = "damaged", fmt.Sprintf("part %s is missing or has another size", p.Name)
		}
	}
	v.addProofs(&a, o.Proofs(ctx, trust, f.names))
	state := "good"
	if a.State == "damaged" {
		state = "damaged"
	}
	a.Copies = []Copy{{Place: v.homeName(), State: state}}
	return a, o, nil
}

func (a *Archive) fill(m *archive.Manifest) {
	a.Started, a.Finished = m.Started, m.Finished
	a.Tables, a.Rows, a.Bytes, a.Stored = m.Tables, m.Rows, m.Bytes, m.Stored()
	a.Seq, a.ServerVersion, a.DumpVersion = m.Sequence, m.Server, m.DumpVersion
	a.Warnings, a.Tags = m.Warnings, m.Tags
	a.Proof = ProofStored
	if m.Scope == "partial" {
		a.State = "partial"
	}
	for _, r := range m.Recipients {
		a.Recipient = append(a.Recipient, r.Name)
	}
}

// addProofs raises the archive's proof to the highest that was reached. A
// verification that failed and was not followed by one that went as far and
// succeeded makes the archive damaged.
func (v *Vault) addProofs(a *Archive, proofs []archive.ProofFile) {
	sort.SliceStable(proofs, func(i, j int) bool { return proofs[i].At.Before(proofs[j].At) })
	bad, badLevel := "", 0
	for _, p := range proofs {
		level := Proof(p.Level)
		a.Proofs = append(a.Proofs, ProofRecord{At: p.At, Level: level, Result: p.Result, By: p.By, Key: p.Key, Note: p.Note})
		switch {
		case p.Result != "ok":
			bad, badLevel = p.Note, max(badLevel, level.Rank())
		case level.Rank() >= badLevel:
			bad, badLevel = "", 0
		}
		if p.Result == "ok" {
			a.Proof = maxProof(a.Proof, level)
		}
	}
	if bad != "" {
		a.State, a.Reason = "damaged", bad
	}
}

// find resolves an id, or latest:DB, to an archive that can be used. A
// damaged or foreign one is found by its id, so that verify can look at it;
// latest: passes over all that are not good or partial.
func (v *Vault) find(ctx context.Context, ref string) (Archive, *archive.Opened, error) {
	place, vf, trust, err := v.open(ctx)
	if err != nil {
		return Archive{}, nil, err
	}
	database, latest := strings.CutPrefix(ref, "latest:")
	if !latest {
		database = ""
	}
	folders, err := v.folders(ctx, place, database)
	if err != nil {
		return Archive{}, nil, err
	}
	var best Archive
	var opened *archive.Opened
	for _, f := range folders {
		if !latest && f.id != ref && f.database+"/"+f.id != ref {
			continue
		}
		if !latest {
			return v.opened(ctx, place, vf, trust, f)
		}
		if opened != nil && f.id[:idSecond] != best.ID[:idSecond] {
			break
		}
		a, o, err := v.describe(ctx, place, vf, trust, f)
		if err != nil {
			return a, nil, err
		}
		if (a.State == "good" || a.State == "partial") && (opened == nil || newer(a, best)) {
			best, opened = a, o
		}
	}
	if opened != nil {
		return best, opened, nil
	}
	return Archive{}, nil, &fault.Error{Op: "find archive", What: fmt.Sprintf("there is no archive %q", ref), Why: fmt.Sprintf("vault %q in %s has none", v.c.Name, place),
		Left: "nothing was changed", Do: "pgvault list shows the archives; latest:DB takes the newest good one", Code: fault.Usage}
}

func (v *Vault) opened(ctx context.Context, place store.Store, vf *archive.VaultFile, trust *archive.Trust, f folder) (Archive, *archive.Opened, error) {
	a, o, err := v.describe(ctx, place, vf, trust, f)
	if err == nil && o == nil {
		_, err = archive.Open(ctx, place, trust, vf.ID, v.c.Name, f.database, f.id)
	}
	return a, o, err
}

// Show gives one archive as List does, and with keys its contents.
func (v *Vault) Show(ctx context.Context, ref string, ids Identities) (Archive, *archive.Contents, error) {
	a, o, err := v.find(ctx, ref)
	if err != nil || ids.None() {
		return a, nil, err
	}
	keys, err := v.keys(ids)
	if err != nil {
		return a, nil, err
	}
	c, err := o.Contents(ctx, keys)
	return a, c, err
}
