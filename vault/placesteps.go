package vault

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// What is too much, or too little.
const (
	skewNote      = 2 * time.Second
	skewRefused   = 5 * time.Minute // as services refuse requests, and locks end too early
	bigArchive    = 5_000_000_000_000
	severalOf     = 8 << 20 // an object of more comes in pieces
	unfinishedAge = 24 * time.Hour
)

// reach asks for the test's own folder: the first thing that needs the
// network, the credentials and the place.
func (t *trial) reach() (Check, error) {
	there, err := t.s.List(t.ctx, trialFolder)
	if err != nil {
		err = t.silent(err)
		return broken("", err), err
	}
	for _, i := range there {
		stamp, _, _ := strings.Cut(strings.TrimPrefix(i.Name, trialFolder), "-")
		if at, err := time.Parse(trialTime, stamp); err == nil && t.now().Sub(at) > unfinishedAge {
			t.old = append(t.old, i.Name)
		}
	}
	if p, ok := store.As[store.Promising](t.s); ok {
		if t.promises, err = p.Promises(t.ctx); err != nil {
			return broken("", err), err
		}
	}
	return fine("it answers, and these credentials may list it"), nil
}

// silent gives the error of a place that does not answer a remedy for who sets
// it up: nothing is to be sent later.
func (t *trial) silent(err error) error {
	if f := fault.As(err); f.Do == remote.TryAgain {
		return &fault.Error{Op: f.Op, What: fmt.Sprintf("%s does not answer", t.o.At), Why: f.Why, Left: "nothing was written there", Code: f.Code, Err: err,
			Do: "see that its address is right, that the service is up, and that this machine is let through to it"}
	}
	return err
}

// clock compares the service's time with this machine's: archives are told
// apart by time, and services refuse requests from another one.
func (t *trial) clock() Check {
	c, ok := store.As[store.Clock](t.s)
	if !ok {
		return Check{}
	}
	before := t.now()
	there, err := c.ServerTime(t.ctx)
	if err != nil {
		return broken("its time is not known", err)
	}
	here := before.Add(t.now().Sub(before) / 2)
	skew := there.Sub(here).Round(100 * time.Millisecond)
	const do = "set the clocks: timedatectl set-ntp true"
	say := func(d time.Duration) string {
		if d < 0 {
			return (-d).String() + " behind"
		}
		return d.String() + " ahead"
	}
	switch {
	case skew.Abs() > skewRefused:
		return wrong(do, "its clock is %s of this machine's: a lock would end at another time than it says", say(skew))
	case skew.Abs() > skewNote:
		return know(do, "its clock is %s of this machine's", say(skew))
	}
	return fine("within %s of this machine's clock", skewNote)
}

// small is the test object, another one for each test.
func (t *trial) small() []byte {
	sum := sha256.Sum256([]byte(t.run))
	return append(sum[:], sum[:]...)[:smallObject]
}

func (t *trial) put() Check {
	err := t.write(t.name("small"), bytes.NewReader(t.small()))
	if why, none := strings.CutPrefix(t.promises.Lock, "none: "); err != nil && t.o.Lock > 0 && none {
		return wrong(lockDo, "object_lock asks for %s, and %s", days(t.o.Lock), why)
	}
	if err != nil {
		return broken("", err)
	}
	return fine("an object of %d bytes is written and compared", smallObject)
}

func (t *trial) read() Check {
	got, err := store.ReadAll(t.ctx, t.s, t.name("small"), 1<<20)
	switch {
	case err != nil:
		return broken("", err)
	case !bytes.Equal(got, t.small()):
		return wrong("do not use this place", "it gives %d other bytes than the %d that were written", len(got), smallObject)
	}
	return fine("it gives the same bytes")
}

func (t *trial) list() Check {
	there, err := t.s.List(t.ctx, trialFolder)
	switch {
	case err != nil:
		return broken("", err)
	case !slices.ContainsFunc(there, func(i store.Info) bool { return i.Name == t.name("small") && i.Size == smallObject }):
		return wrong("do not use this place: archives would be overlooked", "what was just written is not in its listing")
	}
	return fine("what was written is listed at once")
}

// part reads a range in the middle.
func (t *trial) part() Check {
	const from, n = 17, 23
	r, err := t.s.Open(t.ctx, t.name("small"), from, n)
	if err != nil {
		return broken("", err)
	}
	got, err := io.ReadAll(io.LimitReader(r, smallObject))
	if err = errors.Join(err, r.Close()); err != nil {
		return broken("", err)
	}
	if !bytes.Equal(got, t.small()[from:from+n]) {
		return wrong("do not use this place", "asked for %d bytes from byte %d, it gives %d others", n, from, len(got))
	}
	return fine("any range can be read: one table needs only its own bytes")
}

const noOverwriteDo = "do not use this place: two hosts could overwrite each other's archives; a newer version of the service may know conditional writes"

// overwrite writes other bytes under a name that is taken.
func (t *trial) overwrite() Check {
	c := t.taken(bytes.NewReader([]byte("other bytes")))
	if c.State == "ok" && t.promises.NoOverwrite != "" {
		c.Text += " (" + t.promises.NoOverwrite + ")"
	}
	return c
}

func (t *trial) taken(other io.Reader) Check {
	made := len(t.made)
	err := t.write(t.name("small"), other)
	t.made = t.made[:made]
	switch {
	case err == nil:
		return wrong(noOverwriteDo, "it lets an object be overwritten")
	case !errors.Is(err, store.ErrExist):
		return broken("writing under a taken name was not refused as it ought to be", err)
	}
	if c := t.read(); c.State == "x" {
		return wrong(noOverwriteDo, "a refused write has changed what lay there: %s", c.Text)
	}
	return fine("a taken name is refused, and what lies there stays")
}

const lockDo = "object lock is chosen when a bucket is made, with the service's own tools; or leave object_lock out"

// lock finds out whether the small object can be deleted by anybody.
func (t *trial) lock() Check {
	r, ok := store.As[store.Retained](t.s)
	if !ok && t.o.Lock > 0 {
		return wrong("leave object_lock out", "object_lock is asked for, and this kind of place has none")
	} else if !ok {
		return Check{}
	}
	until, err := r.LockedUntil(t.ctx, t.name("small"))
	switch {
	case err != nil:
		return broken("", err)
	case until.IsZero() && t.o.Lock > 0:
		return wrong(lockDo, "object_lock asks for %s, and the object is not locked", days(t.o.Lock))
	case until.IsZero():
		return fine("no lock is asked for, and the service sets none by itself")
	}
	t.until = until
	if t.o.Lock > 0 && until.Sub(t.now()) < t.o.Lock-time.Hour {
		return know("see the bucket's own rules", "locked until %s only; object_lock asks for %s", stamp(until), days(t.o.Lock))
	}
	return fine("locked until %s: nobody can delete or replace it before", stamp(until))
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04Z") }

// pieces does with an object in several pieces what was done with the small
// one. Where objects get locked, only the refusal is tried, under the small
// object's name: it leaves nothing.
func (t *trial) pieces() Check {
	p := t.promises
	if p.Pieces == 0 && p.MinPiece == 0 && p.MaxOne == 0 {
		return Check{} // no service that takes pieces
	}
	size := max(severalOf, t.o.At.PartSize, p.MinPiece) + 1<<10
	body := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte(t.small())), size) }
	if t.until.IsZero() {
		name := t.name("pieces")
		if err := t.write(name, body()); err != nil {
			return broken(bytesText(size)+" in pieces", err)
		}
		if c := t.compare(name, body()); c.State == "x" {
			return c
		}
	}
	if c := t.taken(body()); c.State == "x" {
		return c
	} else if !t.until.IsZero() {
		return fine("%s in several pieces are refused under a taken name, too", bytesText(size))
	}
	return fine("%s in several pieces come back the same, and are refused under a taken name, too", bytesText(size))
}

// compare reads an object as a whole.
func (t *trial) compare(name string, body io.Reader) Check {
	want, got := sha256.New(), sha256.New()
	if _, err := io.Copy(want, body); err != nil {
		return broken("", err)
	}
	r, err := t.s.Open(t.ctx, name, 0, -1)
	if err != nil {
		return broken("", err)
	}
	_, err = io.Copy(got, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return broken("", err)
	}
	if !bytes.Equal(want.Sum(nil), got.Sum(nil)) {
		return wrong("do not use this place", "an object in several pieces comes back with other bytes")
	}
	return fine("")
}
