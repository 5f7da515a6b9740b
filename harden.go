package main

import "golang.org/x/sys/unix"

// harden keeps what this process holds in memory (an identity, rows on
// their way) off the disk and from other processes of the same user: no core
// file, no ptrace. Both are refinements: where a system refuses them, the
// work goes on.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
