package archive

import "sync/atomic"

// counter is read by the goroutine that tells progress while another adds.
type counter struct{ v atomic.Int64 }

func (c *counter) add(n int64) { c.v.Add(n) }
func (c *counter) get() int64  { return c.v.Load() }
