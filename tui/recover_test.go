package tui

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// madeUpVault is a vault on a disk whose host is gone.
type madeUpVault struct{ archives []vault.Archive }

func (m madeUpVault) List(context.Context) ([]vault.Archive, error) { return m.archives, nil }

func (m madeUpVault) TryKeys(context.Context, string, vault.Identities) (string, error) {
	return "ops-2024", nil
}

func (m madeUpVault) PlanRecover(_ context.Context, o vault.RecoverOptions) (*vault.RecoverPlan, error) {
	p := &vault.RecoverPlan{Vault: "main", ID: "34c9a6548f820172fb1ee6c8a6a5bca0", Signers: []archive.Signing{{Fingerprint: "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIQTMZrzvj2HrKc"}},
		Checks: []vault.Check{{State: "ok", Text: "together ~9.3 GiB are needed for 2 databases; 188 GiB are free in /var/lib/postgresql"}},
		Roles:  &vault.RecoverRoles{Statements: []string{`CREATE ROLE "app" LOGIN PASSWORD (as it was)`, `CREATE ROLE "report"`}, Exist: []string{"postgres"}, Passwords: true}}
	for i := range m.archives {
		a := m.archives[i]
		d := vault.RecoverDatabase{Database: a.Database, Target: a.Database, Archives: 12, Chosen: &a, Checks: []vault.Check{{State: "ok", Text: "it is the newest, and a restore has proven it"}}}
		if i == 1 {
			d.Checks = []vault.Check{{State: "!", Text: "the newest archive that a restore has proven is of 3 September; a good one that none has proven is 1 day newer", Do: "--latest takes that one"}}
		}
		p.Databases = append(p.Databases, d)
	}
	return p, nil
}

func (m madeUpVault) UnlockRecover(context.Context, *vault.RecoverPlan) ([]string, error) {
	return []string{"opens one", "opens the other"}, nil
}

func (m madeUpVault) PlanTakeOver(_ context.Context, o vault.TakeOverOptions) (*vault.TakeOverPlan, error) {
	p := &vault.TakeOverPlan{Vault: "main", ID: "34c9a6548f820172fb1ee6c8a6a5bca0", Databases: []string{"billing", "shop"}}
	c := vault.Check{State: "x", Text: "the archive 20260904T020000Z-7f3a of shop was written 4 Sep 02:21Z: the old host may still write here", Do: "stop its timer; then --old-host-is-gone"}
	if o.Gone {
		c = vault.Check{State: "!", Text: "that the old host is gone was said"}
	}
	p.Checks = []vault.Check{c, {State: "ok", Text: "2 recipients, the same as of the newest archive"}}
	return p, nil
}

// madeUpDisk is where it lies: its digits are this process's.
var madeUpDisk = regexp.MustCompile(`pgv-[0-9]+`)

// recoverAt is a rig that shows a recovery guide on a made-up vault.
func recoverAt(t *testing.T, w, h int, given setup.RecoverGiven) (r *rig, disk string, goOn chan struct{}) {
	t.Helper()
	disk = fmt.Sprintf("/tmp/pgv-%07d", os.Getpid()%10000000)
	if err := os.MkdirAll(filepath.Join(disk, "main"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(disk) })
	if err := os.WriteFile(filepath.Join(disk, "main", "vault.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 9, 4, 2, 0, 0, 0, time.UTC)
	v := madeUpVault{[]vault.Archive{
		{ID: "20260904T020000Z-7f3a", Database: "shop", Started: at, State: "good", Tables: 112, Rows: 48210114, Stored: 2 << 30, Proof: vault.ProofRestored, Recipient: []string{"ops-2024", "safe-box"}},
		{ID: "20260903T010000Z-0c11", Database: "billing", Started: at.Add(-25 * time.Hour), State: "good", Tables: 1, Rows: 12, Stored: 5 << 20, Proof: vault.ProofReadable},
	}}
	goOn = make(chan struct{})
	d := sampleDesk()
	d.watch = func(_ context.Context, _ string, s vault.Sink) error {
		s(vault.RunStarted{Kind: vault.KindRecover})
		s(vault.DatabaseDone{N: 1, Of: 2, Row: vault.RecoverRow{Database: "billing", Target: "billing", ID: "20260903T010000Z-0c11", Result: "ok", TablesEqual: 1, TablesTotal: 1, Rows: 12, Seconds: 0.4}})
		s(vault.RunStarted{Kind: vault.KindRestore, Database: "shop", Stages: []vault.Stage{vault.StageCheck, vault.StageData}})
		s(vault.StageStarted{Stage: vault.StageData})
		s(vault.Progress{Stage: vault.StageData, Rows: 20000000, RowsTotal: 48210114})
		<-goOn
		line := []byte(`{"schema":1,"type":"database","n":2,"of":2,"database":"shop","target":"shop","result":"differs","tables_equal":111,"tables_total":112,"rows":48210108,"seconds":812,"error":{"what":"1 of 112 tables differs","why":"public.sessions has 6 rows fewer","left":"the restored database stays, no other was touched","do":"look at it","code":5}}`)
		e, err := vault.DecodeEvent(line)
		if err != nil {
			return err
		}
		s(e)
		s(vault.RunDone{Kind: vault.KindRecover, Result: vault.ResultFailed, Exit: fault.Differs, TablesEqual: 112, TablesTotal: 113, Err: &fault.Error{What: "1 of 2 databases came back whole", Code: fault.Differs}})
		return nil
	}
	world := setup.RecoverWorld{Path: filepath.Join(disk, "etc", "config.toml"), StateDir: filepath.Join(disk, "state"), Access: vault.Access{Act: true}, Random: rand.Reader, Given: given, Runs: d,
		Open: func(config.Place, store.Store, vault.RecoverOrder) (setup.RecoverVault, error) { return v, nil }}
	s, err := setup.RecoverSession(t.Context(), world)
	if err != nil {
		t.Fatal(err)
	}
	r = newRig(t, d, Options{Guide: s}, w, h)
	return r, disk, goOn
}

// step wants the guide at a step, and keeps its screen; 80x24 and 30x8 of it
// are goldens.
func (r *rig) recoverStep(t *testing.T, step string) {
	t.Helper()
	r.settle()
	atStep(t, r, step)
	for _, size := range [][2]int{{80, 24}, {30, 8}} {
		w, h := r.m.w, r.m.h
		r.m.w, r.m.h = size[0], size[1]
		r.check()
		name := "recover-" + step
		if size[0] < 80 {
			name += "-30x8"
		}
		golden(t, name, madeUpDisk.ReplaceAllStringFunc(r.screen(), func(s string) string { return "pgv-" + strings.Repeat("0", len(s)-4) }))
		r.m.w, r.m.h = w, h
	}
}

// TestRecoverPages walks through the guide from an address to the take-over.
func TestRecoverPages(t *testing.T) {
	r, disk, goOn := recoverAt(t, 80, 24, setup.RecoverGiven{Server: "host=/run/postgresql"})
	r.recoverStep(t, "where")
	r.keys("esc") // it never leaves
	r.wants("this is the first step")
	r.typeText(disk)
	r.settle()
	r.keys("enter")
	r.recoverStep(t, "signed")
	r.keys("down")
	r.settle()
	r.wants("> the place's own: WORSE", "restoring one can run")
	r.keys("enter")
	r.recoverStep(t, "key")
	key := filepath.Join(disk, "key")
	if err := archive.WriteNewIdentity(key); err != nil {
		t.Fatal(err)
	}
	r.keys("tab")
	r.typeText(key)
	r.settle()
	r.keys("enter")
	r.recoverStep(t, "databases")
	r.keys("enter")
	r.recoverStep(t, "how")
	r.keys("enter")
	r.recoverStep(t, "checks")
	r.wants("in Databases takes that one")
	r.keys("enter")
	r.recoverStep(t, "plan")
	r.typeText("main")
	r.keys("enter")
	r.until("a database under way", func() bool { return strings.Contains(r.screen(), "2 of 2: shop, data, 2 of 2, 41%") })
	r.recoverStep(t, "run")
	if s := r.d.secrets[0]; len(s.Unlocked) != 2 || s.Files != nil || s.Texts != nil {
		t.Errorf("%+v", s)
	}
	r.keys("esc")
	r.wants("the job runs by itself")
	close(goOn)
	r.until("the end", func() bool { return !r.m.guideOpen().s.Running() })
	r.keys("enter")
	r.recoverStep(t, "report")
	r.keys("enter")
	r.settle()
	r.keys("down")
	r.recoverStep(t, "over")
	one, err := setup.NewIdentity("ops-2024", false)
	if err != nil {
		t.Fatal(err)
	}
	two, err := setup.NewIdentity("safe-box", false)
	if err != nil {
		t.Fatal(err)
	}
	r.m.guideOpen().s.Values().Set("recipients", one.Lines()+" "+two.Lines())
	r.keys("enter")
	r.recoverStep(t, "confirm")
	r.keys("tab")
	r.typeText("main")
	r.keys("enter")
	r.settle()
	r.wants("the take-over is refused", "old host may still write here", "then say so above")
}

// TestWelcomePage is the first page of all.
func TestWelcomePage(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {30, 8}} {
		r := newRig(t, sampleDesk(), Options{Guide: guide.New(setup.Welcome(false), nil)}, size[0], size[1])
		r.keys("down")
		golden(t, fmt.Sprintf("welcome-%dx%d", size[0], size[1]), r.screen())
		r.keys("enter")
		r.settle()
		if r.m.guideOpen() != nil && !r.m.guideOpen().s.Finished() {
			t.Error("the page stays")
		}
	}
}
