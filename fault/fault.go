// Package fault is the one error type of pgvault: what happened, why, what is
// left as it was, what to do, and the exit code that a script sees.
//
// Every room returns such errors (or plain ones, wrapped by the caller that
// knows the four lines); only the faces print them.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Code is a process exit status. A caller that meets one it does not know
// treats it as failure. 2 is never used: the Go runtime exits with it.
type Code int

// The exit codes, a contract with scripts.
const (
	OK               Code = 0
	Failed           Code = 1
	Partial          Code = 3  // done in part
	Attention        Code = 4  // status: something is late or never backed up
	Differs          Code = 5  // contents differ, or an archive is damaged
	NoVault          Code = 10 // no vault here
	Running          Code = 11 // another run holds the lock
	NoKey            Code = 12 // no identity opens the archive
	Refused          Code = 13 // refused, or a confirmation is needed
	DBUnreachable    Code = 14
	PlaceUnreachable Code = 15
	NoSpace          Code = 16
	Usage            Code = 64
	Cancelled        Code = 130
)

// Error says in four lines what a person needs at three in the morning.
// What is required; an empty line is left out when printed. The texts may
// hold names from outside: a face passes them through safetext before a
// terminal sees them.
type Error struct {
	Op   string // the step that failed: "backup", "verify", "dump"
	What string // what happened
	Why  string // the cause, as precise as it is known
	Left string // what is left as it was
	Do   string // what to do next
	Code Code   // 0 means: the code of Err, else Failed
	Err  error  // the wrapped cause, may be nil
}

// Error is one line: what, and why where it is known.
func (e *Error) Error() string {
	switch {
	case e.Why != "":
		return e.What + ": " + e.Why
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.What, e.Err)
	}
	return e.What
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf gives the exit code of any error: the outermost Error that names
// one, Cancelled for a cancelled context, Failed for all others, OK for nil.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	for e := err; e != nil; {
		var f *Error
		if !errors.As(e, &f) {
			break
		}
		if f.Code != 0 {
			return f.Code
		}
		e = f.Err
	}
	if errors.Is(err, context.Canceled) {
		return Cancelled
	}
	return Failed
}

// As gives the outermost Error of err; a plain error becomes one whose What
// is its text, so that a face always has four lines to print.
func As(err error) *Error {
	var f *Error
	if errors.As(err, &f) {
		out := *f
		if out.Why == "" && out.Err != nil {
			out.Why = out.Err.Error()
		}
		out.Code = CodeOf(err)
		return &out
	}
	return &Error{What: err.Error(), Code: CodeOf(err), Err: err}
}
