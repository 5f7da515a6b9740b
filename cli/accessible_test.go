package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
)

// made is a vault whose one archive a restore guide can bring back.
type made struct {
	vault.Runs
	unlocked []vault.Identities
	launched []vault.Order
	secrets  []vault.Secrets
	planned  []vault.RestoreOptions
	refuse   bool
	events   []vault.Event
	swap     func(o vault.SwitchOptions) *vault.SwitchPlan
}

func (m *made) Listing(context.Context, bool) (vault.Listing, error) {
	at := time.Date(2026, 9, 4, 2, 0, 0, 0, time.UTC)
	return vault.Listing{Archives: []vault.Archive{
		{ID: "20260904T020000Z-7f3a", Database: "shop", Started: at, State: "good", Tables: 2, Rows: 1000, Stored: 5 << 20, Proof: vault.ProofReadable},
		{ID: "20260903T020000Z-0001", Database: "shop", Started: at.AddDate(0, 0, -1), State: "damaged", Reason: "a bit \x1b[2J flipped"},
	}}, nil
}

func (m *made) PlanRestore(_ context.Context, o vault.RestoreOptions) (*vault.RestorePlan, error) {
	m.planned = append(m.planned, o)
	p := &vault.RestorePlan{Target: "shop__r", Same: "pgvault restore X", Checks: []vault.Check{{State: "ok", Text: "server 15.18"}}, Steps: []string{"create it"}}
	if o.ToNew != "" {
		p.Target = o.ToNew
	}
	if m.refuse && o.FullRoles {
		p.Checks = append(p.Checks, vault.Check{State: "!", Text: "roles are missing: app; they will be made as they were"})
	} else if m.refuse && !o.CreateRoles {
		p.Statements = []string{"CREATE ROLE app LOGIN;"}
		p.Checks = append(p.Checks, vault.Check{State: "x", Text: "roles are missing: app", Do: "--create-roles"})
	} else if m.refuse {
		p.Checks = append(p.Checks, vault.Check{State: "!", Text: "roles are missing: app; they will be made"})
	}
	return p, nil
}

func (m *made) Tables(context.Context, string, vault.Identities) ([]vault.TableInfo, error) {
	return []vault.TableInfo{{Name: "public.a", Rows: 1}, {Name: "public.b", Rows: 2}}, nil
}
func (m *made) PlanSwitch(_ context.Context, o vault.SwitchOptions) (*vault.SwitchPlan, error) {
	if m.swap == nil {
		return nil, &fault.Error{What: "the server does not answer"}
	}
	return m.swap(o), nil
}

func (m *made) UnlockRequest(context.Context, string) (string, error) {
	return "pgvault-unlock-1:REQUEST", nil
}
func (m *made) Health(context.Context) (*vault.Health, error) { return nil, errors.New("not now") }

func (m *made) Unlock(_ context.Context, _ string, ids vault.Identities) (string, string, error) {
	m.unlocked = append(m.unlocked, ids)
	if len(ids.Files) == 1 && strings.HasSuffix(ids.Files[0], "wrong") {
		return "", "", &fault.Error{What: "no given identity opens it", Why: "another key", Left: "nothing", Do: "give another", Code: fault.NoKey}
	}
	if len(ids.Files) == 1 && strings.HasSuffix(ids.Files[0], "locked") {
		if pass, err := ids.Passphrase("passphrase of locked"); err != nil || pass != "opensesame" {
			return "", "", errors.New("the passphrase does not open it")
		}
	}
	return "OPENED", "ops-2024", nil
}

func (m *made) Launch(_ context.Context, o vault.Order, s vault.Secrets) (vault.Job, error) {
	m.launched, m.secrets = append(m.launched, o), append(m.secrets, s)
	return vault.Job{ID: "job1", Order: o}, nil
}

func (m *made) Watch(_ context.Context, _ string, sink vault.Sink) error {
	for _, e := range m.events {
		sink(e)
	}
	return nil
}

var ended = []vault.Event{
	vault.RunStarted{Stages: []vault.Stage{vault.StageCheck, vault.StageData}},
	vault.StageStarted{Stage: vault.StageData},
	vault.Progress{Rows: 100, RowsTotal: 1000}, vault.Progress{Rows: 150, RowsTotal: 1000}, vault.Progress{Rows: 990, RowsTotal: 1000},
	vault.RunDone{Result: vault.ResultOK, TablesEqual: 2, TablesTotal: 2, Rows: 1000, Seconds: 2},
}

// walked goes through the restore guide with these lines as answers.
func walked(t *testing.T, m *made, answers ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	at := time.Date(2026, 9, 4, 14, 0, 0, 0, time.UTC)
	s := guide.Restore(guide.RestoreOptions{Vault: m, Runs: m, Now: func() time.Time { return at }})
	defer s.Close()
	in := bufio.NewReader(strings.NewReader(strings.Join(answers, "\n") + "\n"))
	line := func() (string, error) {
		l, err := in.ReadString('\n')
		return strings.TrimSuffix(l, "\n"), err
	}
	u := &plainUI{line: line, hidden: line, out: &out, now: func() time.Time { return at }, s: s}
	err := u.walk(t.Context())
	for _, c := range out.String() {
		if c < ' ' && c != '\n' || c >= 0x2500 && c < 0x2600 {
			t.Errorf("%q was written", c)
		}
	}
	return out.String(), err
}

func says(t *testing.T, out string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(out, p) {
			t.Errorf("nowhere: %q in\n%s", p, out)
		}
	}
}

func TestGuideByLines(t *testing.T) {
	m := &made{events: ended}
	out, err := walked(t, m,
		"", "2", "1", "", // backup: filter, a damaged one, a good one, go on
		"?", "1", "pasted answer", "", // the answer is no answer: x
		"1", "", "<", // kept; back to the way
		"2", "/keys/wrong", "", // a file that does not open it
		"2", "/keys/right", "", // one that does
		"", "", "", // where: new, the proposed name
		"", "", "", "") // checks, plan, run, the report
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	says(t, out, "Step 1 of 7: Backup", "  1  04 Sep 2026 02:00   12h  shop, 5.0 MiB, 1 000 rows, readable", "! damaged, so nothing is restored from it: a bit \\x1b[2J flipped",
		"pgvault-unlock-1:REQUEST", "The archive is encrypted to its recipients", "x 13 characters that begin no kind of key", "what: no given identity opens it",
		"its name [shop__r]", "ok server 15.18", "steps: 1  create it", "Enter: start, Y: copy command", "job job1", "data, 2 of 2, 10%", "data, 2 of 2, 99%", "ok 2 of 2 tables equal", "Enter: close")
	if strings.Contains(out, "15%") || strings.Contains(out, "pasted answer") {
		t.Error(out)
	}
	if len(m.launched) != 1 || m.launched[0].ToNew != "shop__r" || len(m.secrets[0].Unlocked) != 1 || m.secrets[0].Unlocked[0] != "OPENED" || m.secrets[0].Files != nil {
		t.Errorf("%+v %+v", m.launched, m.secrets)
	}
}

func TestGuideByLinesTablesAndRoles(t *testing.T) {
	m := &made{events: ended, refuse: true}
	out, err := walked(t, m, "", "", "",
		"2", "/keys/locked", "", "opensesame", // the passphrase is asked for when it is left
		"1", "other", "",
		"t", "0", // checks: a number first, then t is an action
	)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%v\n%s", err, out)
	}
	m = &made{events: ended, refuse: true}
	out, err = walked(t, m, "", "", "",
		"2", "/keys/locked", "", "opensesame",
		"1", "other", "",
		"", "", // refused: nothing was decided about the roles
		"3", "t", // make them bare, then choose tables
		"1,2", "", "", "", "Y", "", "", "")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	says(t, out, "passphrase of locked (hidden)", "deriving (about 1 s)", "what: the restore is refused", "2  create them as they were", "3  make them bare", "x roles are missing: app (--create-roles)", "1  public.a, 1 row", "pgvault restore X -i /keys/locked")
	if o := m.launched[0]; !o.CreateRoles || len(o.Tables) != 2 || o.ToNew != "other" {
		t.Errorf("%+v", o)
	}
	if len(m.unlocked) != 1 {
		t.Errorf("the passphrase was asked for %d times", len(m.unlocked))
	}
}

// swapOf plans a switch in which public.a differs until it is accepted.
func swapOf(o vault.SwitchOptions) *vault.SwitchPlan {
	p := &vault.SwitchPlan{Goal: vault.GoalSwitched, Database: "shop", Old: "shop__old_0904", Archive: "X", Live: vault.SwitchSide{Name: "shop", After: "shop__old_0904", OID: 1},
		Other: vault.SwitchSide{Name: o.With, After: "shop", OID: 2}, Steps: []string{"rename both"}, Same: "pgvault switch shop"}
	p.Differences = []vault.SwitchDifference{{Name: "public.a", Why: "1 row fewer", Accepted: len(o.Accept) > 0}}
	if len(o.Accept) == 0 {
		p.Checks = []vault.Check{{State: "x", Text: "public.a: 1 row fewer"}}
	}
	return p
}

func TestGuideByLinesSwitch(t *testing.T) {
	way := []string{"", "", "", "2", "/keys/right", "", "", "", "", "", "", ""}
	m := &made{events: ended, swap: swapOf}
	out, err := walked(t, m, append(way, "s",
		"public.b", "shop__r", "", // wrong names: asked again
		"public.a", "shop", "",
		"", "")...) // the job, its report
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	says(t, out, "s: switch", "x these have to be named: public.a", "x that is not its name", "shop__old_0904 is what is shop now", "undo: pgvault switch --undo shop --confirm shop", "Enter: switch")
	if len(m.launched) != 2 || m.launched[1].Kind != vault.KindSwitch || m.launched[1].Database != "shop" || len(m.launched[1].Plan) != 64 {
		t.Errorf("%+v", m.launched)
	}
	m = &made{events: ended}
	if out, err = walked(t, m, append(way, "s", "")...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	says(t, out, "! the server does not answer")
	if len(m.launched) != 1 {
		t.Errorf("%+v", m.launched)
	}
}

// TestGuideByLinesDecided decides on missing roles with a key, on the checks
// and on the plan itself; each time the plan is made anew.
func TestGuideByLinesDecided(t *testing.T) {
	m := &made{events: ended, refuse: true}
	way := []string{"", "", "", "2", "/keys/right", "", "", "", ""}
	out, err := walked(t, m, append(way, "", "r", "", // checks: the field, r creates them, on
		"r", "r", "r", "", // plan: bare, left out (which this server refuses), stop: refused
		"r", "", "", "")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	says(t, out, "r: missing roles", "sql: CREATE ROLE app LOGIN;", "planned anew: roles are created as they were", "planned anew: roles are made without login and password",
		"planned anew: owners and grants are left out", "planned anew: not restored while something is missing", "what: the restore is refused", "! roles are missing: app; they will be made as they were")
	if o := m.launched; len(o) != 1 || !o[0].FullRoles || o[0].CreateRoles || o[0].NoOwner {
		t.Errorf("%+v", o)
	}
}

func TestGuideByLinesLeft(t *testing.T) {
	m := &made{}
	if _, err := walked(t, m, "<"); !errors.Is(err, errLeft) {
		t.Errorf("back from the first step: %v", err)
	}
	if _, err := walked(t, m, "", "9", "x"); !errors.Is(err, io.EOF) {
		t.Errorf("hang-up: %v", err)
	}
	if len(m.launched) > 0 {
		t.Error("something was launched")
	}
}
