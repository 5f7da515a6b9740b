package vault

import "slices"

// linkResealed tells each archive that was resealed which one stands for it.
// That one must be as whole, read back to its last byte, and have a good copy
// wherever the first has one: until then retention counts the first. list is
// newest first.
func linkResealed(list []Archive) {
	var at map[string]int
	for i := range list {
		a := &list[i]
		if a.ResealedFrom == "" || !a.usable() || a.Proof.Rank() < ProofReadable.Rank() {
			continue
		}
		if at == nil {
			at = make(map[string]int, len(list))
			for j := range list {
				list[j].ResealedAs = ""
				at[list[j].Database+"/"+list[j].ID] = j
			}
		}
		j, ok := at[a.Database+"/"+a.ResealedFrom]
		if from := &list[j]; ok && from.digest == a.fromDigest && from.State == a.State && from.ResealedAs == "" && from.coveredBy(a) {
			from.ResealedAs = a.ID
		}
	}
}

// coveredBy tells whether b has a good copy in every place in which a has one.
func (a *Archive) coveredBy(b *Archive) bool {
	for _, c := range a.Copies {
		if c.State == CopyGood && !slices.ContainsFunc(b.Copies, func(o Copy) bool { return o.Place == c.Place && o.State == CopyGood }) {
			return false
		}
	}
	return true
}

// sealedTo tells whether the archive is for exactly these recipients.
func (a *Archive) sealedTo(fingerprints []string) bool {
	if len(a.keys) != len(fingerprints) {
		return false
	}
	for _, k := range a.keys {
		if !slices.Contains(fingerprints, k.Fingerprint) {
			return false
		}
	}
	return true
}
