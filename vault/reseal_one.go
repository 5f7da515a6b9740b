package vault

import (
	"context"
	"fmt"

	"pgvault/vault/archive"
)

// resealed is one archive being made from another one.
type resealed struct {
	*resealing
	home   site
	l      *located // what is read
	m      archive.Manifest
	folder string
	once   *archive.OneTime // nil: self_check is off
	here   int64            // stored bytes of it read, and read back
}

// make writes the parts, reads them back, and publishes the manifest.
func (w *resealed) make(ctx context.Context) (err error) {
	if w.v.c.SelfCheck {
		if w.once, err = archive.NewOneTime(w.to); err != nil {
			return err
		}
	}
	w.m.Recipients = w.to.Public
	sealer := archive.NewSealer(w.home.Store, w.folder, w.to, w.once)
	for _, p := range w.l.o.Manifest.Parts {
		part, err := w.part(ctx, sealer, p.Name)
		if err != nil {
			return err
		}
		w.m.Parts = append(w.m.Parts, part)
	}
	o, err := archive.Unpublished(w.home.Store, w.folder, &w.m)
	if err != nil {
		return err
	}
	if err := w.readBack(ctx, o); err != nil {
		return err
	}
	return archive.Seal(ctx, w.home.Store, w.folder, &w.m, w.signer)
}

// part decrypts one part and encrypts it anew, still compressed: the frames
// stay where contents say. Contents name their archive, so they are written
// anew.
func (w *resealed) part(ctx context.Context, to *archive.Sealer, name string) (archive.Part, error) {
	if name != archive.ContentsPart {
		r, err := w.l.o.Unsealed(ctx, name, w.keys)
		if err != nil {
			return archive.Part{}, err
		}
		defer r.Close()
		return to.Reseal(ctx, name, r, w.passed)
	}
	src, err := w.l.o.ReadPart(ctx, name, w.keys, archive.MaxContents)
	if err != nil {
		return archive.Part{}, err
	}
	if src, err = archive.ResealedContents(src, w.l.o.Manifest, w.m.ID); err != nil {
		return archive.Part{}, err
	}
	p, err := to.Part(ctx, name)
	if err != nil {
		return archive.Part{}, err
	}
	if _, err := p.Write(src); err != nil {
		p.Abort()
		return archive.Part{}, err
	}
	return p.Close(ctx)
}

// passed counts bytes that were read, and tells how far the run is.
func (w *resealed) passed(n int64) {
	w.here += n
	w.tellBytes(w.here)
}

func (r *resealing) tellBytes(here int64) {
	r.progress(func(p *Progress) {
		p.Bytes, p.BytesTotal = min(r.before+here, r.total), r.total
		p.Stored = r.done.Stored
	})
}

// readBack reads the new parts to their last byte: with the one-time key
// every table is compared with contents, without one the stored bytes with
// the manifest that is about to be signed.
func (w *resealed) readBack(ctx context.Context, o *archive.Opened) error {
	begun := w.here
	quiet := newRun(func(e Event) {
		if p, ok := e.(Progress); ok {
			w.tellBytes(begun + p.Stored)
		}
	}, w.now, RunStarted{Kind: KindReseal})
	if w.once == nil {
		return checkParts(ctx, quiet, o, nil)
	}
	keys := w.once.Keys()
	defer keys.Wipe()
	return twice(quiet, func() error { return readThrough(ctx, quiet, o, keys) })
}

// prove writes what the reading back has shown, and takes a pin along.
func (w *resealed) prove(ctx context.Context, pinned bool) error {
	o, err := archive.Open(ctx, w.home.Store, w.trust, w.vf.ID, w.v.c.Name, w.m.Database, w.m.ID)
	if err != nil {
		return err
	}
	p := archive.ProofFile{Level: string(ProofIntact), Result: "ok", Note: "resealed from " + w.l.o.Manifest.ID + ": every part's size and SHA-256 as in the manifest"}
	if w.once != nil {
		n := w.m.Tables
		p = archive.ProofFile{Level: string(ProofReadable), Result: "ok", Key: archive.OneTimeName, Tables: n, Equal: n,
			Note: fmt.Sprintf("resealed from %s: %d of %d tables read back equal", w.l.o.Manifest.ID, n, n)}
	}
	l := &located{site: w.home, o: o}
	err = w.v.addProof(ctx, l, w.signer, p)
	if pinned {
		if perr := w.v.pinIn(ctx, w.home, folder{database: w.m.Database, id: w.m.ID}, true, w.signer, nil); err == nil {
			err = perr
		}
	}
	return err
}
