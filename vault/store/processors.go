package store

import "runtime"

// Processors is how many goroutines long work takes at once: as many as could
// run when the process began. A screen that adds room for itself keeps it.
var Processors = runtime.GOMAXPROCS(0)
