package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
	"pgvault/vault/archive"
)

// RecoverOptions say what to bring back of a vault whose host is gone.
type RecoverOptions struct {
	Databases    []string          // none: all that the vault has archives of
	As           map[string]string // names of new databases that are not to have the old one
	Latest       bool              // the newest good archive, also where an older one was proven by a restore
	Jobs         int               // load workers, 0: the configured number
	Roles        Roles
	NoTablespace bool // all goes into the server's default tablespace
	Identities   Identities
}

// Roles is what becomes of roles that the server lacks.
type Roles string

// What may become of them.
const (
	RolesCreate Roles = "create" // as they were, with passwords
	RolesBare   Roles = "bare"   // without login and password, and only those that own or may use something
	RolesLeave  Roles = "leave"  // none is made; objects belong to the restoring role
)

// RecoverPlan is what Recover will do: the roles first, then the databases in
// their order. Nothing was made for it.
type RecoverPlan struct {
	Vault     string            `json:"vault"`
	ID        string            `json:"id"`
	Place     string            `json:"place"`
	Signers   []archive.Signing `json:"signers"`
	Checks    []Check           `json:"checks"` // of all together
	Databases []RecoverDatabase `json:"databases"`
	Roles     *RecoverRoles     `json:"roles"` // nil: none is made

	o       RecoverOptions
	globals *GlobalsPlan
}

// RecoverRoles are the roles to be made, as statements without passwords.
type RecoverRoles struct {
	Archive    string   `json:"archive"` // whose roles they are
	Statements []string `json:"statements"`
	Exist      []string `json:"exist"`
	Passwords  bool     `json:"passwords"`
}

// RecoverDatabase is one database of the plan.
type RecoverDatabase struct {
	Database string        `json:"database"`
	Target   string        `json:"target"`
	Archives int           `json:"archives"`        // in the vault, good or not
	Newest   *KeyArchive   `json:"newest"`          // good one; nil: none
	Proven   *KeyArchive   `json:"proven"`          // the newest that a restore has proven; nil: none
	Chosen   *Archive      `json:"chosen"`          // nil: none can be used, a check says why
	There    *RecoverThere `json:"there,omitempty"` // an earlier run brought it back: it is left as it is
	Checks   []Check       `json:"checks"`
	Need     int64         `json:"need"` // bytes on the server's disk, as large as the source was

	plan *RestorePlan
	next []Archive // that are taken where the bytes of Chosen are damaged, in this order
}

// RecoverThere is what an earlier run brought back.
type RecoverThere struct {
	Archive     string `json:"id"`
	TablesEqual int    `json:"tables_equal"`
	TablesTotal int    `json:"tables_total"`
	Whole       bool   `json:"whole"` // all was equal, and pg_restore met no error
}

// Refused tells whether a check forbids to begin.
func (p *RecoverPlan) Refused() bool {
	bad := func(c Check) bool { return c.State == "x" }
	return slices.ContainsFunc(p.Checks, bad) || slices.ContainsFunc(p.Databases, func(d RecoverDatabase) bool { return d.refused() })
}

func (d *RecoverDatabase) refused() bool {
	return slices.ContainsFunc(d.Checks, func(c Check) bool { return c.State == "x" })
}

func (d *RecoverDatabase) check(state, text, do string) {
	d.Checks = append(d.Checks, Check{State: state, Text: text, Do: do})
}

func (p *RecoverPlan) check(state, text, do string) {
	p.Checks = append(p.Checks, Check{State: state, Text: text, Do: do})
}

// PlanRecover chooses an archive for each database of the vault, asks the
// server all that could make its restore fail, and gathers it as data. The
// places are only read. Archives that no trusted key signed are not used.
func (v *Vault) PlanRecover(ctx context.Context, o RecoverOptions) (*RecoverPlan, error) {
	if err := v.writable(); err != nil {
		return nil, err
	}
	if o.Roles == "" {
		o.Roles = RolesCreate
	}
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	all, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &fault.Error{Op: "recover", What: fmt.Sprintf("the vault %q has no archive", vf.Name), Why: "there is none in " + strings.Join(v.Places(), ", "), Left: "nothing was made or changed",
			Do: "look into the other places of the recovery sheet", Code: fault.NoVault}
	}
	if o.Identities.None() {
		return nil, recoverWithoutKey(all)
	}
	names, err := recoverNames(all, o)
	if err != nil {
		return nil, err
	}
	p := &RecoverPlan{Vault: vf.Name, ID: vf.ID, Place: strings.Join(v.Places(), ", "), Signers: trust.Signings(), Checks: []Check{}, o: o}
	for _, name := range names {
		own := slices.DeleteFunc(slices.Clone(all), func(a Archive) bool { return a.Database != name })
		d, err := v.recoverDatabase(ctx, o, name, own)
		if err != nil {
			return nil, err
		}
		p.Databases = append(p.Databases, *d)
	}
	p.strangers(all)
	if err := v.planRecoverRoles(ctx, p); err != nil {
		return nil, err
	}
	return p, p.checkRoom(ctx, v.c.Server)
}

// recoverWithoutKey says whose key is needed.
func recoverWithoutKey(all []Archive) error {
	var names []string
	for _, a := range all {
		if a.usable() {
			names = a.Recipient
			break
		}
	}
	return &fault.Error{Op: "recover", What: "no identity was given", Why: "the newest archive opens with the secret key of any one of: " + orElse(strings.Join(firstFew(names, 10), ", "), "nobody"), Left: "nothing was made or changed",
		Do: "name the file of one with -i FILE (- is standard input)", Code: fault.NoKey}
}

// recoverNames are the databases that are asked for, sorted.
func recoverNames(all []Archive, o RecoverOptions) ([]string, error) {
	var names []string
	for _, a := range all {
		names = append(names, a.Database)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	wrong := func(name string) error {
		return &fault.Error{Op: "recover", What: fmt.Sprintf("the vault has no archive of a database %q", name), Why: "it has archives of " + strings.Join(firstFew(names, 20), ", "), Left: "nothing was made or changed",
			Do: "name one of these", Code: fault.Usage}
	}
	if len(o.Databases) > 0 {
		for _, want := range o.Databases {
			if !slices.Contains(names, want) {
				return nil, wrong(want)
			}
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(o.Databases, n) })
	}
	taken := map[string]string{}
	for name := range o.As {
		if !slices.Contains(names, name) {
			return nil, wrong(name)
		}
	}
	for _, name := range names {
		to := orElse(o.As[name], name)
		if other, ok := taken[to]; ok {
			return nil, &fault.Error{Op: "recover", What: fmt.Sprintf("%s and %s would both become %s", other, name, to), Why: "a name has one database", Left: "nothing was made or changed", Do: "give each a name of its own with --as", Code: fault.Usage}
		}
		taken[to] = name
	}
	return names, nil
}

// recoverTries bounds how many archives of a database are opened to find one
// that serves.
const recoverTries = 20

func (v *Vault) recoverDatabase(ctx context.Context, o RecoverOptions, name string, all []Archive) (*RecoverDatabase, error) {
	d := &RecoverDatabase{Database: name, Target: orElse(o.As[name], name), Archives: len(all), Checks: []Check{}}
	list := candidates(all, o.Latest)
	for i := range all {
		a := &all[i]
		here := KeyArchive{a.ID, a.Database, a.Started}
		if a.usable() && d.Newest == nil {
			d.Newest = &here
		}
		if a.usable() && a.Proof == ProofRestored && d.Proven == nil {
			d.Proven = &here
		}
	}
	empty, done, err := v.recoverTarget(ctx, d)
	if err != nil || done || d.refused() {
		return d, err
	}
	for i, a := range list[:min(len(list), recoverTries)] {
		ro := RestoreOptions{ID: a.Database + "/" + a.ID, ToNew: d.Target, Jobs: o.Jobs, Identities: o.Identities, NoTablespaces: o.NoTablespace,
			NoOwner: o.Roles == RolesLeave, CreateRoles: o.Roles == RolesBare, FullRoles: o.Roles == RolesCreate}
		if empty {
			ro.ToNew, ro.ToEmpty = "", d.Target
		}
		rp, err := v.PlanRestore(ctx, ro)
		switch code := fault.CodeOf(err); {
		case err == nil:
			d.take(rp, list[i+1:], all)
			return d, nil
		case code == fault.Differs || code == fault.NoKey && i+1 < len(list):
			d.check("!", "the archive "+a.ID+" cannot be used: "+oneLine(err), "")
		default:
			return nil, err
		}
	}
	d.check("x", fmt.Sprintf("none of %s of %s can be used", plural(int64(len(all)), "archive"), name), "look into the other places of the recovery sheet; the other databases come back with --database")
	return d, nil
}

// candidates are the archives that may be restored, the first choice first,
// the others after it from the newest on. all is newest first.
func candidates(all []Archive, latest bool) []Archive {
	list := slices.DeleteFunc(slices.Clone(all), func(a Archive) bool { return !a.usable() })
	if latest {
		return list
	}
	i := slices.IndexFunc(list, func(a Archive) bool { return a.Proof == ProofRestored })
	if i > 0 {
		first := list[i]
		list = slices.Insert(slices.Delete(list, i, i+1), 0, first)
	}
	return list
}

// take settles on an archive and says what was passed over for it.
func (d *RecoverDatabase) take(rp *RestorePlan, next, all []Archive) {
	d.plan, d.next = rp, next
	d.Chosen, d.Need = &rp.Archive, rp.prep.r.catalog.Database.Size
	for _, a := range all {
		if !newer(&a, d.Chosen) || a.ID == d.Chosen.ID || a.usable() {
			continue
		}
		d.check("!", fmt.Sprintf("a newer archive, %s, is %s and is passed over: %s", a.ID, a.State, a.Reason), "")
	}
	switch {
	case d.Chosen.Proof == ProofRestored && d.Newest != nil && d.Newest.ID != d.Chosen.ID:
		d.check("!", fmt.Sprintf("the newest archive that a restore has proven is of %s; a good one that none has proven, %s, is %s newer", stampOf(d.Chosen.Started), d.Newest.ID, span(d.Newest.Started.Sub(d.Chosen.Started))),
			"--latest takes that one: it is compared after the restore like any other")
	case d.Chosen.Proof == ProofRestored:
		d.check("ok", "it is the newest, and a restore has proven it", "")
	default:
		d.check("!", "no restore has proven this archive yet; it is "+orElse(string(d.Chosen.Proof), "stored"), "every table is compared after the restore")
	}
	words := strings.NewReplacer("--create-roles", "--roles bare", "--no-owner", "--roles leave", "make an empty database with another one and use --to-empty", "make an empty database of that name with another one: it is filled")
	for _, c := range rp.Checks {
		c.Do = words.Replace(c.Do)
		if strings.HasPrefix(c.Text, "the signature is trusted") {
			c.Text = d.Chosen.ID + ": " + c.Text
		}
		d.Checks = append(d.Checks, c)
	}
}

// recoverTarget looks at the name that the database is to have: free, taken,
// of an empty database, or of one that an earlier run brought back (done).
func (v *Vault) recoverTarget(ctx context.Context, d *RecoverDatabase) (empty, done bool, err error) {
	comment, exists, err := pg.CommentOf(ctx, v.c.Server, d.Target)
	if err != nil || !exists {
		return false, false, err
	}
	as := "--as " + safetext.Word(d.Database) + "=" + safetext.Word(d.Target+"_recovered") + " gives the recovered one another name"
	if strings.HasPrefix(comment, halfMade) {
		d.check("x", "database "+d.Target+" is there, half-made by a restore that was killed", "DROP DATABASE "+pg.QuoteName("", d.Target)+", and recover again; or "+as)
		return false, false, nil
	}
	if n := v.restoredNoteOf(d.Target); n != nil && n.Database == d.Database {
		mark, err := pg.MarkOf(ctx, v.c.Server, d.Target)
		if err != nil {
			return false, false, err
		}
		if mark.OID == n.OID && mark.SystemID == n.SystemID {
			d.There = &RecoverThere{n.Archive, n.TablesEqual, n.TablesTotal, len(n.Differences) == 0 && n.Errors == 0}
			state, word := "ok", "it is left as it is"
			if !d.There.Whole {
				state, word = "!", "not all of it was as the archive has it: look at it, or "+as
			}
			d.check(state, fmt.Sprintf("%s is there already, recovered from %s %s: %d of %d tables equal", d.Target, n.Archive, stampOf(n.At), n.TablesEqual, n.TablesTotal), word)
			return false, true, nil
		}
	}
	_, empty, err = pg.DatabaseEmpty(ctx, v.c.Server, d.Target)
	if err == nil && !empty {
		d.check("x", "database "+d.Target+" exists already, and holds something", as)
	}
	return empty, false, err
}

// strangers says which archives no trusted key signed.
func (p *RecoverPlan) strangers(all []Archive) {
	n := 0
	var why string
	for _, a := range all {
		if a.State == "foreign" {
			n++
			why = a.Reason
		}
	}
	if n > 0 {
		p.check("!", plural(int64(n), "archive")+" not signed by a key that was vouched for, and not used: "+why, "--signer with its fingerprint, if it stands on the recovery sheet")
	}
}

// checkRoom holds all databases together against the server's disk.
func (p *RecoverPlan) checkRoom(ctx context.Context, s pg.Settings) error {
	var need int64
	n := 0
	for i := range p.Databases {
		if p.Databases[i].plan != nil {
			need += p.Databases[i].Need
			n++
		}
	}
	if n == 0 {
		return nil
	}
	conn, err := s.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	room, err := pg.RoomOf(ctx, conn)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("together ~%s are needed for %s", bytesText(need), plural(int64(n), "database"))
	p.check(roomCheck(room, need, text, "choose with --database"))
	return nil
}

// planRecoverRoles takes all roles of the newest archive that has them.
func (v *Vault) planRecoverRoles(ctx context.Context, p *RecoverPlan) error {
	if p.o.Roles != RolesCreate {
		return nil
	}
	var from []*Archive
	for i := range p.Databases {
		if d := &p.Databases[i]; d.plan != nil && d.plan.prep.r.globals != nil {
			from = append(from, d.Chosen)
		}
	}
	if len(from) == 0 {
		return nil
	}
	newest := slices.MaxFunc(from, func(a, b *Archive) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	g, err := v.PlanGlobals(ctx, GlobalsOptions{ID: newest.Database + "/" + newest.ID, Passwords: true, Identities: p.o.Identities})
	if err != nil || g == nil {
		return err
	}
	p.globals = g
	p.Roles = &RecoverRoles{g.Archive, append([]string{}, g.Statements...), append([]string{}, g.Exist...), g.Passwords}
	p.Checks = append(p.Checks, g.Checks...)
	for _, sql := range g.Tablespaces {
		p.check("!", "a tablespace of the old server is not here", sql)
	}
	return nil
}
