package vault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
)

// SwitchOptions say which database gets another one's place.
type SwitchOptions struct {
	Database string   // the live one, whose name changes hands
	With     string   // the restored one that gets it
	Accept   []string // names of what differs from the archive and is accepted all the same
}

// SwitchGoal is how the names stand when a switch has ended.
type SwitchGoal string

// The goals.
const (
	GoalSwitched SwitchGoal = "switched" // the restored database has the live one's name
	GoalOriginal SwitchGoal = "original" // each has its own
)

// SwitchSession is a session that a switch ends.
type SwitchSession = pg.Session

// SwitchSide is one of the two databases, as the plan found it.
type SwitchSide struct {
	Name     string          `json:"name"`  // now
	After    string          `json:"after"` // when the plan was applied
	OID      uint32          `json:"oid"`
	Bytes    int64           `json:"bytes"` // on the server's disk, -1: not known
	Sessions []SwitchSession `json:"-"`
	// LastActive is the newest statement of a session that is there now; nil:
	// not known. Writing sessions are in a transaction that has written.
	LastActive *time.Time `json:"last_active"`
	Writing    int        `json:"writing"`
}

// SwitchDifference is something in the restored database that is not as the
// archive recorded it. Name is what has to be accepted.
type SwitchDifference struct {
	Name     string `json:"name"`
	Why      string `json:"why"`
	Accepted bool   `json:"accepted"`
}

// SwitchPlan is what a switch, its undo or its resumption will do, as data:
// the face shows it and the engine applies the very same. Goal tells which.
type SwitchPlan struct {
	Goal     SwitchGoal
	Resumes  bool   // one that was broken off goes on, or back
	Database string // the name that changes hands; what a person types to confirm
	Old      string // the name of the database that was live, after the switch
	Live     SwitchSide
	Other    SwitchSide // the restored one
	Archive  string     // that it was restored from
	BackupAt time.Time
	Lost     time.Duration // between the backup and now: what was written then is only in Old
	Equal    int           // tables proven equal
	Tables   int           // of so many
	Proven   time.Time

	Differences []SwitchDifference
	Checks      []Check
	Steps       []string
	Same        string // the command that does the same

	o      SwitchOptions
	j      *switchJournal
	locked bool // this process holds the locks of the database
}

// Refused tells whether a check forbids the switch.
func (p *SwitchPlan) Refused() bool {
	return slices.ContainsFunc(p.Checks, func(c Check) bool { return c.State == "x" })
}

func (p *SwitchPlan) check(state, text, do string) {
	p.Checks = append(p.Checks, Check{State: state, Text: text, Do: do})
}

func (p *SwitchPlan) step(format string, a ...any) {
	p.Steps = append(p.Steps, fmt.Sprintf(format, a...))
}

// refusal turns the plan's x checks into an error.
func (p *SwitchPlan) refusal() error {
	var why, do []string
	for _, c := range p.Checks {
		if c.State == "x" {
			why, do = append(why, c.Text), append(do, c.Do)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return &fault.Error{Op: "switch", What: "the switch was refused before it began", Why: strings.Join(why, "; "), Left: leftAtFirst(KindSwitch), Do: strings.Join(do, "; "), Code: fault.Refused}
}

// PlanSwitch looks at both databases and at what is known of the restored
// one, and gathers every check and step as data. Nothing is changed, nobody's
// session is ended.
func (v *Vault) PlanSwitch(ctx context.Context, o SwitchOptions) (*SwitchPlan, error) {
	return v.planSwitch(ctx, o, false)
}

func (v *Vault) planSwitch(ctx context.Context, o SwitchOptions, locked bool) (*SwitchPlan, error) {
	p := &SwitchPlan{Goal: GoalSwitched, Database: o.Database, o: o, locked: locked}
	p.Live.Name, p.Other.Name, p.Other.After = o.Database, o.With, o.Database
	p.Same = p.same()
	if o.Database == "" || o.With == "" || o.Database == o.With {
		return nil, &fault.Error{Op: "switch", What: "a switch needs two databases", Why: "the live one, and the restored one that gets its name", Left: leftAtFirst(KindSwitch),
			Do: "pgvault switch DB --with RESTORED", Code: fault.Usage}
	}
	if j, err := v.readSwitch(o.Database); err != nil {
		return nil, err
	} else if j != nil && !j.Done {
		p.check("x", j.brokenOff(v), "finish it, or take it back: "+switchRemedy(o.Database))
	}
	w, err := pg.OpenSwitcher(ctx, v.c.Server, o.Database, o.With)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	live, other, err := p.look(ctx, w)
	if err != nil || live == nil || other == nil {
		return p, err
	}
	if p.Old, err = freeName(ctx, w, o.Database, "__old_"+v.now().In(v.zone()).Format("0102")); err != nil {
		return nil, err
	}
	p.Live.After = p.Old
	p.checkMay(v)
	if err := p.checkServer(ctx, v, w, live, other); err != nil {
		return nil, err
	}
	if err := p.checkProof(ctx, v, w.Server.SystemID); err != nil {
		return nil, err
	}
	p.describe()
	p.j = &switchJournal{Vault: v.c.Name, Database: o.Database, With: o.With, Old: p.Old, LiveOID: live.OID, WithOID: other.OID, SystemID: w.Server.SystemID,
		LiveOpen: live.Open, WithOpen: other.Open, Archive: p.Archive, BackupAt: p.BackupAt, Equal: p.Equal, Tables: p.Tables, Goal: GoalSwitched}
	return p, nil
}

// zone is where the days of this vault are counted.
func (v *Vault) zone() *time.Location {
	if v.c.Zone != nil {
		return v.c.Zone
	}
	return time.Local
}

// look reads both databases; one that is not there is a check, and nil.
func (p *SwitchPlan) look(ctx context.Context, w *pg.Switcher) (live, other *pg.SwitchDatabase, err error) {
	if live, err = w.Database(ctx, p.Live.Name); err != nil {
		return nil, nil, err
	}
	if other, err = w.Database(ctx, p.Other.Name); err != nil {
		return nil, nil, err
	}
	if live == nil {
		p.check("x", "there is no database "+p.Live.Name+" whose place could be taken", "give the restored one its name: ALTER DATABASE "+pg.QuoteIdent(p.Other.Name)+" RENAME TO "+pg.QuoteIdent(p.Live.Name))
	} else {
		p.Live.fill(live)
	}
	if other == nil {
		p.check("x", "there is no database "+p.Other.Name, "restore it first: pgvault restore latest:"+safetext.Word(p.Live.Name)+" --to-new "+safetext.Word(p.Other.Name))
	} else {
		p.Other.fill(other)
	}
	return live, other, nil
}

func (s *SwitchSide) fill(d *pg.SwitchDatabase) {
	s.Name, s.OID, s.Bytes, s.Sessions, s.Writing, s.LastActive = d.Name, d.OID, d.Bytes, d.Sessions, 0, nil
	for _, x := range d.Sessions {
		if x.Writing {
			s.Writing++
		}
		if s.LastActive == nil || x.Since.After(*s.LastActive) {
			at := x.Since
			s.LastActive = &at
		}
	}
	if s.LastActive != nil && s.LastActive.IsZero() {
		s.LastActive = nil
	}
}

// freeName is a name that tells what it is, and that nobody has:
// shop__old_1122, then shop__old_1122_2.
func freeName(ctx context.Context, w *pg.Switcher, database, suffix string) (string, error) {
	for n := 1; ; n++ {
		end := suffix
		if n > 1 {
			end += "_" + strconv.Itoa(n)
		}
		name := database
		for len(name)+len(end) > maxName {
			name = name[:len(name)-1]
		}
		name = strings.ToValidUTF8(name, "") + end
		if d, err := w.Database(ctx, name); err != nil || d == nil {
			return name, err
		}
	}
}

// describe says what will be done, in the order in which it is.
func (p *SwitchPlan) describe() {
	from, to := &p.Live, &p.Other // who loses the name, and who gets it
	if p.Goal == GoalOriginal {
		from, to = to, from
	}
	if p.Goal == GoalSwitched {
		p.step("give %s the owner, settings, grants, comment and connection limit of %s", to.Name, from.Name)
	}
	p.step("refuse new logins to both, for everyone")
	p.step("end %s", plural(int64(len(from.Sessions)+len(to.Sessions)), "session"))
	p.step("rename both in one transaction, and let logins in: %s becomes %s, %s becomes %s", from.Name, from.After, to.Name, to.After)
	p.step("ask %s who it is and what it holds; if any of this fails, the names go back", p.Database)
}

// same is the command that does what the plan does.
func (p *SwitchPlan) same() string {
	words := []string{"pgvault switch", safetext.Word(p.Database)}
	switch {
	case p.Resumes && p.j.Goal == p.Goal:
		words = append(words, "--resume")
	case p.Resumes && p.Goal == GoalSwitched:
		words = append(words, "--resume --back")
	case p.Goal == GoalOriginal:
		words = append(words, "--undo")
	default:
		words = append(words, "--with", safetext.Word(p.o.With))
	}
	for _, a := range p.o.Accept {
		words = append(words, "--accept", safetext.Word(a))
	}
	return strings.Join(append(words, "--confirm", safetext.Word(p.Database)), " ")
}
