package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// Health tells whether every database could be brought back, and if not,
// what to do. What cannot be asked (the place, the server) becomes part of
// the answer: the error is not nil only when ctx has ended.
func (v *Vault) Health(ctx context.Context) (*Health, error) {
	l, err := v.Listing(ctx, true)
	return v.healthOf(ctx, l, err)
}

// Report is Health for who asks once and wants an exit code: a place that
// cannot be listed is an error, a vault that is not there yet is none.
func (v *Vault) Report(ctx context.Context) (*Health, error) {
	l, err := v.Listing(ctx, true)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	return v.healthOf(ctx, l, err)
}

func (v *Vault) healthOf(ctx context.Context, l Listing, listErr error) (*Health, error) {
	f, err := v.facts(ctx, l, listErr)
	if err != nil {
		return nil, err
	}
	return f.health(), ctx.Err()
}

// facts gathers what Health is told from.
func (v *Vault) facts(ctx context.Context, l Listing, listErr error) (*healthFacts, error) {
	f := &healthFacts{now: v.now(), places: len(v.Places())}
	if listErr != nil && fault.CodeOf(listErr) != fault.NoVault {
		l, _ = v.remembered()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.archives, f.listedAt = l.Archives, l.At
	f.status, f.serverErr = v.statusFrom(ctx, l.Archives)
	f.failed, f.running = map[string]failure{}, map[string]string{}
	if vf := v.knownVault(ctx); vf != nil {
		for _, s := range f.status {
			if note := v.failed(vf, s.Database); note != nil {
				f.failed[s.Database] = *note
			}
		}
	}
	f.askRuns(ctx, v)
	f.place = v.placeHealth(ctx, l, listErr)
	f.keys, f.keysErr = v.recipientNames()
	f.askState(v)
	return f, ctx.Err()
}

// remembered is the last listing, from memory or the state folder.
func (v *Vault) remembered() (Listing, bool) {
	r := v.recall()
	if r == nil {
		return Listing{}, false
	}
	return r.listing(true), true
}

func (v *Vault) recipientNames() ([]string, error) {
	if v.c.RecipientsFile == "" {
		return nil, &fault.Error{What: "no recipients are configured", Why: "keys.recipients_file is not set", Left: "no backup can be made", Do: "set it, or run pgvault init"}
	}
	r, err := archive.LoadRecipients(v.c.RecipientsFile)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, p := range r.Public {
		names = append(names, p.Name)
	}
	return names, nil
}

// placeHealth asks the place for its free space; listErr is what listing it
// came to, l the newest listing that is known.
func (v *Vault) placeHealth(ctx context.Context, l Listing, listErr error) placeFacts {
	p := placeFacts{name: v.homeName(), free: -1, total: -1, listedAt: l.At, archives: len(l.Archives), err: listErr}
	place, err := v.place()
	if err != nil {
		p.err = err
		return p
	}
	p.url = place.String()
	if fault.CodeOf(listErr) == fault.NoVault {
		p.err, p.empty = nil, true
	}
	if c, ok := store.As[store.Capacity](place); ok {
		p.free, p.total, err = c.Capacity(ctx)
	} else {
		p.free, err = place.Free(ctx)
	}
	if err != nil && p.err == nil {
		p.err = err
	}
	for _, a := range l.Archives {
		p.newest = max(p.newest, a.Stored)
	}
	return p
}

// askRuns notes running jobs and the state of the audit trail.
func (f *healthFacts) askRuns(ctx context.Context, runs Runs) {
	jobs, err := runs.Jobs(ctx)
	for _, j := range jobs {
		if err == nil && j.State == JobRunning {
			f.runningAny = true
			if j.Order.Kind == KindBackup {
				f.running[j.Order.Database] = j.ID
			}
		}
	}
	if _, trail, err := runs.Activity(ctx, 1); err == nil {
		f.trail = trail
	}
}

// keyUsed is when an identity of a person last opened an archive: the
// self-check's own key proves nothing of theirs.
func keyUsed(list []Archive) *time.Time {
	var at *time.Time
	for _, a := range list {
		for _, p := range a.Proofs {
			if p.Result == "ok" && p.Key != "" && p.Key != archive.OneTimeName && (p.Level == ProofHeader || p.Level.Rank() >= ProofReadable.Rank()) && (at == nil || p.At.After(*at)) {
				t := p.At
				at = &t
			}
		}
	}
	return at
}

// badness orders states, the worst first.
func badness(state string) int {
	return slices.Index([]string{"never", "late", "failed", "running", "ok"}, state)
}
