package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// Health tells whether every database could be brought back, and if not,
// what to do. What cannot be asked (a place, the server) becomes part of
// the answer: the error is not nil only when ctx has ended.
func (v *Vault) Health(ctx context.Context) (*Health, error) {
	w, err := v.look(ctx, screenWait)
	return v.healthOf(ctx, w, err)
}

// Report is Health for who asks once and wants an exit code: a vault of which
// no place can be listed is an error, one that is not there yet is none.
func (v *Vault) Report(ctx context.Context) (*Health, error) {
	w, err := v.look(ctx, verbWait)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	return v.healthOf(ctx, w, err)
}

func (v *Vault) healthOf(ctx context.Context, w *view, listErr error) (*Health, error) {
	f, err := v.facts(ctx, w, listErr)
	if err != nil {
		return nil, err
	}
	return f.health(), ctx.Err()
}

// facts gathers what Health is told from.
func (v *Vault) facts(ctx context.Context, w *view, listErr error) (*healthFacts, error) {
	f := &healthFacts{now: v.now(), wanted: func(database string) int { return len(v.copiesOf(database)) }}
	if listErr != nil && fault.CodeOf(listErr) != fault.NoVault {
		w = v.recallAll(listErr)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w != nil {
		f.archives, f.known = w.archives, slices.ContainsFunc(w.sights, func(s sight) bool { return s.seen != nil })
	}
	f.status, f.serverErr = v.statusFrom(ctx, f.archives)
	f.failed, f.running = map[string]failure{}, map[string]string{}
	if vf := v.knownVault(ctx); vf != nil {
		for _, s := range f.status {
			if note := v.failed(vf, s.Database); note != nil {
				f.failed[s.Database] = *note
			}
		}
	}
	f.askRuns(ctx, v)
	f.idle, f.starter = v.idle(f.status)
	f.places = v.placeHealth(ctx, w, listErr)
	f.waiting = v.pendings()
	if w == nil || !slices.ContainsFunc(w.sights, func(s sight) bool { return s.asking }) {
		f.retention = v.nextRetention(ctx, w, f.status)
	}
	f.keys, f.keysErr = v.recipientNames()
	f.askState(v)
	f.sheet = v.sheetState(ctx)
	return f, ctx.Err()
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

// placeHealth asks each place for its free space. w is what is known of them,
// listErr why none was listed.
func (v *Vault) placeHealth(ctx context.Context, w *view, listErr error) []placeFacts {
	sites, err := v.sites()
	if err != nil {
		return nil
	}
	type room struct{ free, total int64 }
	var ask []site // those of which an answer is to be had
	for i, s := range sites {
		if w == nil || !w.sights[i].asking && !errors.Is(w.sights[i].err, errSilent) {
			ask = append(ask, s)
		}
	}
	rooms := map[int]reply[room]{}
	for _, r := range askEach(ctx, v, ask, screenWait, func(ctx context.Context, s site) (room, error) {
		free, total, err := capacity(ctx, s.Store)
		return room{free, total}, err
	}) {
		rooms[r.n] = r
	}
	out := make([]placeFacts, len(sites))
	for i, s := range sites {
		p := placeFacts{name: s.Name, free: -1, total: -1, err: listErr}
		if s.Store != nil {
			p.url = s.Store.String()
		}
		if w != nil {
			p.know(w, i)
		}
		if fault.CodeOf(listErr) == fault.NoVault {
			p.err, p.empty = nil, true
		}
		if r, asked := rooms[s.n]; asked && r.err == nil {
			p.free, p.total = r.value.free, r.value.total
		} else if asked && p.err == nil {
			p.err = r.err
		}
		if s.Store == nil {
			p.err = s.Err
		}
		out[i] = p
	}
	return out
}

// know takes in what the i-th place of a view is known to hold.
func (p *placeFacts) know(w *view, i int) {
	s := w.sights[i]
	p.err, p.asking = s.err, s.asking
	if s.seen == nil {
		return
	}
	p.listedAt, p.archives, p.empty = s.seen.at, len(s.seen.archives), s.seen.empty && s.err == nil
	for _, a := range w.archives {
		for _, c := range a.Copies {
			if c.Place != p.name {
				continue
			}
			p.count(&a, c)
		}
	}
}

func (p *placeFacts) count(a *Archive, c Copy) {
	switch c.State {
	case CopyGood:
		p.newest = max(p.newest, a.Stored)
		since := a.Finished
		if c.ReadBack != nil {
			since = *c.ReadBack
		}
		if p.unread.IsZero() || since.Before(p.unread) {
			p.unread = since
		}
	case CopyDamaged:
		p.damaged++
	case CopyMissing, CopyIncomplete:
		p.lacking++
	}
}

// askRuns notes running jobs and the state of the audit trail.
func (f *healthFacts) askRuns(ctx context.Context, v *Vault) {
	jobs, err := v.Jobs(ctx)
	for _, j := range jobs {
		if err == nil && j.State == JobRunning {
			f.runningAny = true
			if j.Order.Kind == KindBackup {
				f.running[j.Order.Database] = j.ID
			}
		}
	}
	if trail, err := v.trailState(); err == nil {
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
