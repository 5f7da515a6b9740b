package replicate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// maxSmall bounds what is read of a small object: what the format allows for
// a manifest, which is the largest of them.
const maxSmall = archive.MaxManifest

// haveVault makes the vault in the target as it is in the source, unless it
// is there. Another vault's is refused, and so are objects that no vault
// file explains, unless there is an archive of this vault among them.
func (t *target) haveVault(ctx context.Context) error {
	c := t.c
	absent, err := t.isOurs(ctx)
	if err != nil || !absent {
		return err
	}
	if err := t.mayHaveVault(ctx); err != nil {
		if absent, aerr := t.isOurs(ctx); aerr != nil || !absent { // another host has made it meanwhile
			return aerr
		}
		return err
	}
	src, err := c.source(ctx)
	if err != nil {
		return err
	}
	name := c.Vault + "/" + archive.VaultName
	data, err := store.ReadAll(ctx, src.Store, name, maxSmall)
	switch {
	case err == nil:
		err = archive.Publish(ctx, t.Store, name, data)
	case errors.Is(err, store.ErrNotExist) && c.File != nil:
		err = c.File.Write(ctx, t.Store)
	}
	if errors.Is(err, store.ErrExist) {
		_, err = t.isOurs(ctx)
	}
	return err
}

// isOurs refuses a place with another vault. absent says that it has none.
func (t *target) isOurs(ctx context.Context) (absent bool, err error) {
	c := t.c
	there, err := archive.ReadVault(ctx, t.Store, c.Vault)
	switch {
	case err != nil && fault.CodeOf(err) == fault.NoVault:
		return true, nil
	case err == nil && there.ID != c.VaultID:
		return false, &fault.Error{Op: "copy", What: fmt.Sprintf("%s holds another vault named %q", t.Name, c.Vault), Why: fmt.Sprintf("its id is %s, this vault's is %s", there.ID, c.VaultID),
			Left: "nothing was written there", Do: "give the place another path, or this vault another name", Code: fault.Refused}
	}
	return false, err
}

// mayHaveVault tells whether a vault file may be put into a place that has
// none.
func (t *target) mayHaveVault(ctx context.Context) error {
	c := t.c
	infos, err := t.Store.List(ctx, c.Vault+"/")
	if err != nil || len(infos) == 0 {
		return err
	}
	for _, i := range infos {
		e := strings.Split(strings.TrimPrefix(i.Name, c.Vault+"/"), "/")
		if len(e) != 3 || e[2] != archive.ManifestName {
			continue
		}
		database, err := archive.DecodeName(e[0])
		if err != nil || !archive.ValidID(e[1]) {
			continue
		}
		_, err = archive.Open(ctx, t.Store, c.Trust, c.VaultID, c.Vault, database, e[1])
		if err == nil {
			return nil // the vault file is what was lost
		}
		if fault.CodeOf(err) != fault.Differs {
			return err
		}
	}
	return &fault.Error{Op: "copy", What: fmt.Sprintf("%s holds objects of a vault %q without its vault file", t.Name, c.Vault), Why: "and no archive of this vault is among them",
		Left: "nothing was written there", Do: "give the place another path, or see what lies there", Code: fault.Refused}
}

// seal writes the small objects: the signature, what is known of the
// archive, and the manifest last of all.
func (t *target) seal(ctx context.Context) error {
	c := t.c
	src, err := c.source(ctx)
	if err != nil {
		return err
	}
	manifest, signature := src.opened.Raw()
	if err := t.manifestGone(ctx, manifest); err != nil {
		return err
	}
	if err := t.put(ctx, archive.SignatureName, signature, true); err != nil {
		return err
	}
	if err := t.records(ctx, src); err != nil {
		return err
	}
	// A host may have deleted the archive while its bytes were on their way.
	if _, err := src.Store.Stat(ctx, c.folder()+archive.ManifestName); errors.Is(err, store.ErrNotExist) {
		return c.goingAway(src.Place, "its manifest was removed while its bytes were on their way")
	} else if err != nil {
		return err
	}
	if err := t.still(ctx); err != nil {
		return err
	}
	return t.put(ctx, archive.ManifestName, manifest, true)
}

// manifestGone removes a manifest that is not the archive's. Without one the
// copy is not listed, until the right one is written.
func (t *target) manifestGone(ctx context.Context, want []byte) error {
	if _, ok := t.there[archive.ManifestName]; !ok {
		return nil
	}
	equal, err := t.same(ctx, archive.ManifestName, want)
	if err != nil || equal {
		return err
	}
	if err := t.remove(ctx, archive.ManifestName); err != nil {
		return err
	}
	t.healed(archive.ManifestName)
	return nil
}

// put publishes a small object unless it is there. One that is there and is
// another one is replaced, or with replace false left as it is.
func (t *target) put(ctx context.Context, object string, data []byte, replace bool) error {
	if _, ok := t.there[object]; ok {
		equal, err := t.same(ctx, object, data)
		if err != nil || equal || !replace {
			return err
		}
		if object != archive.ManifestName { // else it is told already
			if err := t.remove(ctx, object); err != nil {
				return err
			}
			t.healed(object)
		}
	}
	err := archive.Publish(ctx, t.Store, t.c.folder()+object, data)
	if !errors.Is(err, store.ErrExist) {
		return err
	}
	equal, err := t.same(ctx, object, data) // another host was faster
	if err == nil && !equal && replace {
		err = fmt.Errorf("%s of %s appeared in %s with other bytes", object, t.c.ID, t.Name)
	}
	return err
}

// same tells whether an object has these bytes. One that is not there has
// not.
func (t *target) same(ctx context.Context, object string, want []byte) (bool, error) {
	have, err := store.ReadAll(ctx, t.Store, t.c.folder()+object, maxSmall)
	if errors.Is(err, store.ErrNotExist) || errors.Is(err, store.ErrTooBig) {
		return false, nil
	}
	return err == nil && bytes.Equal(have, want), err
}

// records copies the pin and those proofs that speak of the archive. What a
// place's own bytes were found to be (a proof of the level intact, or a
// failure that was answered) says nothing of another place's.
func (t *target) records(ctx context.Context, src *source) error {
	infos, err := src.Store.List(ctx, t.c.folder())
	if err != nil {
		return err
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.Name[len(t.c.folder()):])
	}
	for _, n := range []string{archive.PinName + ".sig", archive.PinName} {
		if slices.Contains(names, n) {
			if err := t.record(ctx, src, n); err != nil {
				return err
			}
		}
	}
	for _, n := range t.c.telling(ctx, src, names) {
		if _, home := t.there[archive.HomeName(n)]; home {
			continue
		}
		for _, end := range []string{".sig", ""} {
			if err := t.recordAs(ctx, src, n+end, archive.ToldName(n)+end); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *target) record(ctx context.Context, src *source, object string) error {
	return t.recordAs(ctx, src, object, object)
}

// recordAs copies a small object, unless the target has one of that name.
func (t *target) recordAs(ctx context.Context, src *source, object, name string) error {
	data, err := store.ReadAll(ctx, src.Store, t.c.folder()+object, maxSmall)
	if errors.Is(err, store.ErrNotExist) { // it was taken away a moment ago
		return nil
	}
	if err != nil {
		return err
	}
	return t.put(ctx, name, data, false)
}

// telling gives the names of the proofs that hold for every copy of the
// archive.
func (c *copier) telling(ctx context.Context, src *source, names []string) []string {
	var all []archive.ProofFile
	for _, n := range names {
		if archive.IsProof(n) {
			all = append(all, src.opened.Proofs(ctx, c.Trust, []string{c.folder() + n})...)
		}
	}
	slices.SortStableFunc(all, func(a, b archive.ProofFile) int { return a.At.Compare(b.At) })
	var out []string
	for i, tells := range archive.Tells(all) {
		if tells {
			out = append(out, all[i].Name)
		}
	}
	return out
}
