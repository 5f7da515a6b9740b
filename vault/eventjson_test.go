package vault

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
)

// everyEvent has each type of event with every field set, and with none.
func everyEvent() []Event {
	at := time.Date(2026, 11, 22, 21, 30, 0, 123456789, time.UTC)
	failed := &fault.Error{Op: "verify", What: "what", Why: "why", Left: "left", Do: "do", Code: fault.Differs}
	difference := []Difference{{Table: "public.a", RowsExpected: 8, RowsFound: 9, Why: "rows are missing"}}
	return []Event{
		RunStarted{KindRestore, "ID", "shop", "shop_r", []Stage{StageCheck, StageData}, at},
		StageStarted{StageData, at},
		Progress{StageData, 1, 2, 3, 4, 5, "from the run of 2026-08-28", 6, 7, []Table{{"public.a", StateRunning, 1, 2, 3}, {`"B b".c`, StateDone, 4, 5, 6}},
			[]PlaceProgress{{"s3", PlaceCopying, 1, 2, 3, 4, 5, 6}, {"nas", PlaceWaiting, 0, 0, 7, 0, 1, 0}}, at},
		TableDone{StageCompare, "public.a", StateDiffers, 1, 2, 3, "00ff", "a row is missing"},
		TableDone{StageData, "public.a", StateDone, 1, 2, 3, "", ""},
		PlaceDone{StageCopies, "s3", "ID", "shop", Copied, 1, 2, true, 3.5, nil},
		PlaceDone{StageCopies, "s3", "ID", "shop", CopyStopped, 1, 2, false, 3.5, failed},
		Notice{"warning", "look\nhere <&>  \u202e \x1b[2J", at},
		StageDone{StageData, 1.25},
		RunDone{KindVerify, ResultFailed, fault.Differs, "ID", "shop", "t", 1, 2, 3, 4, 5.5, ProofIntact, 6, 7, difference, []PlaceResult{{"s3", 1, 2, 3, 4, failed}, {"nas", 5, 0, 6, 7, nil}}, nil, nil, 8, failed},
		RunDone{Kind: KindBackup, Result: ResultOK, TablesEqual: 3, TablesTotal: 3},
		RunDone{Kind: KindRetention, Result: ResultOK, Retained: &Retained{Kept: 1, Marked: 2, Unmarked: 3, Gone: 4, Freed: 5}},
		DatabaseDone{1, 2, RecoverRow{Database: "shop", Target: "shop_b", ID: "ID", Result: "differs", Exit: fault.Differs, TablesEqual: 3, TablesTotal: 4, Rows: 5, Seconds: 6.5, Differences: difference, Why: "w", Do: "d", err: failed}},
		RunDone{Kind: KindRecover, Result: ResultOK, Recovered: &RecoverReport{Roles: []string{"app"}, Warnings: []string{"w"}, Databases: []RecoverRow{{Database: "a", Result: "ok", Differences: []Difference{}}, {Database: "b", err: failed}}}},
		DatabaseDone{}, RunStarted{}, StageStarted{}, Progress{}, TableDone{}, PlaceDone{}, Notice{}, StageDone{}, RunDone{},
	}
}

func TestEventsRoundTrip(t *testing.T) {
	types := map[string]bool{}
	for _, e := range everyEvent() {
		line, err := EncodeEvent(e)
		if err != nil {
			t.Fatalf("%#v: %v", e, err)
		}
		if strings.ContainsAny(string(line), "\n\x1b\u202e") || !strings.HasPrefix(string(line), `{"schema":1,"type":"`) {
			t.Errorf("%s", line)
		}
		got, err := DecodeEvent(line)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s\nbecame %#v, %v\nnot    %#v", line, got, err, e)
		}
		types[fmt.Sprintf("%T", e)] = true
	}
	if len(types) != 9 {
		t.Errorf("%d types of events were tried", len(types))
	}
}

// TestErrorsSurviveAJournal: whatever an error wraps, its four lines and its
// code come back.
func TestErrorsSurviveAJournal(t *testing.T) {
	deep := fmt.Errorf("outer: %w", &fault.Error{What: "no space", Why: "full", Left: "nothing", Do: "make room", Code: fault.NoSpace})
	for _, err := range []error{deep, errors.New("plain"), &fault.Error{What: "what", Err: deep}} {
		line, _ := EncodeEvent(RunDone{Err: err})
		e, derr := DecodeEvent(line)
		if derr != nil {
			t.Fatal(derr)
		}
		got, want := fault.As(e.(RunDone).Err), fault.As(err)
		if got.What != want.What || got.Why != want.Why || got.Left != want.Left || got.Do != want.Do || got.Code != want.Code {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

func TestLinesOfOthers(t *testing.T) {
	if e, err := DecodeEvent([]byte(`{"schema":2,"type":"from_the_future"}`)); e != nil || err != nil {
		t.Errorf("%v, %v", e, err)
	}
	for _, line := range []string{"", "{", "null junk", `{"type":"done","exit":"x"}`, `[]`} {
		if e, err := DecodeEvent([]byte(line)); err == nil {
			t.Errorf("%q was taken for %#v", line, e)
		}
	}
	if _, err := EncodeEvent(nil); err == nil {
		t.Error("nothing was encoded")
	}
}
