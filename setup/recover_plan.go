package setup

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
)

func (r *recovery) databases() guide.Step {
	g := r.w.Given
	some := func(v *guide.Values) bool { return v.Get(keyWhich) == "some" && len(g.Databases) == 0 }
	return guide.Step{
		Key: "databases", Name: "Databases", Question: "Which databases are to come back?", Loading: "reading the list of archives",
		Why: "A restore has proven an archive: it was brought back once, and every table compared. The newest such is the first choice; a newer one that none has proven is compared after the restore like any other.",
		Load: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			_, err := r.archives(ctx, v)
			return err
		},
		Fields: []guide.Field{
			{Key: keyWhich, Label: "databases", Kind: guide.Choice, When: given(len(g.Databases) == 0), Options: func(*guide.Values) []guide.Option {
				return []guide.Option{{Value: "all", Label: "all"}, {Value: "some", Label: "these only"}}
			}},
			{Key: keyDatabases, Label: "these", Kind: guide.Many, When: some, Options: func(v *guide.Values) []guide.Option {
				var out []guide.Option
				for _, d := range saved(v) {
					out = append(out, guide.Option{Value: d.name, Label: d.name, Hint: count(d.archives, "archive")})
				}
				return out
			}},
			{Key: keyPick, Label: "which archive", Kind: guide.Choice, When: given(!g.Latest), Options: func(*guide.Values) []guide.Option {
				return []guide.Option{
					{Value: "proven", Label: "the newest that a restore has proven", Hint: "the newest good where none is"},
					{Value: "latest", Label: "the newest good", Hint: "perhaps not proven yet"},
				}
			}},
		},
		Body: func(v *guide.Values) []guide.Section {
			t := &guide.Table{Titles: []string{"DATABASE", ">ARCHIVES", "NEWEST GOOD", "NEWEST PROVEN"}}
			for _, d := range saved(v) {
				t.Rows = append(t.Rows, []string{d.name, fmt.Sprint(d.archives), d.newest, d.proven})
			}
			return []guide.Section{{Table: t}}
		},
	}
}

// how asks for what is decided once for all of them.
func (r *recovery) how() guide.Step {
	g := r.w.Given
	return guide.Step{
		Key: "how", Question: "Under which names, and with which roles?",
		Text: "As they were is what applications expect; another name leaves room for what is there already.",
		Why:  "Owners and grants name roles. Where the server lacks them they are made first, as they were: passwords are saved as verifiers only, and shown to nobody.",
		Skip: given(len(g.As) > 0 && g.Roles != "" && g.NoTablespaces),
		Fields: []guide.Field{
			{Key: keyAs, Label: "new names", Kind: guide.Text, Optional: true, When: given(len(g.As) == 0), Hint: "shop=shop_back, wiki=wiki_2 (empty: their own)", Valid: validNames},
			{Key: keyRoles, Label: "missing roles", Kind: guide.Choice, When: given(g.Roles == ""), Options: func(*guide.Values) []guide.Option {
				return []guide.Option{
					{Value: string(vault.RolesCreate), Label: "create all as they were", Hint: "with passwords, memberships, settings"},
					{Value: string(vault.RolesBare), Label: "make those that are used, bare", Hint: "without login and password"},
					{Value: string(vault.RolesLeave), Label: "make none", Hint: "all belongs to the role that restores"},
				}
			}},
			{Key: keySpaces, Label: "default tablespace", Kind: guide.YesNo, When: given(!g.NoTablespaces)},
		},
	}
}

// savedDatabase is what a vault has of one database.
type savedDatabase struct {
	name           string
	archives       int
	newest, proven string
}

// saved lists the databases of the vault, known since Load.
func saved(v *guide.Values) []savedDatabase {
	by := map[string]*savedDatabase{}
	var out []*savedDatabase
	for _, a := range knownArchives(v) { // newest first
		d := by[a.Database]
		if d == nil {
			d = &savedDatabase{name: a.Database, newest: "-", proven: "-"}
			by[a.Database], out = d, append(out, d)
		}
		d.archives++
		at := a.Started.UTC().Format("2006-01-02 15:04Z")
		if d.newest == "-" && (a.State == "good" || a.State == "partial") {
			d.newest = at
		}
		if d.proven == "-" && a.State == "good" && a.Proof == vault.ProofRestored {
			d.proven = at
		}
	}
	slices.SortFunc(out, func(a, b *savedDatabase) int { return strings.Compare(a.name, b.name) })
	rows := make([]savedDatabase, len(out))
	for i, d := range out {
		rows[i] = *d
	}
	return rows
}

// newNames takes OLD=NEW apart, with commas between.
func newNames(text string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		old, name, ok := strings.Cut(part, "=")
		if old, name = strings.TrimSpace(old), strings.TrimSpace(name); !ok || old == "" || name == "" {
			return nil, usage(fmt.Sprintf("%q is not OLD=NEW", part), "each new name stands behind the old one and =, with commas between")
		}
		out[old] = name
	}
	return out, nil
}

func validNames(_ *guide.Values, value []byte) guide.Line {
	if _, err := newNames(string(value)); err != nil {
		return guide.Line{State: "x", Text: fault.As(err).What}
	}
	return guide.Line{}
}

// options are the plan asked for, without the identities.
func (r *recovery) options(v *guide.Values) (vault.RecoverOptions, error) {
	o := vault.RecoverOptions{Latest: v.Get(keyPick) == "latest", Jobs: r.w.Given.Jobs, Roles: vault.Roles(v.Get(keyRoles)), NoTablespace: v.Yes(keySpaces), As: r.w.Given.As}
	if v.Get(keyWhich) == "some" {
		o.Databases = v.List(keyDatabases)
	}
	var err error
	if len(o.As) == 0 {
		o.As, err = newNames(v.Get(keyAs))
	}
	return o, err
}

// planned is a plan with what it was made of.
type planned struct {
	*vault.RecoverPlan
	order vault.Order
}

// makePlan plans anew and keeps it.
func (r *recovery) makePlan(ctx context.Context, v *guide.Values, t guide.Talk) error {
	v.Put(factRecovery, nil)
	o, err := r.options(v)
	if err != nil {
		return err
	}
	s, err := r.load(v, t)
	if err != nil {
		return err
	}
	o.Identities = s.Identities()
	opened, from, _, err := r.vault(ctx, v)
	if err != nil {
		return err
	}
	p, err := opened.PlanRecover(ctx, o)
	if err != nil {
		return err
	}
	v.Put(factRecovery, &planned{p, p.Order(from)})
	return nil
}

func (r *recovery) checks() guide.Step {
	return guide.Step{
		Key: "checks", Name: "Checks", Question: "Can all of it come back here?",
		Why:     "Each line was asked of the place or of the server just now. ok is well, ! goes on but is worth knowing, x keeps from going on; the remedy stands beside it.",
		Loading: "opening each archive and asking the server; nothing is made",
		Load:    r.makePlan,
		Body:    showChecks,
		Actions: []guide.Action{{Key: "a", Name: "all checks", Help: "every check of each database, or only what is worth a look", Do: func(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
			all := !guide.FactOf[bool](v, factAllChecks)
			v.Put(factAllChecks, all)
			return guide.Effect{Say: map[bool]string{true: "every check is shown", false: "what is ok is counted"}[all]}, nil
		}}},
		Do: func(_ context.Context, v *guide.Values, _ guide.Talk) error { return notRefused(v) },
	}
}

// showChecks shows what is worth a look, once where it concerns several
// databases, and counts the rest; or all of it.
func showChecks(v *guide.Values) []guide.Section {
	p := guide.FactOf[*planned](v, factRecovery)
	if p == nil {
		return nil
	}
	every, seen := guide.FactOf[bool](v, factAllChecks), map[string]int{}
	for _, d := range p.Databases {
		for _, c := range d.Checks {
			seen[c.Text]++
		}
	}
	shared := slices.Clone(p.Checks)
	var out []guide.Section
	for i, d := range p.Databases {
		var own []vault.Check
		good := 0
		for _, c := range d.Checks {
			switch several := seen[c.Text] > 1; {
			case every:
				own = append(own, c)
			case c.State == "ok":
				good++
			case !several:
				own = append(own, c)
			case !slices.Contains(shared, c):
				shared = append(shared, c)
			}
		}
		if good > 0 {
			own = append(own, ok("%s", count(good, "other check")))
		}
		out = append(out, guide.Section{Label: fmt.Sprint(i + 1), Lines: []guide.Line{{Text: databaseLine(d)}}}, guide.Section{Lines: inGuide(own)})
	}
	return append([]guide.Section{{Label: "all", Lines: inGuide(shared)}}, out...)
}

// databaseLine names a database of the plan and what it comes from.
func databaseLine(d vault.RecoverDatabase) string {
	text := d.Database
	if d.Target != d.Database {
		text += " as " + d.Target
	}
	if a := d.Chosen; a != nil {
		text += fmt.Sprintf(", from %s: %s, %s, %s, %s", a.ID, count(a.Tables, "table"), guide.Plural(a.Rows, "row"), guide.Size(a.Stored), a.Proof)
	}
	return text
}

// flagWords are the remedies of a plan, as this guide has them.
var flagWords = []struct {
	flag *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`--latest takes that one`), `"the newest good" in Databases takes that one`},
	{regexp.MustCompile(`--as \S+ gives the recovered one another name`), "give the recovered one a new name in Databases"},
	{regexp.MustCompile(`(choose|come back) with --database`), "$1 with \"these only\" in Databases"},
	{regexp.MustCompile(`--signer with its fingerprint`), "add its fingerprint in Signed by"},
	{regexp.MustCompile(`--no-tablespaces`), `"default tablespace" in Databases`},
	{regexp.MustCompile(`--roles (bare|leave|create)`), `"missing roles" in Databases`},
}

func inGuide(checks []vault.Check) []guide.Line {
	out := lines(checks)
	for i := range out {
		for _, w := range flagWords {
			out[i].Do = w.flag.ReplaceAllString(out[i].Do, w.word)
		}
	}
	return out
}

// notRefused is nil where the plan forbids nothing.
func notRefused(v *guide.Values) error {
	p := guide.FactOf[*planned](v, factRecovery)
	if p == nil {
		return &fault.Error{Op: "recover", What: "there is no plan", Left: "nothing was made or changed", Do: "go back (<), and forward again", Code: fault.Refused}
	}
	all := slices.Clone(p.Checks)
	for _, d := range p.Databases {
		for _, c := range d.Checks {
			c.Text = d.Database + ": " + c.Text
			all = append(all, c)
		}
	}
	for i, l := range inGuide(all) {
		if l.State == "x" {
			return &fault.Error{Op: "recover", What: "the recovery is refused", Why: all[i].Text, Left: "no role and no database was made", Do: l.Do, Code: fault.Refused}
		}
	}
	return nil
}

func (r *recovery) plan() guide.Step {
	return guide.Step{
		Key: "plan", Name: "Plan", Question: "This will be done. Nothing has been made yet.", Enter: "recover",
		Text: "Type the vault's name to begin.",
		Why:  "The job does exactly this: should an archive have come or gone until then, it stops before it makes anything. Every table is compared with what was recorded when it was saved.",
		Load: func(ctx context.Context, v *guide.Values, t guide.Talk) error {
			if v.Fact(factRecovery) == nil { // come back to from a draft
				return r.makePlan(ctx, v, t)
			}
			return nil
		},
		Loading: "opening each archive and asking the server; nothing is made",
		Fields: []guide.Field{{Key: keyBegin, Label: "vault's name", Kind: guide.Text, Valid: func(v *guide.Values, value []byte) guide.Line {
			if p := guide.FactOf[*planned](v, factRecovery); p != nil && string(value) != p.Vault {
				return guide.Line{State: "x", Text: "that is not the vault's name"}
			}
			return guide.Line{}
		}}},
		Body: r.showPlan,
		Do:   func(_ context.Context, v *guide.Values, _ guide.Talk) error { return notRefused(v) },
		Actions: []guide.Action{{Key: "Y", Name: "copy command", Help: "copy the command that does the same", Do: func(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
			same := r.same(v)
			if len(r.secrets(v).Files) == 0 {
				return guide.Effect{Copy: same, Say: "copied; add -i and the path of a key to it: " + same}, nil
			}
			return guide.Copied(same, same), nil
		}}},
	}
}

func (r *recovery) showPlan(v *guide.Values) []guide.Section {
	p := guide.FactOf[*planned](v, factRecovery)
	if p == nil {
		return nil
	}
	text := func(label, s string) guide.Section {
		return guide.Section{Label: label, Lines: []guide.Line{{Text: s}}}
	}
	out := []guide.Section{text("vault", p.Vault+", id "+p.ID), text("place", p.order.Recover.Place+"; it is only read")}
	signed := guide.Section{Label: "signed"}
	for _, s := range p.Signers {
		signed.Lines = append(signed.Lines, guide.Line{Text: "by " + s.Fingerprint})
	}
	if v.Get(keyWhose) == "place" {
		signed.Lines = append(signed.Lines, guide.Line{State: "!", Text: "these keys are the place's own word", Do: "compare them with the recovery sheet"})
	}
	out = append(out, signed)
	var sql guide.Section
	if g := p.Roles; g != nil {
		passwords := map[bool]string{true: "with passwords", false: "without passwords, which were not saved"}[g.Passwords]
		if len(g.Statements) == 0 {
			out = append(out, text("1", "no role is missing: "+count(len(g.Exist), "role")+" there already and left as they are"))
		} else {
			out = append(out, text("1", fmt.Sprintf("the roles as they were, %s: %s below; %s there already and left as they are", passwords, count(len(g.Statements), "statement"), count(len(g.Exist), "role"))))
		}
		sql.Label = "1 is"
		for _, s := range g.Statements {
			sql.Lines = append(sql.Lines, guide.Line{Text: s})
		}
	} else {
		out = append(out, text("1", "no role beforehand"))
	}
	for i, d := range p.Databases {
		line := databaseLine(d)
		if d.There != nil {
			line += ": is there since an earlier run, and is left as it is"
		}
		out = append(out, text(fmt.Sprint(i+2), line))
	}
	return append(out, text("same as", r.same(v)), sql)
}

// same is the command that does the same. A pasted key has no path.
func (r *recovery) same(v *guide.Values) string {
	p := guide.FactOf[*planned](v, factRecovery)
	o := p.order.Recover
	s := "pgvault recover"
	add := func(flag string, values ...string) {
		for _, value := range values {
			s += " " + flag + " " + guide.Quoted(value)
		}
	}
	some := func(flag, value string) {
		if value != "" {
			add(flag, value)
		}
	}
	add("--from", o.Place)
	some("--credentials", o.Credentials)
	if f := guide.FactOf[*foundPlace](v, factPlace); f != nil && len(f.vaults) > 1 {
		add("--vault", o.Vault)
	}
	if v.Get(keyWhose) == "place" {
		s += " --trust-place"
	} else {
		add("--signer", strings.Fields(v.Get(keySigner))...)
	}
	add("-i", r.secrets(v).Files...)
	if o.Service != "" {
		add("--server", "service="+o.Service)
	}
	some("--server", o.Conninfo)
	add("--database", o.Databases...)
	for _, d := range p.Databases {
		if to, ok := o.As[d.Database]; ok {
			add("--as", d.Database+"="+to)
		}
	}
	if o.Latest {
		s += " --latest"
	}
	if o.Roles != vault.RolesCreate {
		some("--roles", string(o.Roles))
	}
	if p.order.NoTablespaces {
		s += " --no-tablespaces"
	}
	if r.w.Again != nil {
		s = r.w.Again(s)
	}
	return s
}
