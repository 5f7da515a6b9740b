package guide

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

// Restorer is what the restore guide asks of a vault.
type Restorer interface {
	Listing(ctx context.Context, fresh bool) (vault.Listing, error)
	PlanRestore(ctx context.Context, o vault.RestoreOptions) (*vault.RestorePlan, error)
	Tables(ctx context.Context, id string, ids vault.Identities) ([]vault.TableInfo, error)
	UnlockRequest(ctx context.Context, id string) (string, error)
	Unlock(ctx context.Context, id string, ids vault.Identities) (unlocked, name string, err error)
	Health(ctx context.Context) (*vault.Health, error)
	PlanSwitch(ctx context.Context, o vault.SwitchOptions) (*vault.SwitchPlan, error)
}

// RestoreOptions are what a restore guide begins with.
type RestoreOptions struct {
	Vault   Restorer
	Runs    vault.Runs
	Archive vault.Archive               // chosen already; ID empty: step 1 asks
	Files   []string                    // identity files named before (-i)
	Now     func() time.Time            // in the zone that is shown
	Again   func(command string) string // adds what this call was told of configuration; nil: nothing
	Home    string                      // for paths that begin with ~/
}

// restore is the author of the restore guide's steps.
type restore struct{ RestoreOptions }

// The keys of the restore guide's fields and facts.
const (
	keyFilter  = "filter"
	keyArchive = "archive"
	keyHow     = "how"
	keyAnswer  = "answer"
	keyFile    = "file"
	keyPasted  = "pasted"
	keyOpen    = "unlocked" // secret: what opens the archive
	keyWhere   = "where"
	keyNew     = "new"
	keyEmpty   = "empty"
	keySome    = "some"
	keyTables  = "tables"
	keyRoles   = "roles"
	keySpaces  = "tablespaces"

	factArchives = "archives"
	factRequest  = "request"
	factPlaces   = "places"
	factOpened   = "opened"
	factPlan     = "plan"
	factTables   = "all tables"
	factProposed = "proposed for"
	factDecided  = "planned for roles and tablespaces"
)

// Restore gives the session of the guide that brings an archive back: backup,
// key, where, checks, plan, run, report. Nothing is changed before the plan
// is accepted. It keeps no draft: all it knows is an archive and a key.
func Restore(o RestoreOptions) *Session {
	r := &restore{o}
	v := NewValues()
	v.SecretOf(keyOpen)
	g := &Guide{Name: "restore", Title: "RESTORE", Runs: o.Runs, JobView: true, Steps: []Step{
		r.backupStep(), r.keyStep(), r.whereStep(), r.tablesStep(), r.checksStep(), r.planStep(), r.runStep(), r.reportStep(),
		r.switchStep(), r.swapStep(), r.swappedStep(),
	}}
	if o.Archive.ID == "" {
		return New(g, v)
	}
	v.Put(factArchives, []vault.Archive{o.Archive})
	v.Set(keyArchive, o.Archive.ID)
	s := New(g, v)
	s.GoTo("key")
	return s
}

// archive is the one chosen.
func (r *restore) archive(v *Values) vault.Archive {
	for _, a := range FactOf[[]vault.Archive](v, factArchives) {
		if a.ID == v.Get(keyArchive) {
			return a
		}
	}
	return vault.Archive{}
}

func (r *restore) backupStep() Step {
	return Step{
		Key: "backup", Name: "Backup", Question: "Which backup is to be brought back?", Loading: "reading the list of archives",
		Text: "The newest is first. Nothing is changed before you have seen the plan.",
		Why: "Everything that follows depends on the archive: which key opens it, which server it fits, how long it takes. " +
			"PROOF says how far this archive was ever proven: restored is the most.",
		Load: func(ctx context.Context, v *Values, _ Talk) error {
			if len(FactOf[[]vault.Archive](v, factArchives)) > 1 {
				return nil
			}
			l, err := r.Vault.Listing(ctx, true)
			if err != nil {
				return err
			}
			if len(l.Archives) == 0 {
				return &fault.Error{What: "there is no archive to restore", Why: "the vault is empty", Left: "nothing was changed", Do: "make a backup first", Code: fault.NoVault}
			}
			v.Put(factArchives, l.Archives)
			return nil
		},
		Fields: []Field{
			{Key: keyFilter, Label: "show only", Optional: true, Hint: "words of the list, such as db:shop age:<7d"},
			{Key: keyArchive, Label: "backup", Kind: Choice, Options: r.archives},
		},
		Check: func(_ context.Context, v *Values) []Line {
			all, shown := FactOf[[]vault.Archive](v, factArchives), r.archives(v)
			if v.Get(keyFilter) == "" {
				return nil
			}
			return []Line{{Text: fmt.Sprintf("%d of %d shown", len(shown), len(all))}}
		},
	}
}

func (r *restore) archives(v *Values) []Option {
	f := vault.ParseFilter(v.Get(keyFilter))
	var out []Option
	now := r.Now()
	for _, a := range FactOf[[]vault.Archive](v, factArchives) {
		if !f.Match(a, now) {
			continue
		}
		o := Option{Value: a.ID, Label: fmt.Sprintf("%s  %4s  %s", a.Started.In(now.Location()).Format("02 Jan 2006 15:04"), Age(now.Sub(a.Started)), a.Database),
			Hint: fmt.Sprintf("%s, %s rows, %s", Size(a.Stored), Count(a.Rows), first(string(a.Proof), "stored"))}
		if a.State == "damaged" || a.State == "foreign" {
			o.Off = a.State + ", so nothing is restored from it: " + a.Reason
			o.Hint = "x " + a.State
		}
		out = append(out, o)
	}
	return out
}

func (r *restore) whereStep() Step {
	return Step{
		Key: "where", Name: "Where", Question: "Which database is it to be written into?", Loading: "asking for a name that is free",
		Text: "Nothing that exists is ever overwritten: what holds something is refused.",
		Why: "A restore into a database that holds rows doubles them where no key forbids it, and nobody can tell them apart afterwards. " +
			"So the way to replace a database is to restore beside it, look, and then swap the names.",
		Fields: []Field{
			{Key: keyWhere, Label: "target", Kind: Choice, Options: func(*Values) []Option {
				return []Option{
					{Value: "new", Label: "a new database", Hint: "made by the restore; nothing existing is touched"},
					{Value: "empty", Label: "an existing database that is empty", Hint: "refused if anything is in it"},
				}
			}},
			{Key: keyNew, Label: "its name", When: func(v *Values) bool { return v.Get(keyWhere) != "empty" }, Valid: r.validTarget},
			{Key: keyEmpty, Label: "its name", When: func(v *Values) bool { return v.Get(keyWhere) == "empty" }, Valid: r.validTarget},
		},
		Load: func(ctx context.Context, v *Values, _ Talk) error {
			if FactOf[string](v, factProposed) == v.Get(keyArchive) {
				return nil
			}
			p, err := r.Vault.PlanRestore(ctx, vault.RestoreOptions{ID: v.Get(keyArchive), Identities: r.identities(v)})
			if err != nil {
				return err
			}
			v.Propose(keyNew, p.Target)
			v.Put(factProposed, v.Get(keyArchive))
			return nil
		},
	}
}

// maxName is how many bytes of a name PostgreSQL keeps.
const maxName = 63

func (r *restore) validTarget(v *Values, b []byte) Line {
	switch name := string(b); {
	case len(name) > maxName:
		return Line{State: "x", Text: fmt.Sprintf("the name has %d bytes; PostgreSQL keeps %d", len(name), maxName)}
	case name == r.archive(v).Database:
		return Line{State: "x", Text: name + " is where the backup came from: it is never written into"}
	}
	return Line{}
}

func (r *restore) target(v *Values) string {
	if v.Get(keyWhere) == "empty" {
		return v.Get(keyEmpty)
	}
	return v.Get(keyNew)
}

// tablesStep is there only when `t` asked for it.
func (r *restore) tablesStep() Step {
	return Step{
		Key: "tables", Name: "Tables", Question: "Which tables?", Loading: "opening the contents",
		Text: "What they need comes with them (sequences, defaults, keys, indexes, types); what is left out is named in the plan. None chosen: all.",
		Why:  "pg_restore's own choice of single tables leaves out keys, indexes and sequences. pgvault works out what belongs to a table and says what it leaves out.",
		Skip: func(v *Values) bool { return !v.Yes(keySome) },
		Load: func(ctx context.Context, v *Values, _ Talk) error {
			list, err := r.Vault.Tables(ctx, v.Get(keyArchive), r.identities(v))
			if err != nil {
				return err
			}
			v.Put(factTables, list)
			return nil
		},
		Fields: []Field{{Key: keyTables, Label: "tables", Kind: Many, Optional: true, Options: func(v *Values) []Option {
			var out []Option
			for _, t := range FactOf[[]vault.TableInfo](v, factTables) {
				out = append(out, Option{Value: t.Name, Label: t.Name, Hint: Plural(t.Rows, "row") + ", " + Size(t.Bytes)})
			}
			return out
		}}},
		Check: func(_ context.Context, v *Values) []Line {
			if n := len(v.List(keyTables)); n > 0 {
				return []Line{{Text: fmt.Sprintf("%s of %d chosen", Plural(int64(n), "table"), len(FactOf[[]vault.TableInfo](v, factTables)))}}
			}
			return []Line{{Text: "none chosen: all tables are restored"}}
		},
	}
}

// options are the plan asked for.
func (r *restore) options(v *Values) vault.RestoreOptions {
	o := vault.RestoreOptions{ID: v.Get(keyArchive), Identities: r.identities(v), NoOwner: v.Get(keyRoles) == "leave", CreateRoles: v.Get(keyRoles) == "make",
		FullRoles: v.Get(keyRoles) == "create", NoTablespaces: v.Get(keySpaces) == "default"}
	if v.Get(keyWhere) == "empty" {
		o.ToEmpty = r.target(v)
	} else {
		o.ToNew = r.target(v)
	}
	if v.Yes(keySome) {
		o.Tables = v.List(keyTables)
	}
	return o
}

// identities are those that open the chosen archive alone.
func (r *restore) identities(v *Values) vault.Identities {
	return vault.Identities{Unlocked: []string{v.SecretOf(keyOpen).Text()}}
}

// plan makes the plan anew and keeps it. The command that does the same
// needs an identity by path: what was pasted has none.
func (r *restore) plan(ctx context.Context, v *Values) error {
	p, err := r.Vault.PlanRestore(ctx, r.options(v))
	if err != nil {
		return err
	}
	same := *p
	for _, f := range r.files(v) {
		same.Same += " -i " + Quoted(f)
	}
	if r.Again != nil {
		same.Same = r.Again(same.Same)
	}
	v.Put(factPlan, &same)
	v.Put(factDecided, decided(v))
	return nil
}

func (r *restore) runStep() Step {
	return Step{
		Key: "run", Name: "Run", Question: "The restore is running", Loading: "starting the job",
		Text: "It is a job of its own: you may leave, or lose the connection.",
		Why:  "A job is a process of its own, so that a lost connection does not end a restore half done. It got what opens this one archive, and no identity.",
		Job: func(_ context.Context, v *Values, _ Talk) (vault.Order, vault.Secrets, error) {
			o := r.options(v)
			return vault.Order{Kind: vault.KindRestore, Database: r.archive(v).Database, ID: o.ID, ToNew: o.ToNew, ToEmpty: o.ToEmpty,
				Tables: slices.Clone(o.Tables), NoOwner: o.NoOwner, CreateRoles: o.CreateRoles, FullRoles: o.FullRoles, NoTablespaces: o.NoTablespaces}, vault.Secrets{Unlocked: o.Identities.Unlocked}, nil
		},
		Body: func(v *Values) []Section { return runSections(v.Run("run")) },
	}
}

// decided is what was decided about roles and tablespaces that are missing.
func decided(v *Values) string {
	return first(v.Get(keyRoles), "stop") + " " + first(v.Get(keySpaces), "stop")
}

// runSections are a job that goes on, for a face without a view of its own.
func runSections(run *Run) []Section {
	if run == nil || run.Done != nil {
		return nil
	}
	out := []Section{{Label: "job", Lines: []Line{{Text: run.Job.ID}}}, {Label: "now", Lines: []Line{{Text: run.Doing()}}}}
	if p := run.Progress; p.Rows > 0 {
		rows := Count(p.Rows) + " rows"
		if p.RowsTotal > 0 {
			rows = Count(p.Rows) + " of " + Count(p.RowsTotal) + " rows"
		}
		out = append(out, Section{Label: "rows", Lines: []Line{{Text: rows + ", " + Size(p.Bytes)}}})
	}
	for i, n := range run.Notices {
		if i >= len(run.Notices)-3 {
			out = append(out, Section{Lines: []Line{{State: "!", Text: n}}})
		}
	}
	return out
}

func (r *restore) reportStep() Step {
	return Step{
		Key: "report", Name: "Report", Question: "What came of it", Enter: "close",
		Why:  "The restored database was dumped again and compared with what was recorded when the backup was made: rows and SHA-256 of every table.",
		Body: func(v *Values) []Section { return report(v.Run("run"), r.target(v)) },
		Load: r.offer, Loading: "asking whether it could take the live one's place",
		Actions: []Action{r.switchAction(), {Key: "y", Name: "copy job id", Help: "copy the job's id; pgvault job log shows its log", Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
			id := v.Run("run").Job.ID
			return Copied(id, id), nil
		}}},
	}
}

func report(run *Run, target string) []Section {
	if run == nil || run.Done == nil {
		return nil
	}
	d := run.Done
	var out []Section
	switch {
	case d.Result == vault.ResultOK:
		out = append(out, Section{Lines: []Line{{State: "ok", Text: fmt.Sprintf("%d of %d tables equal, %s rows, in %s. %s is ready; no other database was touched.",
			d.TablesEqual, d.TablesTotal, Count(d.Rows), time.Duration(d.Seconds*float64(time.Second)).Round(time.Second), target)}}})
	case len(d.Differences) > 0:
		out = append(out, Section{Lines: []Line{{State: "x", Text: fmt.Sprintf("%d of %d tables equal; %s. No other database was touched.",
			d.TablesEqual, d.TablesTotal, Plural(int64(len(d.Differences)), "difference"))}}})
	default:
		out = append(out, Section{Lines: []Line{{State: "x", Text: "the restore ended: " + string(d.Result)}}})
	}
	if len(d.Differences) > 0 {
		t := &Table{Titles: []string{"WHAT", ">IN BACKUP", ">RESTORED", "WHY"}}
		for _, x := range d.Differences {
			t.Rows = append(t.Rows, []string{x.Table, Count(x.RowsExpected), Count(x.RowsFound), x.Why})
		}
		out = append(out, Section{Table: t})
	}
	return append(out, FourLines(d.Err)...)
}
