package store

import (
	"runtime"
	"testing"
)

// Two that overlap: the first to end takes nothing from the other, and no one
// gives back twice.
func TestAddRoom(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	one, two := AddRoom(2), AddRoom(3)
	one()
	one()
	if now := runtime.GOMAXPROCS(0); now != before+3 {
		t.Errorf("room for %d, want %d", now, before+3)
	}
	two()
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("room for %d is left, was %d", now, before)
	}
}
