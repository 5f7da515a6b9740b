package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/vault/archive"
)

// TakeOverQuiet is for how long a vault must have been left alone before
// another host may take it over without a word. Nearly every host backs up
// once a day; what is quieter shows no sign either way, and the person who
// takes over says whether it is gone. Two hosts that write do no harm to what
// lies there: ids are random and each sequence number belongs to one of them
// alone (see sealManifest). But each would apply its own rules of retention.
const TakeOverQuiet = 24 * time.Hour

// TakeOverOptions say how a vault is taken over.
type TakeOverOptions struct {
	Recipients []archive.Recipient // who is to open archives from now on
	Gone       bool                // a person has said that the old host writes no more
	Others     bool                // a person accepts that other recipients open them than before
}

// TakeOverPlan is what is known of a vault that this host is to go on with.
// Nothing was written for it.
type TakeOverPlan struct {
	Vault     string            `json:"vault"`
	ID        string            `json:"id"`
	Signers   []archive.Signing `json:"signers"` // that stay trusted beside this host's new key
	Databases []string          `json:"databases"`
	Newest    *KeyArchive       `json:"newest"` // nil: there is no archive
	Last      *SignOfLife       `json:"last"`   // the newest of the old host; nil: none
	Checks    []Check           `json:"checks"`
}

// SignOfLife is something that a host wrote into a place.
type SignOfLife struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`         // "archive 2026…", "proof of 2026…", "number 12 of shop"
	By   string    `json:"by,omitempty"` // user@host, where it is written there
}

// Refused tells whether a check forbids the take-over.
func (p *TakeOverPlan) Refused() bool {
	return slices.ContainsFunc(p.Checks, func(c Check) bool { return c.State == "x" })
}

// PlanTakeOver looks whether the old host still writes, and whether the
// recipients are those of the newest archive. The places are only read.
func (v *Vault) PlanTakeOver(ctx context.Context, o TakeOverOptions) (*TakeOverPlan, error) {
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	all, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	p := &TakeOverPlan{Vault: vf.Name, ID: vf.ID, Signers: trust.Signings(), Databases: []string{}}
	for i := range all {
		if a := &all[i]; a.usable() {
			p.Databases = append(p.Databases, a.Database)
		}
	}
	slices.Sort(p.Databases)
	p.Databases = slices.Compact(p.Databases)
	if p.Last, err = v.lastSign(ctx, all); err != nil {
		return nil, err
	}
	p.Checks = append(p.Checks, stillAlive(p.Last, v.now(), o.Gone))
	newest := slices.IndexFunc(all, func(a Archive) bool { return a.usable() })
	if newest >= 0 {
		a := &all[newest]
		p.Newest = &KeyArchive{a.ID, a.Database, a.Started}
		p.Checks = append(p.Checks, sameRecipients(a.keys, o.Recipients, o.Others))
	}
	return p, nil
}

// lastSign is the newest thing that somebody wrote into the vault: an
// archive, a proof, a reserved number, or the parts of a backup that goes on.
func (v *Vault) lastSign(ctx context.Context, all []Archive) (*SignOfLife, error) {
	var last *SignOfLife
	take := func(at time.Time, what, by string) {
		if last == nil || at.After(last.At) {
			last = &SignOfLife{at.UTC(), what, by}
		}
	}
	for i := range all {
		a := &all[i]
		made := a.Finished
		for _, t := range []*time.Time{a.Imported, &a.resealed} {
			if t != nil && t.After(made) {
				made = *t
			}
		}
		if a.digest != "" {
			take(made, "the archive "+a.ID+" of "+a.Database, "")
		}
		for _, r := range a.Proofs {
			take(r.At, "a proof of "+a.ID, r.By)
		}
	}
	sites, err := v.sites()
	if err != nil {
		return nil, err
	}
	for _, s := range sites {
		infos, err := s.Store.List(ctx, v.c.Name+"/")
		if err != nil {
			return nil, err
		}
		for _, i := range infos {
			encoded, _, _ := strings.Cut(i.Name[len(v.c.Name)+1:], "/")
			database, err := archive.DecodeName(encoded)
			if err != nil {
				continue
			}
			if n, ok := archive.ParseSequence(v.c.Name, database, i.Name); ok {
				if r, err := archive.ReadReservation(ctx, s.Store, i.Name); err == nil {
					take(r.At, fmt.Sprintf("the number %d of %s", n, database), r.Host)
				} else if ofThePlace(ctx, err) {
					return nil, err
				}
			}
		}
		_, rest, err := v.folders(ctx, s.Store, "")
		if err != nil {
			return nil, err
		}
		for _, f := range rest {
			if at, err := time.Parse("20060102T150405Z", f.id[:idSecond]); err == nil && !f.deleted() {
				take(at, "parts of a backup of "+f.database+" that is not finished", "")
			}
		}
	}
	return last, nil
}

func stillAlive(last *SignOfLife, now time.Time, gone bool) Check {
	if last == nil {
		return Check{State: "ok", Text: "nobody has written into this vault yet"}
	}
	text := fmt.Sprintf("%s was written %s", last.What, stampOf(last.At))
	if last.By != "" {
		text += " by " + last.By
	}
	switch age := now.Sub(last.At); {
	case age >= TakeOverQuiet:
		return Check{State: "ok", Text: text + ", " + span(age) + " ago: nobody seems to write here any more"}
	case gone:
		return Check{State: "!", Text: text + "; that the old host is gone was said", Do: "see that its timer never runs again: two hosts would each apply rules of retention of their own"}
	default:
		return Check{State: "x", Text: text + ": the old host may still write here", Do: "stop its timer; then --old-host-is-gone"}
	}
}

// sameRecipients compares who opened the newest archive with who is to open
// the next.
func sameRecipients(was, now []archive.Recipient, others bool) Check {
	lacks := func(in []archive.Recipient, r archive.Recipient) bool {
		return !slices.ContainsFunc(in, func(o archive.Recipient) bool { return o.Fingerprint == r.Fingerprint })
	}
	var gone, fresh []string
	for _, r := range was {
		if lacks(now, r) {
			gone = append(gone, r.Name+" ("+r.Fingerprint+")")
		}
	}
	for _, r := range now {
		if lacks(was, r) {
			fresh = append(fresh, r.Name)
		}
	}
	if len(gone)+len(fresh) == 0 {
		return Check{State: "ok", Text: plural(int64(len(now)), "recipient") + ", the same as of the newest archive"}
	}
	var parts []string
	if len(gone) > 0 {
		parts = append(parts, "new archives would not open for "+strings.Join(gone, ", "))
	}
	if len(fresh) > 0 {
		parts = append(parts, "they would for "+strings.Join(fresh, ", ")+", and older ones do not")
	}
	c := Check{State: "x", Text: strings.Join(parts, "; "), Do: "give the public keys of those too (--recipient), or --other-recipients if that is meant"}
	if others {
		c.State = "!"
		c.Do = ""
	}
	return c
}
