package vault

import (
	"context"
	"slices"

	"pgvault/fault"
)

// CopyOptions say what to copy and where to.
type CopyOptions struct {
	ID      string   // archive id, database/id or latest:DB
	Missing bool     // instead: whatever places lack that they ought to have
	To      []string // places by name; none: those that the configuration wants copies in
}

// CopyPlan is what a copy would do.
type CopyPlan struct {
	ID       string // of the one archive, empty with Missing
	Database string
	Copies   []PlannedCopy // newest archive first
	Silent   []PlaceResult // places that do not answer, and may lack something
	Left     []string      // what is left out and why, in words
	Proofs   int           // copies that lack a proof which lies in another place, and get it

	work   []*copyWork
	untold []untold
}

// PlannedCopy is one archive that one place is to get.
type PlannedCopy struct {
	ID       string `json:"id"`
	Database string `json:"database"`
	Place    string `json:"place"`
	State    string `json:"state"` // of the copy there now: one of the Copy words
	From     string `json:"from"`  // the place that is read first
	Bytes    int64  `json:"bytes"` // that are sent at most
}

// Bytes is what would be sent at most.
func (p *CopyPlan) Bytes() int64 {
	var n int64
	for _, c := range p.Copies {
		n += c.Bytes
	}
	return n
}

// copyWork is one archive and the places that are to get it.
type copyWork struct {
	database, id string
	stored       int64
	sources      []site
	to           map[string]string // by place that has not been begun with: the state of the copy there
}

// PlanCopy tells what Copy would do, and changes nothing. A place that is
// named in To has its copy compared with a good one whatever state it seems
// to be in; else copies that are good are left alone.
func (v *Vault) PlanCopy(ctx context.Context, o CopyOptions) (*CopyPlan, error) {
	if o.Missing == (o.ID != "") {
		return nil, &fault.Error{What: "it is not clear what to copy", Why: "either one archive can be named, or all that is missing", Left: "nothing was copied", Do: "name an archive, latest:DB or --missing", Code: fault.Usage}
	}
	for _, name := range o.To {
		if _, err := v.sitesOf(name); err != nil {
			return nil, err
		}
	}
	if !o.Missing {
		return v.planOne(ctx, o)
	}
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	silent := slices.DeleteFunc(slices.Clone(w.sights), func(s sight) bool { return s.err == nil })
	return v.planCopies(w.archives, silent, o), nil
}

func (v *Vault) planOne(ctx context.Context, o CopyOptions) (*CopyPlan, error) {
	f, err := v.locate(ctx, o.ID, "")
	if err != nil {
		return nil, err
	}
	if v.condemned(f.Database, f.ID) {
		return nil, &fault.Error{Op: "copy", What: "archive " + f.ID + " is being deleted", Why: "some place has not let go of its copy yet", Left: "nothing was copied", Do: "take another archive", Code: fault.Refused}
	}
	var silent []sight
	for _, r := range f.silent {
		silent = append(silent, sight{site: r.site, err: r.err})
	}
	p := v.planCopies([]Archive{f.Archive}, silent, o)
	p.ID, p.Database = f.ID, f.Database
	return p, nil
}

// planCopies finds what places lack of these archives. silent are the places
// that do not answer.
func (v *Vault) planCopies(list []Archive, silent []sight, o CopyOptions) *CopyPlan {
	p := &CopyPlan{}
	mute := map[string]error{}
	for _, s := range silent {
		mute[s.Name] = s.err
	}
	lost := 0
	lacks := map[string]int{}
	for i := range list {
		a := &list[i]
		if o.Missing && !a.usable() {
			lost++
			continue
		}
		if v.condemned(a.Database, a.ID) {
			p.Left = append(p.Left, a.ID+" of "+a.Database+" is being deleted")
			continue
		}
		if w := v.planArchive(a, mute, o, lacks); len(w.to) > 0 {
			p.add(w, v.Places())
		}
		if u, ok := untoldOf(a); ok {
			p.untold = append(p.untold, u)
			p.Proofs += len(u.to)
		}
	}
	if lost > 0 {
		p.Left = append(p.Left, plural(int64(lost), "archive")+" without a good copy in any place cannot be copied; pgvault list --filter damaged shows them")
	}
	for _, s := range silent {
		if n := lacks[s.Name]; n > 0 {
			p.Silent = append(p.Silent, PlaceResult{Place: s.Name, Missing: n, Err: s.err})
		}
	}
	return p
}

// planArchive finds the places that are to get one archive, and those that it
// can be read from. lacks counts what places that do not answer may lack.
func (v *Vault) planArchive(a *Archive, mute map[string]error, o CopyOptions, lacks map[string]int) *copyWork {
	state := map[string]string{}
	for _, c := range a.Copies {
		state[c.Place] = c.State
	}
	w := &copyWork{database: a.Database, id: a.ID, stored: a.Stored, to: map[string]string{}}
	wanted := o.To
	if len(wanted) == 0 {
		wanted = v.copiesOf(a.Database)
	}
	for _, name := range wanted {
		is := orElse(state[name], CopyMissing)
		switch {
		case mute[name] != nil && is != CopyGood:
			lacks[name]++
		case mute[name] != nil:
		case is != CopyGood || !o.Missing && len(o.To) > 0:
			w.to[name] = is
		}
	}
	w.sources = v.copySources(state, mute)
	return w
}

// copySources gives the places that have the archive, in the order in which
// they are read: good copies before damaged ones, of which a part may still
// be right, and folders of this host before a network.
func (v *Vault) copySources(state map[string]string, mute map[string]error) []site {
	sites, err := v.sites()
	if err != nil {
		return nil
	}
	rank := func(s site) int {
		n := 0
		if state[s.Name] != CopyGood {
			n += 2
		}
		if !s.near() {
			n++
		}
		return n
	}
	sites = slices.DeleteFunc(sites, func(s site) bool {
		return mute[s.Name] != nil || state[s.Name] != CopyGood && state[s.Name] != CopyDamaged
	})
	slices.SortStableFunc(sites, func(a, b site) int { return rank(a) - rank(b) })
	return sites
}

func (p *CopyPlan) add(w *copyWork, places []string) {
	from := ""
	if len(w.sources) > 0 {
		from = w.sources[0].Name
	}
	for _, name := range places {
		if is, ok := w.to[name]; ok {
			p.Copies = append(p.Copies, PlannedCopy{ID: w.id, Database: w.database, Place: name, State: is, From: from, Bytes: w.stored})
		}
	}
	p.work = append(p.work, w)
}
