// Package guide describes guides: a few steps, each with one question, a
// sensible default and a live check, that lead to something done. It is data
// and logic only; a screen and a line-by-line face show the same Guide.
//
// # A guide
//
// A Guide is a list of Steps. A Step has Fields (texts, paths, secrets,
// choices), a Body to look at, Actions on keys of their own, and up to four
// functions that may take long: Load before it is shown, Check while it is
// filled in, Do when it is left forwards, Job when it is a run of its own.
// Everything a step knows is in Values: what was answered, under the key of
// the field; and facts, under keys of the author's choice, for what was found
// out (a plan, a list of databases).
//
// # Who calls what, on which goroutine
//
// A face owns a Session and calls its methods from one goroutine. What may
// take long comes as a Work: the face calls Work.Run on any other goroutine
// and gives it back with Session.Done. A Work sees a copy of the Values; what
// it set there counts only if nothing newer has made it void, so that a step
// need not care about answers that come late. Fields, Body, Off and the like
// are called for every frame: they look at Values and do nothing else.
//
// # Secrets
//
// A field of kind Secret lives in Values as a *Secret: outside the Go heap
// where the system allows, never in a Draft, wiped when the session is
// closed. Faces show its kind, length and checksum only.
package guide
