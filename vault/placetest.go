package vault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
)

// trialFolder is where the test of a place writes. A vault's name cannot
// begin with a dot, so that no vault ever lists what is in it.
const trialFolder = ".pgvault-test/"

// trialTime begins the names of test objects, so that what a killed test left
// can be told from what another one is doing now.
const trialTime = "20060102T150405Z"

// smallObject is the size of the object that is tested with: where it gets
// locked, it stays.
const smallObject = 64

// cleanUpTime bounds what is done after the context of a test has ended.
const cleanUpTime = 30 * time.Second

// PlaceTest says what a place is expected to do.
type PlaceTest struct {
	At      address.Address // of the place
	Lock    time.Duration   // objects are to be locked for so long; 0: nothing is expected
	MinFree int64           // bytes that are to be free; 0: nothing is expected
	Clean   bool            // what is older than a day and was never finished is taken away
}

// PlaceCheck is one line of a test.
type PlaceCheck struct {
	Name    string  `json:"name"`  // one word: put, read, list …
	State   string  `json:"state"` // ok, ! (goes on, but know this) or x; empty: it begins now
	Text    string  `json:"text"`
	Do      string  `json:"do,omitempty"` // the remedy
	Seconds float64 `json:"seconds"`
}

// TestPlace tries what archives ask of a place, in a folder that no vault
// lists, and takes away what it wrote, also when ctx ends. Each step is told
// to sink twice, when it begins and when it has ended. The error is nil when
// no check was x; the place's own where it does not even answer; ctx's when
// that has ended.
func TestPlace(ctx context.Context, s store.Store, o PlaceTest, sink func(PlaceCheck)) error {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	t := &trial{ctx: ctx, s: s, o: o, sink: sink, now: time.Now}
	t.run = trialFolder + t.now().UTC().Format(trialTime) + "-" + hex.EncodeToString(id)
	err := t.steps()
	t.cleanUp()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case t.failed == 0:
		return nil
	}
	return &fault.Error{Op: "test", What: fmt.Sprintf("%s cannot be used as it is", o.At), Why: fmt.Sprintf("%d of %d checks failed", t.failed, t.done),
		Left: "nothing of the test was left but what it named", Do: "do what stands below each x, then test again", Code: fault.Failed}
}

// trial is one test of a place.
type trial struct {
	ctx  context.Context
	s    store.Store
	o    PlaceTest
	sink func(PlaceCheck)
	now  func() time.Time

	run      string // begins the names of this test's objects
	begun    bool   // something was written
	made     []string
	staying  []string // that cannot be taken away, named already
	old      []string // of tests that were killed, more than a day ago
	promises store.Promises
	until    time.Time // the small object is locked until then; zero: it is not
	failed   int
	done     int
}

// steps runs until something makes the rest useless.
func (t *trial) steps() error {
	var unreachable error
	if !t.step("reach", func() Check {
		c, err := t.reach()
		unreachable = err
		return c
	}) {
		return unreachable
	}
	t.step("clock", t.clock)
	if !t.step("put", t.put) {
		return nil
	}
	for _, s := range []struct {
		name string
		do   func() Check
	}{
		{"read", t.read}, {"list", t.list}, {"range", t.part}, {"overwrite", t.overwrite}, {"lock", t.lock},
		{"pieces", t.pieces}, {"delete", t.remove}, {"space", t.space}, {"limits", t.limits}, {"compared", t.compared}, {"durable", t.durable}, {"unfinished", t.unfinished}, {"promise", t.promise},
	} {
		t.step(s.name, s.do)
	}
	return nil
}

// step does one, unless the context has ended, and tells whether the test can
// go on. A Check without a State says that there is nothing to check.
func (t *trial) step(name string, do func() Check) bool {
	if t.ctx.Err() != nil {
		return false
	}
	t.sink(PlaceCheck{Name: name})
	begun := t.now()
	c := do()
	if t.ctx.Err() != nil {
		return false
	}
	if c.State == "" {
		return true
	}
	t.done++
	if c.State == "x" {
		t.failed++
	}
	t.sink(PlaceCheck{Name: name, State: c.State, Text: c.Text, Do: c.Do, Seconds: t.now().Sub(begun).Seconds()})
	return c.State != "x"
}

func fine(format string, a ...any) Check { return Check{State: "ok", Text: fmt.Sprintf(format, a...)} }
func know(do, format string, a ...any) Check {
	return Check{State: "!", Text: fmt.Sprintf(format, a...), Do: do}
}
func wrong(do, format string, a ...any) Check {
	return Check{State: "x", Text: fmt.Sprintf(format, a...), Do: do}
}

// broken is an error as a check.
func broken(did string, err error) Check {
	f := fault.As(err)
	text := join(f.What, f.Why)
	if did != "" {
		text = did + ": " + text
	}
	return Check{State: "x", Text: text, Do: f.Do}
}

// name gives an object of this test.
func (t *trial) name(what string) string { return t.run + "-" + what }

// write publishes data under name.
func (t *trial) write(name string, data io.Reader) error {
	t.begun = true
	w, err := t.s.Create(t.ctx, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, data); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(t.ctx); err != nil {
		return errors.Join(err, w.Abort())
	}
	t.made = append(t.made, name)
	return nil
}

// cleanUp takes away what the test published and has not taken away yet, also
// after the end of the context. A write that was cut off may have been
// published all the same: so the listing counts, not what is remembered alone.
func (t *trial) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), cleanUpTime)
	defer cancel()
	left := t.made
	if t.ctx.Err() != nil && t.begun {
		there, err := t.s.List(ctx, trialFolder)
		for _, i := range there {
			if err == nil && strings.HasPrefix(i.Name, t.run) && !slices.Contains(left, i.Name) {
				left = append(left, i.Name)
			}
		}
	}
	for _, name := range left {
		if slices.Contains(t.staying, name) {
			continue
		}
		if err := t.s.Remove(ctx, name); err != nil && !errors.Is(err, store.ErrNotExist) {
			t.sink(PlaceCheck{Name: "clean up", State: "!", Text: fmt.Sprintf("%s is left there: %v", name, fault.As(err).Error()), Do: "pgvault place test --clean takes it away when it is a day old"})
		}
	}
}
