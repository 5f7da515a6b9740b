package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// The sequence numbers of a database's archives are the order in which they
// were sealed, whatever the clocks say. Two hosts may seal at once: a number
// belongs to who publishes its reservation in the home place, where of two
// only one can. The steps, right before the manifest is written:
//
//  1. List the database's folder anew. The number is the highest that is
//     known, of a manifest or a reservation, and one.
//  2. Publish the reservation. Where the name is taken: from 1.
//  3. List again. Where another archive with this number or a higher one has
//     been sealed meanwhile (its reservation may be gone already), give ours
//     up: from 1.
//  4. Write the manifest. Then remove the reservations below our own: the
//     manifest is higher than they are, so nobody takes their numbers.
//
// A host that fails in between leaves a reservation, and the number is never
// used. Our own reservation stays until the next archive: it holds the number
// also if the manifest is deleted.

// numbering is what is known of a database's numbers in the home place.
type numbering struct {
	known    map[string]bool // folders with a manifest whose number is known
	highest  int64           // of a sealed archive
	digest   string          // of its manifest
	reserved []int64
}

// sealManifest gives the archive its number and writes the manifest, with
// which it exists.
func (b *backup) sealManifest(ctx context.Context) error {
	if err := b.number(ctx); err != nil {
		return err
	}
	if err := archive.Seal(ctx, b.home.Store, b.folder, &b.manifest, b.signer); err != nil {
		return err
	}
	b.settle(ctx)
	return nil
}

// number reserves a sequence number and sets it and Previous in the manifest.
func (b *backup) number(ctx context.Context) error {
	for range numberTries {
		if err := b.renumber(ctx); err != nil {
			return err
		}
		n := b.numbers.highest
		if len(b.numbers.reserved) > 0 {
			n = max(n, slices.Max(b.numbers.reserved))
		}
		n++
		r := archive.Reservation{Archive: b.id, Host: who(), At: b.now().UTC()}
		err := archive.Reserve(ctx, b.home.Store, b.v.c.Name, b.o.Database, n, r)
		if errors.Is(err, store.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		b.reserved = n
		if err := b.renumber(ctx); err != nil {
			return err
		}
		if b.numbers.highest < n {
			b.manifest.Sequence, b.manifest.Previous = n, b.numbers.digest
			return nil
		}
		b.unreserve(ctx)
	}
	return &fault.Error{Op: "seal", What: "no sequence number could be had for this archive", Why: fmt.Sprintf("other hosts took each of %d numbers first", numberTries),
		Left: "no archive was made; all older ones are as they were", Do: "back up again when fewer hosts do so at once", Code: fault.Running}
}

// numberTries is far beyond what hosts at once can bring about: for each try
// that is lost, another one has sealed an archive.
const numberTries = 1000

// unreserve gives our number back; it stays unused where that fails.
func (b *backup) unreserve(ctx context.Context) {
	if b.reserved == 0 {
		return
	}
	name := archive.SequenceName(b.v.c.Name, b.o.Database, b.reserved)
	b.reserved = 0
	_ = b.home.Store.Remove(context.WithoutCancel(ctx), name)
}

// renumber looks at the home place anew. Only manifests that were not there
// the last time are read.
func (b *backup) renumber(ctx context.Context) error {
	trust, err := b.v.trust(b.vf)
	if err != nil {
		return err
	}
	prefix := b.v.c.Name + "/" + archive.EncodeName(b.o.Database) + "/"
	infos, err := b.home.Store.List(ctx, prefix)
	if err != nil {
		return err
	}
	n := &b.numbers
	n.reserved = n.reserved[:0]
	for _, i := range infos {
		if seq, ok := archive.ParseSequence(b.v.c.Name, b.o.Database, i.Name); ok && seq != b.reserved {
			n.reserved = append(n.reserved, seq)
		}
		id, base, ok := cutLast(i.Name[len(prefix):], "/")
		if !ok || base != archive.ManifestName || !archive.ValidID(id) || n.known[id] {
			continue
		}
		o, err := archive.Open(ctx, b.home.Store, trust, b.vf.ID, b.v.c.Name, b.o.Database, id)
		if err != nil && (ofThePlace(ctx, err) || fault.CodeOf(err) != fault.Differs) {
			return err
		}
		n.know(id, o)
	}
	return nil
}

// startNumbers takes in what findBefore has read already.
func (b *backup) startNumbers() {
	n := &b.numbers
	n.known = map[string]bool{}
	if b.before != nil {
		n.highest, n.digest = b.before.Seq, b.before.digest
	}
	for _, a := range b.listed {
		for _, c := range a.Copies {
			if c.Place == b.home.Name && c.State == CopyGood && c.Known == nil {
				n.known[a.ID] = true
			}
		}
	}
}

// know takes in a sealed archive; nil is one that cannot be believed, whose
// number does not count.
func (n *numbering) know(id string, o *archive.Opened) {
	n.known[id] = true
	if o != nil && o.Manifest.Sequence > n.highest {
		n.highest, n.digest = o.Manifest.Sequence, o.Digest
	}
}

// settle removes the reservations that our manifest has made needless.
// Where a place does not let go of objects they stay, and mean nothing.
func (b *backup) settle(ctx context.Context) {
	for _, n := range b.numbers.reserved {
		if n < b.reserved {
			_ = b.home.Store.Remove(context.WithoutCancel(ctx), archive.SequenceName(b.v.c.Name, b.o.Database, n))
		}
	}
}
