package vault

import (
	"errors"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
)

// remove tries to delete, and says what that means for the archives.
func (t *trial) remove() Check {
	name := t.name("small")
	err := t.s.Remove(t.ctx, name)
	locked := !t.until.IsZero()
	hiding, can := store.As[store.Hiding](t.s)
	switch {
	case err != nil && locked && can && hiding.Hide(t.ctx, name) == nil:
		t.forget(name) // the marker: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
		return know("use credentials that may not delete", "a deletion hides it behind a marker, though its bytes are kept until %s; the service's own tools take the marker away", stamp(t.until))
	case err == nil && locked:
		return wrong("do not rely on this lock", "the object is said to be locked until %s, and was deleted all the same", stamp(t.until))
	case locked:
		t.staying = append(t.staying, name)
		return fine("refused while the lock holds; the test object of %d bytes, %s, stays until %s", smallObject, name, stamp(t.until))
	case err != nil && fault.CodeOf(err) == fault.Refused:
		t.staying = append(t.staying, t.made...)
		return fine("these credentials cannot delete: archives are safe from who has them. pgvault delete has to run with others; what was tested with stays: %s", strings.Join(t.made, ", "))
	case err != nil:
		return broken("", err)
	}
	t.forget(name)
	if c := t.gone(name); c.State != "ok" {
		return c
	}
	if t.o.At.Scheme == address.File {
		return fine("deleted, and gone at once")
	}
	do := "on the server, keep snapshots of this folder that this user cannot remove"
	if _, can := store.As[store.Retained](t.s); can {
		do = `set object_lock = "30d" (the bucket must allow it), or use credentials that may not delete`
	}
	return know(do, "deleted, and gone at once: whoever has these credentials can delete archives too, and no lock keeps them")
}

// forget leaves an object out of what is to be taken away.
func (t *trial) forget(name string) {
	t.made = slices.DeleteFunc(t.made, func(n string) bool { return n == name })
}

func (t *trial) gone(name string) Check {
	if _, err := t.s.Stat(t.ctx, name); !errors.Is(err, store.ErrNotExist) {
		return wrong("look at the service's settings", "what was deleted is still found (%v)", err)
	}
	there, err := t.s.List(t.ctx, trialFolder)
	if err != nil {
		return broken("", err)
	}
	if slices.ContainsFunc(there, func(i store.Info) bool { return i.Name == name }) {
		return wrong("look at the service's settings", "what was deleted is still listed")
	}
	return fine("")
}
