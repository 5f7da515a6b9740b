package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
	"pgvault/vault/retention"
)

// retentionPage is mode p: what the rules keep and what goes, and why, while
// their numbers are changed. What was looked at once is planned anew at every
// key; only A and w lead to a change, and both ask first.
type retentionPage struct {
	look   *vault.RetentionLook
	err    error // the newest look failed
	asking bool

	names    []string // the databases that have archives, sorted
	database string   // the one shown; empty: all
	tries    map[string]retention.Policy
	field    int  // the number that keys change
	begun    bool // digits follow those that were typed
	plan     *vault.RetentionPlan
	planErr  error
	// what the rules shown hold in the long run, 0 where that cannot be told
	holds      int
	holdsBytes int64

	sel, top, rows, listTop int
}

// Commands of the retention preview.
const (
	cmdRetention command = "retention"
	cmdLeft      command = "number-left"
	cmdRight     command = "number-right"
	cmdMore      command = "more"
	cmdFewer     command = "fewer"
	cmdDigits    command = "digits"
	cmdAll       command = "all-databases"
	cmdUntry     command = "policy-back"
	cmdApply     command = "apply"
	cmdWrite     command = "write"
	cmdUnmark    command = "undo-mark"
)

// Actions of retention.
type (
	openRetention struct{ database string }
	saveKeep      struct { // write a policy into the configuration, after a review
		from   string
		policy retention.Policy
	}
	keepMarked struct{ database, id string } // take a mark away
)

// ruleNames are the numbers of a policy, in the order of the fields.
var ruleNames = []string{"last", "hourly", "daily", "weekly", "monthly", "yearly", "within"}

const ruleWithin = 6

// ruleOf is the field of a policy that counts archives; nil for within.
func ruleOf(p *retention.Policy, field int) *int {
	return []*int{&p.Last, &p.Hourly, &p.Daily, &p.Weekly, &p.Monthly, &p.Yearly, nil}[field]
}

const (
	day       = 24 * time.Hour
	maxWithin = 36500 // days
)

// ruleNumber is what the field shows as a number: of within, whole days.
func ruleNumber(p retention.Policy, field int) int {
	if n := ruleOf(&p, field); n != nil {
		return *n
	}
	return int(p.Within / day)
}

// withRule is the policy with another number, kept within what is allowed.
func withRule(p retention.Policy, field, n int) retention.Policy {
	if at := ruleOf(&p, field); at != nil {
		*at = max(min(n, retention.MaxCount), 0)
	} else {
		p.Within = time.Duration(max(min(n, maxWithin), 0)) * day
	}
	return p
}

func newRetentionPage(database string) *retentionPage {
	return &retentionPage{database: database, tries: map[string]retention.Policy{}, field: 2, rows: 1}
}

// take brings in what was looked at. A failed look leaves the old one.
func (s *retentionPage) take(l *vault.RetentionLook, err error) {
	s.asking, s.err = false, err
	if err != nil {
		return
	}
	s.look, s.names = l, s.names[:0]
	for name := range l.Rules {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	if !slices.Contains(s.names, s.database) {
		s.database = ""
	}
	s.replan()
}

// replan decides anew; the selection stays on its archive.
func (s *retentionPage) replan() {
	if s.look == nil {
		return
	}
	id := ""
	if v, ok := s.selected(); ok {
		id = v.ID
	}
	var names []string
	if s.database != "" {
		names = []string{s.database}
	}
	s.plan, s.planErr = s.look.Plan(names, func(name string) retention.Policy {
		r := s.look.Rules[name]
		if p, tried := s.tries[r.From]; tried {
			return p
		}
		return r.Policy
	})
	s.holds, s.sel = 0, 0
	if s.database != "" && s.planErr == nil {
		s.holds, s.holdsBytes, _ = s.look.Ahead(s.database, s.policy())
	}
	if s.planErr == nil {
		s.sel = max(slices.IndexFunc(s.plan.Verdicts, func(v vault.Verdict) bool { return v.ID == id && id != "" }), 0)
	}
}

// from is the entry of the configuration whose policy is shown: of all
// databases, the one that most of them follow, the defaults before others.
func (s *retentionPage) from() string {
	if s.database != "" {
		return s.look.Rules[s.database].From
	}
	best, most := "", 0
	for _, name := range s.names {
		if f := s.look.Rules[name].From; s.follow(f) > most {
			best, most = f, s.follow(f)
		}
	}
	if n := s.follow(""); n >= most && n > 0 {
		return ""
	}
	return best
}

// follow counts the databases that an entry's policy holds for.
func (s *retentionPage) follow(from string) int {
	n := 0
	for _, r := range s.look.Rules {
		if r.From == from {
			n++
		}
	}
	return n
}

// held is the policy that the configuration has.
func (s *retentionPage) held() retention.Policy {
	from := s.from()
	for _, name := range s.names {
		if r := s.look.Rules[name]; r.From == from {
			return r.Policy
		}
	}
	return retention.Policy{}
}

// policy is the one shown, tried or held.
func (s *retentionPage) policy() retention.Policy {
	if p, tried := s.tries[s.from()]; tried {
		return p
	}
	return s.held()
}

// try takes a number into the policy shown.
func (s *retentionPage) try(n int) {
	p := withRule(s.policy(), s.field, n)
	if p == s.held() {
		delete(s.tries, s.from())
	} else {
		s.tries[s.from()] = p
	}
	s.replan()
}

func (s *retentionPage) selected() (vault.Verdict, bool) {
	if s.plan == nil || s.planErr != nil || s.sel < 0 || s.sel >= len(s.plan.Verdicts) {
		return vault.Verdict{}, false
	}
	return s.plan.Verdicts[s.sel], true
}

// ready tells whether there are numbers to change.
func (s *retentionPage) ready() bool { return s.look != nil && len(s.names) > 0 }

// takesDigits tells that digits are numbers here, not places.
func (s *retentionPage) takesDigits() bool { return s.ready() }

// typed takes digits and backspace into the number.
func (s *retentionPage) typed(_ env, k tea.KeyPressMsg) bool {
	if !s.ready() {
		return false
	}
	n := ruleNumber(s.policy(), s.field)
	switch t := k.Text; {
	case k.String() == "backspace":
		s.try(n / 10)
	case len(t) == 1 && t[0] >= '0' && t[0] <= '9':
		if !s.begun {
			n = 0
		}
		s.try(min(n, retention.MaxCount)*10 + int(t[0]-'0'))
	default:
		return false
	}
	s.begun = true
	return true
}

// paste takes digits only.
func (s *retentionPage) paste(e env, text string) {
	for _, r := range text {
		s.typed(e, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func (s *retentionPage) click(_ env, _, y int) []action {
	if i := y - s.listTop; s.planErr == nil && s.plan != nil && i >= 0 && i < s.rows && s.top+i < len(s.plan.Verdicts) {
		s.sel = s.top + i
	}
	return nil
}

func (s *retentionPage) wheel(_ env, delta int) {
	if s.plan != nil && s.planErr == nil {
		s.sel = max(min(s.sel+delta, len(s.plan.Verdicts)-1), 0)
	}
}

// next goes to another database; all of them stand before the first.
func (s *retentionPage) next(step int) {
	i := slices.Index(s.names, s.database) // -1: all
	n := len(s.names) + 1
	i = (i + 1 + step + n) % n
	s.database = ""
	if i > 0 {
		s.database = s.names[i-1]
	}
	s.begun, s.top = false, 0
	s.replan()
	s.sel = 0
}
