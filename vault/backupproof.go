package vault

import (
	"context"
	"errors"

	"pgvault/fault"
)

// provesByRestore tells whether a backup restores its archive before it ends:
// with the one-time key, which is still in memory.
func (b *backup) provesByRestore() bool { return b.v.c.SelfCheck && b.conf.Verify == ProofRestored }

// proveByRestore is the last step of a backup that is to be proven by a
// restore. The database's lock is free again and the copies are made, so that
// nothing waits for it. That the archive differs is the error of a
// verification, and a failed proof; anything else that keeps it from being
// restored here leaves it good and readable, and the run done in part.
func (b *backup) proveByRestore(ctx context.Context) error {
	b.left = "archive " + b.id + " is there and proven readable; it is not proven by restore"
	err := b.restoreOnce(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return err
	case fault.CodeOf(err) == fault.Differs:
		return leaving(err, "archive "+b.id+" is there and can be read; older ones are as they were")
	}
	e := fault.As(err)
	why, do := oneLine(err), "pgvault verify "+b.id+" --level restored -i KEY, where there is one"
	if e.Do != "" {
		do = e.Do + "; then " + do
	}
	return &fault.Error{Op: "verify", What: "archive " + b.id + " is good and proven readable, but not by a restore", Why: why, Left: b.left, Do: do, Code: fault.Partial, Err: err}
}

func (b *backup) restoreOnce(ctx context.Context) error {
	p, unlock, err := b.proving(ctx, ProofRestored)
	if err != nil {
		return err
	}
	defer unlock()
	b.done.TablesTotal, b.done.TablesEqual = 0, 0
	return p.byRestore(ctx)
}

// bothOf is what a run comes to of which two steps may have failed after the
// archive was made: the graver one, with the other's cause.
func bothOf(copies, proof error) error {
	switch {
	case proof == nil:
		return copies
	case copies == nil:
		return proof
	}
	e := fault.As(proof)
	e.Why, e.Err = e.Why+"; and "+oneLine(copies), errors.Join(proof, copies)
	return e
}
