package tui

import (
	"fmt"

	"pgvault/fault"
	"pgvault/vault"
)

// confirm asks about something that ends or loses work. The focus is on the
// safe answer; letters choose nothing.
type confirm struct {
	base
	title string
	text  []string
	safe  string // the safe answer
	act   string // the other one
	yes   action
	about string // the job it is about: it goes away when that ends
	onAct bool   // the focus is on the other answer
	at    int    // the line of the answers, as last drawn
}

// cancelDialog asks whether to end a job.
func cancelDialog(j vault.Job, th theme) *confirm {
	text := []string{"Nothing of it will remain; archives that are finished stay untouched."}
	switch j.Order.Kind {
	case vault.KindVerify:
		text = []string{"The archive stays as it is, and so does what was proven of it before."}
	case vault.KindCopy:
		text = []string{"Copies that came whole stay; of the others nothing is listed, and the next run goes on from there."}
	case vault.KindRetention:
		text = []string{"What was marked stays marked and what was removed is gone; the rest stays, and the next run goes on from there."}
	case vault.KindSwitch:
		text = []string{"Until the names are changed, it is taken back: each database keeps its own, and logins are let in again. After that it is done; U undoes it."}
	case vault.KindRecover:
		text = []string{"Databases that are back stay; the one under way is given up.", "No other database is touched, and a next recovery goes on from there."}
	case vault.KindRestore:
		text = []string{"The new database is given up; the report says what is left of it.", "No other database is touched."}
	}
	text = append(text, "Started by "+wholeActor(th, j.Actor)+".")
	return &confirm{title: "cancel the " + jobName(th, j) + "?", text: text, safe: "Keep running", act: "Cancel it", yes: cancelRun{j.ID}, about: j.ID}
}

func (d *confirm) keys(env) keymap {
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "choose", help: "take the answer in brackets", line: true},
		{cmd: cmdNext, keys: []string{"tab", "right", "down", "shift+tab", "left", "up"}, show: "Tab", name: "other answer", help: "move the brackets", line: true},
	}
}

func (d *confirm) do(_ env, c command) []action {
	switch c {
	case cmdNext:
		d.onAct = !d.onAct
	case cmdEnter:
		if d.onAct {
			return []action{closeTop{}, d.yes}
		}
		return []action{closeTop{}}
	}
	return nil
}

// click moves the brackets only: an answer that ends work needs Enter too.
func (d *confirm) click(_ env, x, y int) []action {
	if y == d.at {
		d.onAct = x >= len(d.safe)+7
	}
	return nil
}

func (d *confirm) view(e env) block {
	lines := []string{e.th.titled(e.w, d.title, "")}
	for _, t := range d.text {
		for _, l := range wrapAt(t, max(e.w-3, 1)) {
			lines = append(lines, "  "+l)
		}
	}
	safe, act := e.th.inverse("[ "+d.safe+" ]"), "  "+d.act+"  "
	if d.onAct {
		safe, act = "  "+d.safe+"  ", e.th.inverse("[ "+d.act+" ]")
	}
	answers := []string{"  " + safe + " " + act}
	if e.w < len(d.safe+d.act)+12 {
		answers = []string{"  " + safe, "  " + act}
	}
	if room := e.h - len(answers); len(lines) > room-2 {
		lines = lines[:max(min(len(lines), room), 0)]
	} else {
		lines = append(lines, "")
		answers = append(answers, e.th.rule(e.w))
	}
	d.at = len(lines)
	return block{lines: append(lines, answers...)}
}

// failure shows the four lines of an error that ended no run.
type failure struct {
	base
	title string
	f     *fault.Error
}

func newFailure(title string, err error) *failure { return &failure{title: title, f: fault.As(err)} }

func (d *failure) keys(env) keymap {
	return keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "close", help: "close this", line: true}}
}

func (d *failure) do(_ env, c command) []action {
	if c == cmdEnter {
		return []action{closeTop{}}
	}
	return nil
}

func (d *failure) view(e env) block {
	lines := []string{e.th.titled(e.w, "x "+d.title, fmt.Sprintf("exit code %d", d.f.Code))}
	lines = append(lines, faultLines(e, d.f, e.w)...)
	return block{lines: append(lines[:min(len(lines), e.h)], e.th.rule(e.w))}
}
