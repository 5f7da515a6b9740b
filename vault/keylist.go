package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// KeyInfo is one recipient and what its key opens.
type KeyInfo struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
	Kind        string `json:"kind"`
	// Present: new archives are sealed to it. Else it was taken out of the
	// recipients file, or is another host's.
	Present  bool        `json:"present"`
	Retired  string      `json:"retired,omitempty"` // the day, where the recipients file says so: 2026-11-23
	Archives int         `json:"archives"`          // that it opens
	Newest   *KeyArchive `json:"newest"`            // of them; nil: none
	Oldest   *KeyArchive `json:"oldest"`
	// ProvenAt is when an identity of it last opened an archive, by the signed
	// proofs in the vault; nil: never, or that is not known, as of SSH keys,
	// which proofs name by their file.
	ProvenAt *time.Time `json:"proven_at"`
}

// KeyArchive names an archive.
type KeyArchive struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Started  time.Time `json:"started"`
}

// KeyList is who opens what.
type KeyList struct {
	Recipients []KeyInfo `json:"recipients"` // the present ones first, in the order of the file
	Archives   int       `json:"archives"`   // that can be opened at all: good and partial ones
	// Closed are those of them that no present recipient opens, newest first.
	Closed []KeyArchive `json:"closed"`
	// Silent names places that did not answer: what is remembered of them
	// counts.
	Silent []string `json:"silent"`
}

// KeyList tells of every recipient of the configuration, and every other that
// an archive names, how many archives it opens. It asks for no key: what a
// signed manifest names is believed. Without a vault it tells of the
// configuration's recipients.
func (v *Vault) KeyList(ctx context.Context) (*KeyList, error) {
	to, err := archive.LoadRecipients(v.c.RecipientsFile)
	if err != nil {
		return nil, err
	}
	w, err := v.look(ctx, verbWait)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	if w == nil {
		w = &view{}
	}
	l := keyList(to, w.archives)
	for _, s := range w.sights {
		if s.err != nil {
			l.Silent = append(l.Silent, s.Name)
		}
	}
	return l, nil
}

// keyList decides without input or output. all is newest first.
func keyList(to *archive.Recipients, all []Archive) *KeyList {
	l := &KeyList{Recipients: []KeyInfo{}, Closed: []KeyArchive{}, Silent: []string{}}
	at := map[string]int{}
	proofName, retired := map[string]string{}, map[string]string{} // by fingerprint
	for _, r := range to.Retired {
		proofName[r.Fingerprint], retired[r.Fingerprint] = r.ProofName, r.On
	}
	for i, p := range to.Public {
		at[p.Fingerprint] = i
		proofName[p.Fingerprint] = to.ProofName(i)
		l.Recipients = append(l.Recipients, KeyInfo{Name: p.Name, Fingerprint: p.Fingerprint, Kind: p.Kind, Present: true})
	}
	for i := range all {
		a := &all[i]
		if !a.usable() {
			continue
		}
		l.Archives++
		here := KeyArchive{a.ID, a.Database, a.Started}
		open := false
		for _, k := range a.keys {
			n, known := at[k.Fingerprint]
			if !known {
				n = len(l.Recipients)
				at[k.Fingerprint] = n
				l.Recipients = append(l.Recipients, KeyInfo{Name: k.Name, Fingerprint: k.Fingerprint, Kind: k.Kind, Retired: retired[k.Fingerprint]})
			}
			r := &l.Recipients[n]
			open = open || r.Present
			r.opens(here)
			r.proven(a, orElse(proofName[k.Fingerprint], k.Name))
		}
		if !open {
			l.Closed = append(l.Closed, here)
		}
	}
	slices.SortStableFunc(l.Recipients, func(a, b KeyInfo) int { return -compareBool(a.Present, b.Present) })
	return l
}

// opens counts one more archive; they come newest first.
func (k *KeyInfo) opens(a KeyArchive) {
	k.Archives++
	if k.Newest == nil {
		k.Newest = &a
	}
	k.Oldest = &a
}

// proven takes in the proofs beside an archive that this very key has opened.
// They name keys shortened; where several were tried, nobody knows which it
// was.
func (k *KeyInfo) proven(a *Archive, name string) {
	for i := range a.Proofs {
		p := &a.Proofs[i]
		if p.Result != "ok" || p.Key != name || p.Level != ProofHeader && p.Level.Rank() < ProofReadable.Rank() {
			continue
		}
		if k.ProvenAt == nil || p.At.After(*k.ProvenAt) {
			at := p.At
			k.ProvenAt = &at
		}
	}
}
