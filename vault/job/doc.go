// Package job is a run as a process of its own, whatever it does: a folder
// with what it was told to do, a journal of what it tells, its newest state,
// a lock that it holds for as long as it lives, and a socket to cancel it.
//
// The folder of a job lies in a folder of jobs (Dir) and is named by the
// job's id. In it:
//
//	order.json    what was ordered, by the caller's own words, when and by which process
//	events.jsonl  the journal: append-only, one JSON object a line, each line whole
//	status.json   the newest state, replaced as a whole, at most four times a second
//	lock          held (fcntl, for writing) by the runner for its whole life
//	ctl           the socket
//	stderr.log    what a runner without a terminal wrote to standard error
//
// The kernel lets go of a lock when its process ends, however it ends. So a
// job whose status says running and whose lock is free has died, and nothing
// ever has to be cleared away before the next one. A job's folder becomes
// visible under its id only when the lock is held.
//
// Readers need no more than the right to read: they take the lock shared and
// for an instant, and follow the journal by looking again.
package job
