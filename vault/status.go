package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/pg"
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
	names, err := v.Databases(ctx)
	if err != nil { // the server is down: tell at least of those that have archives
		names = append(names, v.c.Configured...)
	}
	for _, a := range list {
		names = append(names, a.Database)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	out := []DatabaseStatus{}
	for _, name := range names {
		out = append(out, v.statusOf(ctx, name, list))
	}
	return out, nil
}

func (v *Vault) statusOf(ctx context.Context, name string, list []Archive) DatabaseStatus {
	s := DatabaseStatus{Database: name, State: "never", MaxAgeSeconds: int64(v.c.Of(name).MaxAge / time.Second)}
	for _, a := range list {
		if a.Database != name || a.State != "good" {
			continue
		}
		if s.LastGood == nil {
			at := a.Finished
			s.LastGood, s.Proof = &at, a.Proof
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
		if s.MaxAgeSeconds > 0 && v.now().Sub(*s.LastGood) > time.Duration(s.MaxAgeSeconds)*time.Second {
			s.State = "late"
		}
	}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return s
	}
	if at := v.failedAt(vf, name); !at.IsZero() && (s.LastGood == nil || at.After(*s.LastGood)) {
		s.State = "failed"
	}
	if job.Held(v.lockDir(), lockName(vf, name)) {
		s.State = "running"
	}
	return s
}
