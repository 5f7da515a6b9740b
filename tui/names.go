package tui

import (
	"fmt"
	"strings"

	"pgvault/vault"
)

// jobName is a job in two words: "wiki backup".
func jobName(th theme, j vault.Job) string {
	return th.text(first(j.Order.Database, j.Order.ID, ofAll(j.Order.Kind))) + " " + string(j.Order.Kind)
}

// ofAll is what a job is of that names no archive and no database.
func ofAll(k vault.Kind) string {
	if k == vault.KindRetention {
		return "all databases,"
	}
	if k == vault.KindRecover {
		return "whole-vault"
	}
	return "missing"
}

// jobShort is the end of a job's id, as `pgvault job` takes it: "7f3a".
func jobShort(id string) string {
	if i := strings.LastIndexByte(id, '-'); i >= 0 && i+1 < len(id) {
		return id[i+1:]
	}
	return id
}

// jobShare is how far the phase of a job is, in its own estimate, empty where
// no total is known.
func jobShare(j vault.Job) string {
	if j.Progress == nil {
		return ""
	}
	f, ok := fraction(*j.Progress)
	if !ok {
		return ""
	}
	return percent(f, j.Progress.Estimate != "")
}

// jobState is a running job in a cell: its share while it passes over data,
// else its phase, because each phase counts from its own beginning.
func jobState(j vault.Job) string {
	share := strings.TrimPrefix(jobShare(j), "~")
	switch {
	case j.Stage == "" && share == "":
		return "~ starts"
	case share != "" && (j.Stage == vault.StageData || j.Stage == vault.StageDecrypt || j.Stage == ""):
		return "~ " + share
	}
	return "~ " + string(j.Stage)
}

// goesOn tells of jobs that go on: "wiki backup goes on (43%), and 2 more".
func goesOn(th theme, run []vault.Job, verb string) string {
	j := run[0]
	s := jobName(th, j) + " " + verb
	share := jobShare(j)
	switch {
	case share == "":
	case j.Stage == "" || j.Stage == vault.StageData:
		s += " (" + share + ")"
	default:
		s += " (" + string(j.Stage) + " " + share + ")"
	}
	if len(run) > 1 {
		s += fmt.Sprintf(", and %d more", len(run)-1)
	}
	return s
}

// byWhom is who started something: the timer or cron, else the person.
func byWhom(a vault.Actor) string {
	if a.By == "timer" || a.By == "cron" {
		return a.By
	}
	return first(a.User, a.By, "-")
}

// wholeActor is everything that is known of who it was.
func wholeActor(th theme, a vault.Actor) string {
	s := th.text(first(a.User, "unknown"))
	if a.As != "" && a.As != a.User {
		s += " as " + th.text(a.As)
	}
	if a.From != "" {
		s += " from " + th.text(a.From)
	}
	return s + after(", by ", th.text(a.By))
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
