package job

import (
	"os"
	"strings"
	"time"
)

// What is kept of jobs that have ended.
const (
	keepJobs = 500
	keepFor  = 90 * 24 * time.Hour
)

// Prune removes the folders of jobs that have ended, or died, and are older
// than 90 days or beyond the newest 500. It also removes what runners that
// were killed while they began or pruned have left. Running jobs stay, and
// so does every folder that holds a file which is none of a job's.
func (d Dir) Prune(now time.Time) {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return // the run that follows says why
	}
	ended := 0
	for i := len(entries) - 1; i >= 0; i-- { // newest first
		name := entries[i].Name()
		switch {
		case ValidID(name):
			if ended++; ended > keepJobs || older(name, now, keepFor) {
				d.remove(name)
			}
		case strings.HasPrefix(name, comingPrefix), strings.HasPrefix(name, goingPrefix):
			if id := name[len(comingPrefix):]; ValidID(id) && older(id, now, time.Hour) && !d.Alive(name) {
				removeFiles(d.path(name))
			}
		}
	}
}

// remove takes an ended job out of sight, then removes it.
func (d Dir) remove(id string) {
	if d.Alive(id) {
		return
	}
	going := goingPrefix + id
	if os.Rename(d.path(id), d.path(going)) == nil {
		removeFiles(d.path(going))
	}
}

// older tells by a job's id whether it began longer ago than age.
func older(id string, now time.Time, age time.Duration) bool {
	at, err := time.Parse("20060102T150405Z", id[:len("20060102T150405Z")])
	return err == nil && now.Sub(at) > age
}
