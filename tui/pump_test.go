package tui

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgvault/vault"
)

// steppedPump has a clock that only moves when next waits for it.
func steppedPump(interval time.Duration) (*pump, *int) {
	now, waits := clockAt, new(int)
	p := newPump(interval, func() time.Time { return now })
	p.after = func(d time.Duration) <-chan time.Time {
		*waits++
		now = now.Add(d)
		c := make(chan time.Time, 1)
		c <- now
		return c
	}
	return p, waits
}

func TestPumpKeepsAllButOldProgress(t *testing.T) {
	p, waits := steppedPump(250 * time.Millisecond)
	p.put(vault.RunStarted{Kind: vault.KindBackup})
	if got := p.next(); len(got) != 1 {
		t.Fatalf("first batch: %v", got)
	}
	p.put(vault.StageStarted{Stage: vault.StageData})
	for i := range 1000 {
		p.put(vault.Progress{Stage: vault.StageData, Rows: int64(i), Active: []vault.Table{{Name: fmt.Sprint("t", i/500), Rows: int64(i)}}})
		if i%100 == 0 {
			p.put(vault.TableDone{Name: fmt.Sprint(i)})
		}
	}
	p.put(vault.StageDone{Stage: vault.StageData})
	p.put(vault.StageStarted{Stage: vault.StageSeal})
	p.put(vault.Progress{Stage: vault.StageSeal, Rows: 1})
	got := p.next()
	var progress []vault.Progress
	tables := 0
	for _, e := range got {
		switch e := e.(type) {
		case vault.Progress:
			progress = append(progress, e)
		case vault.TableDone:
			tables++
		}
	}
	if len(got) != 15 || tables != 10 || len(progress) != 2 {
		t.Fatalf("%d events, %d tables, %d of Progress", len(got), tables, len(progress))
	}
	if last := progress[0]; last.Rows != 999 || len(last.Active) != 2 || last.Active[0].Name != "t0" {
		t.Errorf("the newest of the stage: %+v", last)
	}
	if _, ok := got[12].(vault.StageDone); !ok {
		t.Errorf("the last Progress of a stage must come before its end: %T", got[12])
	}
	if *waits == 0 {
		t.Error("two batches without the interval between them")
	}
}

func TestPumpEndsOnce(t *testing.T) {
	p, waits := steppedPump(time.Hour)
	p.put(vault.RunStarted{})
	p.next()
	p.put(vault.RunDone{Result: vault.ResultOK})
	p.put(vault.RunDone{Result: vault.ResultFailed})
	p.put(vault.Notice{Text: "late"})
	if got := p.next(); len(got) != 1 || got[0].(vault.RunDone).Result != vault.ResultOK {
		t.Errorf("%v", got)
	}
	if *waits != 0 {
		t.Error("the end had to wait")
	}
	if p.next() != nil {
		t.Error("something after the end")
	}
}

func TestPumpNeverBlocksTheEngine(t *testing.T) {
	p := newPump(time.Hour, time.Now)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 20000 {
			p.put(vault.Progress{Rows: int64(i)})
			p.put(vault.Notice{})
		}
		p.put(vault.RunDone{})
	})
	wg.Wait() // nobody reads meanwhile
	if got := p.next(); len(got) != 20002 {
		t.Errorf("%d events", len(got))
	}
}
