package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// Databases gives the databases to back up, sorted: those configured by
// name, and those of the server that the configuration selects.
func (v *Vault) Databases(ctx context.Context) ([]string, error) {
	conn, err := v.c.Server.Connect(ctx, "")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, err := pg.Databases(ctx, conn)
	if err != nil {
		return nil, err
	}
	return v.c.Select(all), nil
}

// Status tells for every configured database, and every other one in the
// vault, how old its newest good archive is and how far it was proven.
func (v *Vault) Status(ctx context.Context) ([]DatabaseStatus, error) {
	list, err := v.List(ctx)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	out, _ := v.statusFrom(ctx, list)
	return out, nil
}

// statusFrom is Status on a listing. The error is why the server could not
// be asked which databases there are; those configured by name, those whose
// schedules are known and those that have archives are told of all the same.
func (v *Vault) statusFrom(ctx context.Context, list []Archive) ([]DatabaseStatus, error) {
	var names []string
	var err error
	if v.c.DrillsOnly {
		names = append(names, v.c.Configured...)
	} else if names, err = v.Databases(ctx); err != nil {
		names = append(names, v.rememberedNames(nil, nil)...)
	}
	v.noteSchedules(names, err == nil)
	configured := slices.Clone(names)
	byName := map[string][]Archive{}
	for _, a := range list {
		if byName[a.Database] == nil {
			names = append(names, a.Database)
		}
		byName[a.Database] = append(byName[a.Database], a)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	vf := v.knownVault(ctx)
	out := []DatabaseStatus{}
	for _, name := range names {
		s := v.statusOf(vf, name, byName[name])
		if slices.Contains(configured, name) { // what is not backed up any more has no next run
			s.NextRun = v.nextRun(vf, name)
		}
		out = append(out, s)
	}
	return out, err
}

// ahead tells that an archive is dated so far after now that one of two
// clocks is wrong: how old it is, nobody knows, so it makes nothing less late.
func ahead(a Archive, now time.Time) bool { return a.Finished.After(now.Add(clockSlip)) }

// statusOf is one database's status; list is its archives, newest first, and
// vf is nil where there is no vault yet.
func (v *Vault) statusOf(vf *archive.VaultFile, name string, list []Archive) DatabaseStatus {
	s := DatabaseStatus{Database: name, State: "never", MaxAgeSeconds: int64(v.c.Of(name).MaxAge / time.Second)}
	var made stretch
	for _, a := range list {
		if a.State != "good" {
			continue
		}
		if s.LastGood == nil && a.Imported == nil && !ahead(a, v.now()) { // an import is no backup of what there is today
			at := a.Finished
			s.LastGood, s.Proof, made = &at, a.Proof, stretch{a.Started, a.Finished}
		}
		for _, p := range a.Proofs {
			if p.Level == ProofRestored && p.Result == "ok" && (s.ProvenAt == nil || p.At.After(*s.ProvenAt)) {
				at := p.At
				s.ProvenAt = &at
			}
		}
	}
	if s.LastGood != nil {
		s.State = "ok"
		var waits bool
		switch s.LateFrom, waits = v.lateFrom(vf, name, made); {
		case s.Late(v.now()):
			s.State = "late"
		case waits: // it is as good as running, and would be late otherwise
			s.State = "running"
		}
	}
	if vf == nil {
		return s
	}
	if f := v.failed(vf, name); f != nil && (s.LastGood == nil || f.At.After(*s.LastGood)) {
		s.State = "failed"
	}
	if job.Held(v.lockDir(), lockName(vf, name)) {
		s.State = "running"
	}
	return s
}
