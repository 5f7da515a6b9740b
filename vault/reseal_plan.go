package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// ResealOptions say which archives are to be encrypted anew to the recipients
// that the configuration names now. Exactly one of the three is given.
type ResealOptions struct {
	IDs        []string // ids, database/id or latest:DB
	Databases  []string // all archives of these
	All        bool
	Identities Identities // what opens them
}

// PlannedReseal is one archive that is to be resealed.
type PlannedReseal struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Started  time.Time `json:"started"`
	Bytes    int64     `json:"bytes"` // stored, and about as many to be written
	From     string    `json:"from"`  // the place that is read first
	To       []string  `json:"to"`    // names of the recipients it is sealed to now
}

// ResealPlan is what Reseal would do, as data.
type ResealPlan struct {
	Archives   []PlannedReseal     // newest first
	Recipients []archive.Recipient // whom they are to be sealed to
	Left       []string            // what is left out and why, in words

	o    ResealOptions
	rows []Archive
}

// Bytes is what is read, and about what is written.
func (p *ResealPlan) Bytes() int64 {
	var n int64
	for _, a := range p.Archives {
		n += a.Bytes
	}
	return n
}

// PlanReseal tells what Reseal would do, and changes nothing. It does not look
// at the identities. What is sealed to exactly the present recipients, or was
// resealed to them before, is left out.
func (v *Vault) PlanReseal(ctx context.Context, o ResealOptions) (*ResealPlan, error) {
	if n := min(len(o.IDs), 1) + min(len(o.Databases), 1); n > 1 || n == 1 && o.All || n == 0 && !o.All {
		return nil, &fault.Error{Op: "key reseal", What: "it is not clear what to reseal", Why: "archives are named, or databases, or all", Left: "nothing was read or written", Do: "name archives, --database DB or --all", Code: fault.Usage}
	}
	to, err := v.recipients()
	if err != nil {
		return nil, err
	}
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	chosen, err := chooseReseal(w.archives, o)
	if err != nil {
		return nil, err
	}
	p := &ResealPlan{Archives: []PlannedReseal{}, Recipients: to.Public, o: o}
	prints := to.Fingerprints()
	already := 0
	for i := range chosen {
		a := &chosen[i]
		switch why := v.notResealed(w.archives, a, prints); why {
		case "":
			p.add(v, a)
		case alreadySealed:
			already++
		default:
			p.Left = append(p.Left, a.ID+" of "+a.Database+": "+why)
		}
	}
	if already > 0 {
		p.Left = append(p.Left, plural(int64(already), "archive")+" sealed to exactly these recipients already, or resealed to them")
	}
	return p, nil
}

func (p *ResealPlan) add(v *Vault, a *Archive) {
	r := PlannedReseal{ID: a.ID, Database: a.Database, Started: a.Started, Bytes: a.Stored, To: a.Recipient}
	state := map[string]string{}
	for _, c := range a.Copies {
		state[c.Place] = c.State
	}
	if from := v.copySources(state, nil); len(from) > 0 {
		r.From = from[0].Name
	}
	p.Archives = append(p.Archives, r)
	p.rows = append(p.rows, *a)
}

const alreadySealed = "sealed to them already"

// notResealed says why an archive is left out, "" where it is not.
func (v *Vault) notResealed(all []Archive, a *Archive, prints []string) string {
	switch {
	case a.State == "foreign":
		return "nobody trusted signed it"
	case !a.usable():
		return "it is damaged, so nothing whole could come of it"
	case a.sealedTo(prints):
		return alreadySealed
	case v.condemned(a.Database, a.ID):
		return "it is being deleted"
	}
	for i := range all {
		if b := &all[i]; b.Database == a.Database && b.ResealedFrom == a.ID && b.fromDigest == a.digest && b.usable() && b.sealedTo(prints) {
			return alreadySealed
		}
	}
	return ""
}

// chooseReseal gives the archives that were asked for, newest first. list is.
func chooseReseal(list []Archive, o ResealOptions) ([]Archive, error) {
	none := func(what string) error {
		return &fault.Error{Op: "key reseal", What: what, Why: "no place that answers has one", Left: "nothing was read or written", Do: "pgvault list shows which there are", Code: fault.Usage}
	}
	for _, name := range o.Databases {
		if !slices.ContainsFunc(list, func(a Archive) bool { return a.Database == name }) {
			return nil, none(fmt.Sprintf("the vault holds no archive of a database %q", name))
		}
	}
	wanted := map[string]bool{}
	for _, ref := range o.IDs {
		database, latest := strings.CutPrefix(ref, "latest:")
		i := slices.IndexFunc(list, func(a Archive) bool {
			return latest && a.Database == database && a.usable() || !latest && (a.ID == ref || a.Database+"/"+a.ID == ref)
		})
		if i < 0 {
			return nil, none(fmt.Sprintf("there is no archive %q", ref))
		}
		wanted[list[i].Database+"/"+list[i].ID] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(a Archive) bool {
		return !o.All && !slices.Contains(o.Databases, a.Database) && !wanted[a.Database+"/"+a.ID]
	}), nil
}

// recipients are those that archives are sealed to now; too few are refused.
func (v *Vault) recipients() (*archive.Recipients, error) {
	if v.c.RecipientsFile == "" || v.c.SigningKey == "" {
		return nil, &fault.Error{What: "the configuration names no recipients or no signing key", Why: "keys.recipients_file or keys.signing_key is not set",
			Left: "nothing was dumped or written", Do: "set both, or run pgvault init, which makes them", Code: fault.Usage}
	}
	to, err := archive.LoadRecipients(v.c.RecipientsFile)
	if err != nil {
		return nil, err
	}
	if len(to.Public) < 2 && !v.c.AllowOne {
		return nil, &fault.Error{What: "there is only one recipient", Why: "lose its key, and every archive is lost", Left: "nothing was dumped or written",
			Do: "add a second to " + v.c.RecipientsFile + " (a key kept in a safe), or set keys.allow_one_recipient = true", Code: fault.Refused}
	}
	return to, nil
}
