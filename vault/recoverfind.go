package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// FindVaults gives the names of the vaults in a place, sorted: of the folders
// with a vault file. Nothing but a listing is asked for.
func FindVaults(ctx context.Context, place store.Store) ([]string, error) {
	infos, err := place.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range infos {
		if name, ok := strings.CutSuffix(i.Name, "/"+archive.VaultName); ok && !strings.Contains(name, "/") {
			out = append(out, name)
		}
	}
	return out, nil
}

// Vouched is what became of the fingerprints that a person typed.
type Vouched struct {
	Found   []archive.Signing `json:"found"`   // keys of the place that have them
	Unknown []string          `json:"unknown"` // fingerprints that no key there has
}

// Lines are the keys in authorized_keys form.
func (v *Vouched) Lines() []string {
	out := make([]string, len(v.Found))
	for i, s := range v.Found {
		out[i] = s.Public
	}
	return out
}

// maxSigned bounds how many archives' signatures are looked at for a key that
// the vault file does not name.
const maxSigned = 500

// FindSigners looks for the keys with these fingerprints (SHA256:…, as
// ssh-keygen -l and the recovery sheet have them): in the vault file, and
// because that never changes, in the signatures of the newest archives. The
// place decides nothing: it can only offer a key, and a fingerprint names one.
// Where no key has any of them, the error has the code fault.Refused.
func FindSigners(ctx context.Context, place store.Store, vault string, fingerprints []string) (*Vouched, error) {
	vf, err := archive.ReadVault(ctx, place, vault)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, f := range fingerprints {
		want[plainFingerprint(f)] = true
	}
	out := &Vouched{Found: []archive.Signing{}, Unknown: []string{}}
	var offered []archive.Signing
	take := func(s archive.Signing) {
		if want[s.Fingerprint] {
			delete(want, s.Fingerprint)
			out.Found = append(out.Found, s)
		} else if !slices.Contains(out.Found, s) && !slices.Contains(offered, s) {
			offered = append(offered, s)
		}
	}
	if t, err := archive.NewTrust(vf.Signers); err == nil {
		for _, s := range t.Signings() {
			take(s)
		}
	}
	if len(want) > 0 {
		if err := signersOfArchives(ctx, place, vault, func(s archive.Signing) bool { take(s); return len(want) > 0 }); err != nil {
			return nil, err
		}
	}
	for f := range want {
		out.Unknown = append(out.Unknown, f)
	}
	slices.Sort(out.Unknown)
	if len(out.Found) == 0 {
		return nil, notTheSigners(vault, out.Unknown, offered)
	}
	return out, nil
}

// signersOfArchives tells of the keys that the newest archives' signatures
// name, until next says that it has enough.
func signersOfArchives(ctx context.Context, place store.Store, vault string, next func(archive.Signing) bool) error {
	infos, err := place.List(ctx, vault+"/")
	if err != nil {
		return err
	}
	type at struct{ id, folder string }
	var all []at
	for _, i := range infos {
		folder, ok := strings.CutSuffix(i.Name, archive.ManifestName)
		if _, id, cut := cutLast(strings.TrimSuffix(folder, "/"), "/"); ok && cut && archive.ValidID(id) {
			all = append(all, at{id, folder})
		}
	}
	slices.SortFunc(all, func(a, b at) int { return strings.Compare(b.id, a.id) })
	for _, a := range all[:min(len(all), maxSigned)] {
		s, err := archive.SignerAt(ctx, place, a.folder)
		if err != nil {
			if ofThePlace(ctx, err) {
				return err
			}
			continue
		}
		if !next(s) {
			return nil
		}
	}
	return nil
}

// plainFingerprint takes what a person types from paper.
func plainFingerprint(s string) string {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	if rest, ok := strings.CutPrefix(strings.ToUpper(s), "SHA256:"); ok {
		s = s[len(s)-len(rest):]
	}
	return "SHA256:" + s
}

func notTheSigners(vault string, typed []string, offered []archive.Signing) error {
	var there []string
	for _, s := range offered {
		there = append(there, s.Fingerprint)
	}
	return &fault.Error{Op: "recover", What: "the archives of this vault are not signed by the key that was named",
		Why:  fmt.Sprintf("%s was typed; in %q there is %s", strings.Join(firstFew(typed, 3), ", "), vault, orElse(strings.Join(firstFew(there, 5), ", "), "no key at all")),
		Left: "nothing was read further, made or changed",
		Do:   "compare it letter by letter with \"signed by\" on the recovery sheet; if the sheet does say so, this is not the vault that it speaks of: do not go on", Code: fault.Refused}
}
