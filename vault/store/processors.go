package store

import (
	"runtime"
	"sync"
)

// Processors is how many goroutines long work takes at once: as many as could
// run when the process began. Who adds room for itself leaves it as it is.
var Processors = runtime.GOMAXPROCS(0)

// room guards the number of goroutines that Go lets run at once.
var room sync.Mutex

// AddRoom lets n goroutines more run at once, until giveBack is called for the
// first time: beside goroutines that compute without a pause, others wait up
// to 10 ms a turn for Go to let them run, although the kernel would at once.
func AddRoom(n int) (giveBack func()) {
	add := func(n int) {
		room.Lock()
		defer room.Unlock()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
	add(n)
	return sync.OnceFunc(func() { add(-n) })
}
