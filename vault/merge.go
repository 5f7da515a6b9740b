package vault

import (
	"slices"
	"sort"
	"time"
)

// merger makes one list of what the places hold. An archive is the same one
// in two places when its manifest has the same digest there: then the parts
// have the same bytes, or a copy is damaged. Under one id there may lie two
// archives, both signed (two hosts wrote to two places in the same second):
// then the one that the first place has is listed, and the other is a damaged
// copy of it, never mixed with it.
type merger struct {
	v      *Vault
	sights []sight
	cached bool // all is remembered: nothing says how old each is
	places map[string]int
	wanted map[string][]bool // by database: which places ought to have a copy
	room   []Copy            // for copies still to be told of
}

// version is an archive as one place has it.
type version struct {
	place int // in sights
	row   *Archive
}

func (v *Vault) merge(sights []sight, cached bool) []Archive {
	m := &merger{v: v, sights: sights, cached: cached, places: map[string]int{}, wanted: map[string][]bool{}}
	for i, s := range sights {
		m.places[s.Name] = i
	}
	if len(sights) == 1 {
		return m.single()
	}
	at := map[string]int{}
	var found [][]version
	for i, s := range sights {
		if s.seen == nil {
			continue
		}
		for j := range s.seen.archives {
			a := &s.seen.archives[j]
			key := a.Database + "/" + a.ID
			n, ok := at[key]
			if !ok {
				n = len(found)
				at[key] = n
				found = append(found, nil)
			}
			found[n] = append(found[n], version{i, a})
		}
	}
	out := make([]Archive, len(found))
	for i, vs := range found {
		out[i] = m.archive(vs)
	}
	sort.SliceStable(out, func(i, j int) bool { return newer(&out[i], &out[j]) })
	linkResealed(out)
	return out
}

// single is merge for the one place of most vaults.
func (m *merger) single() []Archive {
	seen := m.sights[0].seen
	if seen == nil {
		return []Archive{}
	}
	out := make([]Archive, len(seen.archives))
	one := make([]version, 1)
	for i := range seen.archives {
		one[0] = version{0, &seen.archives[i]}
		out[i] = m.archive(one)
	}
	linkResealed(out)
	return out
}

// archive makes one archive of its versions; those of places that answer
// come first in doubt.
func (m *merger) archive(vs []version) Archive {
	ref := m.reference(vs)
	a := *ref.row
	var few [8]aboutProof // most archives have no more
	proofs := m.proofs(few[:0], vs, a.digest)
	all := judge(proofs, everywhere)
	a.Proof, a.Pinned = ProofNone, false
	if a.digest != "" {
		a.Proof = ProofStored
	}
	if len(vs) > 1 && len(proofs) > 0 {
		a.Proofs = make([]ProofRecord, len(proofs))
	}
	for i, p := range proofs {
		if len(vs) > 1 {
			a.Proofs[i] = *p.ProofRecord
		}
		if p.Result == "ok" {
			a.Proof = maxProof(a.Proof, p.Level)
		}
	}
	a.Copies = m.copies()
	var telling []*ProofRecord
	if slices.ContainsFunc(vs, func(o version) bool { return len(o.row.Proofs) != len(proofs) }) {
		telling = tellingOf(proofs)
	}
	good, marked := false, true
	for i := range m.sights {
		n := slices.IndexFunc(vs, func(o version) bool { return o.place == i })
		if n < 0 {
			if c, ought := m.absent(i, &a); ought {
				a.Copies = append(a.Copies, c)
			}
			continue
		}
		c := m.copyOf(vs[n], a.digest, proofs, all)
		c.untold = m.sights[i].err == nil && lacksProof(vs[n].row, a.digest, telling)
		a.Pinned = a.Pinned || vs[n].row.Pinned
		if e := vs[n].row.expires; e.IsZero() {
			marked = false // an undo counts though another place has not heard of it
		} else if e.After(a.expires) {
			a.expires = e
		}
		good = good || c.State == CopyGood
		a.Copies = append(a.Copies, c)
	}
	if marked && !a.expires.IsZero() {
		until := a.expires
		a.Expires = &until
	}
	if !good && ref.row.usable() {
		i := slices.IndexFunc(a.Copies, func(c Copy) bool { return c.State == CopyDamaged })
		a.State, a.Reason = "damaged", a.Copies[i].Reason
	}
	return a
}

// copies gives room for the copies of one archive.
func (m *merger) copies() []Copy {
	n := len(m.sights)
	if len(m.room) < n {
		m.room = make([]Copy, max(n, 1024))
	}
	out := m.room[:0:n]
	m.room = m.room[n:]
	return out
}

// usable tells whether manifest and sizes are right.
func (a *Archive) usable() bool { return a.State == "good" || a.State == "partial" }

// reference is the version that speaks for the archive: of the first place
// that answers and has it right, else that is remembered to, else whose
// manifest can be believed.
func (m *merger) reference(vs []version) version {
	if len(vs) == 1 {
		return vs[0]
	}
	for _, holds := range []func(o version) bool{
		func(o version) bool { return m.sights[o.place].err == nil && o.row.usable() && m.undoubted(o) },
		func(o version) bool { return o.row.usable() && m.undoubted(o) },
		func(o version) bool { return o.row.usable() },
		func(o version) bool { return o.row.digest != "" },
	} {
		if i := slices.IndexFunc(vs, holds); i >= 0 {
			return vs[i]
		}
	}
	return vs[0]
}

// undoubted tells that no proof beside this copy speaks against it.
func (m *merger) undoubted(o version) bool {
	proofs := m.proofs(nil, []version{o}, o.row.digest)
	return judge(proofs, o.place) == "" && judge(proofs, everywhere) == ""
}

// copyOf is the copy of one place; all says what speaks against every copy.
func (m *merger) copyOf(o version, digest string, proofs []aboutProof, all string) Copy {
	s := m.sights[o.place]
	c := Copy{Place: s.Name, State: CopyGood}
	switch bad := judge(proofs, o.place); {
	case o.row.State == "foreign":
		c.State, c.Reason = CopyForeign, o.row.Reason
	case !o.row.usable():
		c.State, c.Reason = CopyDamaged, o.row.Reason
	case o.row.digest != digest:
		c.State, c.Reason = CopyDamaged, "another archive lies there under the same id, also signed"
	case bad != "":
		c.State, c.Reason = CopyDamaged, bad
	case all != "":
		c.State, c.Reason = CopyDamaged, all
	}
	for _, p := range proofs {
		if p.about == o.place && p.Result == "ok" && p.Level.Rank() >= ProofIntact.Rank() {
			c.ReadBack = &p.At
		}
	}
	if !o.row.locked.IsZero() && o.row.locked.After(m.v.now()) {
		until := o.row.locked
		c.LockedUntil = &until
	}
	c.Known = m.known(s)
	return c
}

// known is when a place that does not answer now last told all.
func (m *merger) known(s sight) *time.Time {
	if s.err == nil || m.cached || s.seen == nil {
		return nil
	}
	at := s.seen.at
	return &at
}

// absent is the copy that a place does not have; ought false: it need not.
func (m *merger) absent(i int, a *Archive) (c Copy, ought bool) {
	if a.State == "foreign" || !m.ought(a.Database)[i] {
		return Copy{}, false
	}
	s := m.sights[i]
	c = Copy{Place: s.Name, State: CopyMissing, Reason: "there is none"}
	switch {
	case s.seen == nil && s.err != nil, s.seen != nil && s.err != nil && !a.Finished.Before(s.seen.at):
		c.State, c.Reason = CopyUnknown, "the place does not answer"
		return c, true
	case s.seen == nil:
		return Copy{}, false // nothing was ever asked there
	}
	if _, part := slices.BinarySearch(s.seen.rest, a.Database+"/"+a.ID); part {
		c.State, c.Reason = CopyIncomplete, "it was not finished, or is being made"
	}
	c.Known = m.known(s)
	return c, true
}

// ought tells which places an archive of this database must have a copy in.
func (m *merger) ought(database string) []bool {
	if w, ok := m.wanted[database]; ok {
		return w
	}
	w := make([]bool, len(m.sights))
	names := m.v.copiesOf(database)
	for i, s := range m.sights {
		w[i] = slices.Contains(names, s.Name)
	}
	m.wanted[database] = w
	return w
}

// copiesOf names the places that each archive of a database must have a copy
// in, in order.
func (v *Vault) copiesOf(database string) []string {
	if v.c.Of != nil {
		if names := v.c.Of(database).Copies; len(names) > 0 {
			return names
		}
	}
	return v.Places()
}
