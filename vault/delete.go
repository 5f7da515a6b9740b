package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// PlanDelete tells what deleting an archive in all its places would do, and
// whether it is refused. id is an archive's id, or database/id. It reads the
// places, not what is remembered of them, and changes nothing. A place that
// does not answer, or whose copy is locked, is told of: its copy goes later.
func (v *Vault) PlanDelete(ctx context.Context, id string) (*DeletePlan, error) {
	return v.planDelete(ctx, id, "")
}

// PlanDeleteCopy is PlanDelete for the copy in one place alone. The last good
// copy of an archive goes only where the whole archive could.
func (v *Vault) PlanDeleteCopy(ctx context.Context, id, place string) (*DeletePlan, error) {
	if _, err := v.sitesOf(place); err != nil {
		return nil, err
	}
	return v.planDelete(ctx, id, place)
}

func (v *Vault) planDelete(ctx context.Context, id, place string) (*DeletePlan, error) {
	there, err := v.whereabouts(ctx, id)
	if err != nil {
		return nil, err
	}
	siblings, _, err := v.list(ctx, there.database, false)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(siblings, func(a Archive) bool { return a.ID == there.id })
	if i < 0 {
		return nil, changedMeanwhile(id)
	}
	p := &DeletePlan{Archive: siblings[i], Place: place, Confirm: there.id}
	v.copiesThatGo(p, there)
	if place == "" {
		p.Refused = refusedDeletion(siblings, i, v.now())
	} else if p.Refused, err = p.refusedCopy(there, siblings, i, v.now()); err != nil {
		return nil, err
	}
	if p.Refused == "" && len(p.Files) == 0 {
		p.Refused = "none of its copies can go now: " + p.Copies[0].Place + ": " + p.Copies[0].Later
	}
	p.notes(siblings, i)
	if err := v.writable(); err != nil {
		p.Refused = fault.As(err).Error()
	}
	return p, nil
}

// copiesThatGo names what goes in each place.
func (v *Vault) copiesThatGo(p *DeletePlan, there *whereabouts) {
	for _, r := range there.replies {
		if p.Place != "" && r.Name != p.Place {
			continue
		}
		c := CopyDeletion{Place: r.Name, Files: []string{}}
		switch {
		case r.err != nil && v.mayHold(r.site, p.Archive):
			c.Later = "the place does not answer"
		case r.err != nil || !r.value.whole():
			continue
		default:
			gone, bytes, other := removal(v.c.Name, r.value)
			c.Files, c.Bytes = gone, bytes
			if len(other) > 0 {
				p.Notes = append(p.Notes, "not pgvault's, these stay: "+strings.Join(firstFew(other, 5), ", "))
			}
			for _, have := range p.Archive.Copies {
				if have.Place == r.Name && have.LockedUntil != nil {
					c.Later = "it is locked until " + stampOf(*have.LockedUntil)
				}
			}
		}
		p.Copies = append(p.Copies, c)
		if c.Later == "" {
			if len(p.Files) == 0 {
				p.Files = c.Files
			}
			p.Bytes += c.Bytes
		}
	}
	p.Notes = slices.Compact(p.Notes)
}

// removal names what of a folder goes, each by its exact name, and what is
// not pgvault's.
func removal(vault string, f folder) (gone []string, bytes int64, other []string) {
	names := make([]string, len(f.objects))
	for i, o := range f.objects {
		names[i] = o.Name
	}
	at := archive.Folder(vault, f.database, f.id)
	parts := archive.Removal(f.has, names)
	for _, n := range parts {
		o, _ := f.object(n)
		gone = append(gone, at+n)
		bytes += o.Size
	}
	for _, n := range names {
		if !slices.Contains(parts, n) && n != archive.DeletedName {
			other = append(other, n)
		}
	}
	return gone, bytes, other
}

// refusedCopy is the reason why the copy in one place must stay, if any. It
// is an error when there is none, or that cannot be known.
func (p *DeletePlan) refusedCopy(there *whereabouts, siblings []Archive, i int, now time.Time) (string, error) {
	if len(p.Copies) == 0 {
		return "", &fault.Error{Op: "delete", What: fmt.Sprintf("there is no copy of %s in %s", p.Archive.ID, p.Place), Why: "the place answers and has none", Left: "nothing was removed",
			Do: "pgvault show " + p.Archive.ID + " tells in which places it lies", Code: fault.Usage}
	}
	for _, r := range there.replies {
		if r.Name == p.Place && r.err != nil {
			return "", r.err
		}
	}
	if later := p.Copies[0].Later; later != "" {
		return later, nil
	}
	if p.Archive.Pinned {
		return refusedDeletion(siblings, i, now), nil
	}
	for _, c := range p.Archive.Copies {
		if c.Place != p.Place && c.State == CopyGood && c.Known == nil {
			return "", nil
		}
	}
	p.Confirm = p.Archive.Database + "/" + p.Archive.ID
	p.Notes = append(p.Notes, "no other place has a good copy: the archive goes with it")
	return refusedDeletion(siblings, i, now), nil
}

// refusedDeletion is the reason why the archive at i must stay, if any. list
// is all archives of one database, newest first. One that is dated after now
// is not the newest where a good one was made after it, by its number; nor the
// newest proven where that one is proven too.
func refusedDeletion(list []Archive, i int, now time.Time) string {
	newest := func(holds func(Archive) bool) bool {
		overtaken := func(a Archive) bool {
			return ahead(a, now) && slices.ContainsFunc(list, func(o Archive) bool {
				return o.State == "good" && holds(o) && o.Seq > a.Seq && o.Imported == nil && !ahead(o, now)
			})
		}
		first := slices.IndexFunc(list, func(a Archive) bool { return a.State == "good" && holds(a) && !overtaken(a) })
		return first == i
	}
	switch {
	case list[i].Pinned:
		return "it is pinned; pgvault unpin " + list[i].ID + " lets it go"
	case newest(func(Archive) bool { return true }), newest(func(a Archive) bool { return a.Imported == nil }):
		return "it is the newest good archive of " + list[i].Database
	case newest(func(a Archive) bool { return a.Proof == ProofRestored }):
		return "it is the newest archive of " + list[i].Database + " that a restore has proven"
	}
	return ""
}

func (p *DeletePlan) notes(list []Archive, i int) {
	a := list[i]
	for _, c := range p.Copies {
		if c.Later != "" && p.Place == "" {
			p.Notes = append(p.Notes, fmt.Sprintf("the copy in %s stays for now: %s", c.Place, c.Later))
		}
	}
	if p.Refused == "" && p.Place == "" {
		good := 0
		for _, o := range list {
			if o.State == "good" && o.ID != a.ID {
				good++
			}
		}
		p.Notes = append(p.Notes, fmt.Sprintf("it is neither the newest good archive of %s nor the newest that a restore has proven", a.Database),
			fmt.Sprintf("%d other good archives of %s stay", good, a.Database))
	}
	if p.Refused == "" && p.Place != "" && p.Confirm == a.ID {
		p.Notes = append(p.Notes, fmt.Sprintf("%d good copies in other places stay", a.GoodCopies()-goodIn(a, p.Place)))
	}
	if a.State != "good" {
		p.Notes = append(p.Notes, strings.TrimSuffix("it is "+a.State+": "+a.Reason, ": "))
	}
}

func goodIn(a Archive, place string) int {
	for _, c := range a.Copies {
		if c.Place == place && c.State == CopyGood {
			return 1
		}
	}
	return 0
}

func changedMeanwhile(id string) error {
	return &fault.Error{Op: "delete", What: "archive " + id + " is not as the plan found it", Why: "its files have changed since, or it is gone",
		Left: "nothing was removed", Do: "look at it again: pgvault delete " + id, Code: fault.Refused}
}

// reading keeps an archive from being deleted by this host until the
// function returned is called. A state folder that takes no lock is no
// reason not to read.
func (v *Vault) reading(o *archive.Opened) (func(), error) {
	unlock, err := job.Read(v.lockDir(), o.Manifest.Vault[:12]+"-"+archive.EncodeName(o.Manifest.Database), archiveLock(o.Manifest.ID))
	switch {
	case err == nil:
		return unlock, nil
	case fault.CodeOf(err) == fault.Running:
		return nil, err
	}
	return func() {}, nil
}
