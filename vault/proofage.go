package vault

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/safetext"
)

// unproven gives the databases that were not proven by a restore within what
// is allowed. Where none of its archives ever was, that counts from the oldest
// good one.
func (f *healthFacts) unproven() []DatabaseStatus {
	if f.proofMaxAge <= 0 {
		return nil
	}
	oldest := map[string]time.Time{}
	for _, a := range f.archives {
		if at := oldest[a.Database]; a.State == "good" && !a.Finished.IsZero() && (at.IsZero() || a.Finished.Before(at)) {
			oldest[a.Database] = a.Finished
		}
	}
	var late []DatabaseStatus
	for _, s := range f.status {
		since := oldest[s.Database]
		if s.ProvenAt != nil {
			since = *s.ProvenAt
		}
		if !since.IsZero() && f.now.Sub(since) > f.proofMaxAge {
			late = append(late, s)
		}
	}
	return late
}

// proofWarning tells of all that are unproven at once.
func (f *healthFacts) proofWarning() (Explained, bool) {
	late := f.unproven()
	if len(late) == 0 {
		return Explained{}, false
	}
	var names, whys []string
	for _, s := range late {
		names = append(names, s.Database)
		why := s.Database + " never was"
		if s.ProvenAt != nil {
			why = s.Database + " last " + stampOf(*s.ProvenAt) + ", " + span(f.now.Sub(*s.ProvenAt)) + " ago"
		}
		whys = append(whys, why)
	}
	verb := "was"
	if len(late) > 1 {
		verb = "were"
	}
	whys = firstFew(whys, 3)
	return Explained{Key: "proof", What: fmt.Sprintf("%s %s not proven by a restore for longer than you allow, %s", strings.Join(slices.Clone(firstFew(names, 3)), ", "), verb, span(f.proofMaxAge)),
		Why:  strings.Join(whys, "; "),
		Left: "the archives are as they were; whether they still become a database was not tried since",
		Do:   "pgvault verify " + safetext.Word("latest:"+late[0].Database) + " --level restored -i KEY; by itself: verify = \"restored\", or [drill] on a machine that holds a key"}, true
}
