package child

import (
	"context"

	"golang.org/x/sys/unix"
)

type lowKey struct{}

// AtLowPriority gives a context with which every child that is started gives
// way to other programs: nice 10, and the disk only when nobody else wants it.
func AtLowPriority(ctx context.Context) context.Context {
	return context.WithValue(ctx, lowKey{}, true)
}

// IsLow tells whether ctx comes from AtLowPriority.
func IsLow(ctx context.Context) bool {
	low, _ := ctx.Value(lowKey{}).(bool)
	return low
}

// nice is how far a child of low priority stands back.
const nice = 10

// The idle class of ioprio_set(2): class 3, in the bits above 13.
const (
	ioWhoProcess = 1
	ioIdle       = 3 << 13
)

// giveWay lowers the priority of the calling thread, which its children
// inherit. Where a sandbox forbids it, they run as everything else does.
func giveWay() {
	// The system call gives 20 - nice, so that no value is negative.
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && 20-now < nice {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
	}
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, 0, ioIdle)
}

// waitForTurns makes the calling thread, where it is of the usual class, one
// of SCHED_BATCH, sched(7), which its children inherit. As with giveWay, that
// a sandbox forbids it is no error.
func waitForTurns() {
	now, err := unix.SchedGetAttr(0, 0)
	if err == nil && now.Policy == unix.SCHED_NORMAL {
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: now.Nice}, 0)
	}
}
