package vault

import (
	"slices"
	"sort"
)

// aboutProof is a proof and the place whose copy it speaks of.
type aboutProof struct {
	*ProofRecord
	about int
}

const (
	everywhere = -1 // of the bytes that every copy has
	nowhere    = -2 // a copy that is not known, or that is not seen here
)

// proofs adds to out what lies beside the copies of one archive, oldest first,
// each once: a copy may have been made with the proofs of another.
func (m *merger) proofs(out []aboutProof, vs []version, digest string) []aboutProof {
	for _, o := range vs {
		if o.row.digest != digest {
			continue
		}
		for i := range o.row.Proofs {
			p := &o.row.Proofs[i]
			at := -1
			if len(vs) > 1 {
				at = slices.IndexFunc(out, func(q aboutProof) bool { return sameProof(q.ProofRecord, p) })
			}
			switch {
			case at < 0:
				out = append(out, aboutProof{p, m.about(p, o.place)})
			case out[at].Told && !p.Told: // the one beside the copy that was read says more
				out[at] = aboutProof{p, m.about(p, o.place)}
			}
		}
	}
	if len(vs) > 1 {
		sort.SliceStable(out, func(i, j int) bool { return out[i].At.Before(out[j].At) })
	}
	return out
}

func sameProof(q, p *ProofRecord) bool {
	return q.At.Equal(p.At) && q.Level == p.Level && q.Result == p.Result && q.By == p.By && q.Place == p.Place
}

// about tells whose copy a proof speaks of that lies in this place. A
// failure that was met after the stored bytes had been found right is one of
// every copy: all have these bytes. One that names a place which is not
// configured counts where it lies, and a success does not count at all. One
// that was brought from elsewhere says nothing of any copy's bytes: another
// host may have called the place that was read as this one calls its own.
func (m *merger) about(p *ProofRecord, lies int) int {
	if p.Result != "ok" && p.Level.Rank() > ProofIntact.Rank() {
		return everywhere
	}
	if p.Told && p.Result == "ok" {
		return nowhere
	}
	if p.Place == "" {
		return lies
	}
	if i, ok := m.places[p.Place]; ok {
		return i
	}
	if p.Result != "ok" {
		return lies
	}
	return nowhere
}

// judge gives what speaks against a copy, or every copy: a verification that
// failed and was not followed by one that went as far and succeeded. Success
// in any place takes back what spoke against every copy.
func judge(proofs []aboutProof, place int) string {
	bad, level := "", 0
	for _, p := range proofs {
		switch {
		case p.Result != "ok" && p.about == place:
			bad, level = orElse(p.Note, "a verification failed"), max(level, p.Level.Rank())
		case p.Result == "ok" && (p.about == place || place == everywhere) && p.Level.Rank() >= level:
			bad, level = "", 0
		}
	}
	return bad
}
