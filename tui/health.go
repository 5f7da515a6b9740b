package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// health is the start page: is every database recoverable, and if not, what
// to do about it.
type health struct {
	filterBox
	name    string // of the selected row: the row stays selected when the order changes
	sel     int
	top     int
	rows    int // lines of the list as last drawn
	listTop int // first line of it
}

// cmdLog shows what a job wrote down.
const cmdLog command = "log"

func newHealth() *health { return &health{} }

// healthRow is one line of the list: a database, or something of the vault as
// a whole that a person should know.
type healthRow struct {
	vault.DatabaseHealth
	vault bool // of the vault as a whole: only Explained is set
	guess bool // from the listing alone; the health has not come yet
}

// items gives the rows: the engine's order, which is worst first, then the
// warnings of the vault as a whole.
func (s *health) items(e env) []healthRow {
	var out []healthRow
	h := e.know.health
	if h == nil {
		for _, d := range provisional(e.know.list) {
			out = append(out, healthRow{DatabaseHealth: d, guess: true})
		}
	} else {
		for _, d := range h.Databases {
			out = append(out, healthRow{DatabaseHealth: d})
		}
		for _, w := range h.Warnings {
			out = append(out, healthRow{DatabaseHealth: vault.DatabaseHealth{Explained: w}, vault: true})
		}
	}
	return slices.DeleteFunc(out, func(r healthRow) bool { return !s.match(r.Database, r.State, r.Explained.What) })
}

// provisional is what a listing alone says of the databases: the newest good
// archive of each. It stands until the health has come.
func provisional(list []vault.Archive) []vault.DatabaseHealth {
	var out []vault.DatabaseHealth
	at := map[string]int{}
	for _, a := range list {
		i, ok := at[a.Database]
		if !ok {
			i = len(out)
			at[a.Database] = i
			out = append(out, vault.DatabaseHealth{DatabaseStatus: vault.DatabaseStatus{Database: a.Database}})
		}
		d := &out[i]
		if a.State != "good" {
			continue
		}
		d.Archives++
		if a.Imported == nil && (d.LastGood == nil || a.Started.After(*d.LastGood)) { // an import is no backup of what there is today
			began := a.Started
			d.LastGood, d.Proof, d.Copies, d.Places = &began, a.Proof, a.GoodCopies(), len(a.Copies)
		}
	}
	slices.SortFunc(out, func(a, b vault.DatabaseHealth) int { return strings.Compare(a.Database, b.Database) })
	return out
}

// row gives the selected row.
func (s *health) row(e env) (healthRow, bool) {
	items := s.items(e)
	s.find(items)
	if s.sel >= len(items) {
		return healthRow{}, false
	}
	return items[s.sel], true
}

// key names a row among the others.
func (r healthRow) key() string {
	if r.vault {
		return "\x00" + r.Explained.What
	}
	return r.Database
}

// find moves the selection to where its row stands now.
func (s *health) find(items []healthRow) {
	if i := slices.IndexFunc(items, func(r healthRow) bool { return r.key() == s.name }); i >= 0 {
		s.sel = i
	}
	s.sel = max(min(s.sel, len(items)-1), 0)
}

func (s *health) choose(items []healthRow, i int) {
	s.sel = max(min(i, len(items)-1), 0)
	if s.sel < len(items) {
		s.name = items[s.sel].key()
	}
}

// newest gives the newest archive of a database; good tells whether only a
// good one counts.
func newest(list []vault.Archive, database string, good bool) (vault.Archive, bool) {
	var out *vault.Archive
	for i := range list {
		a := &list[i]
		if a.Database == database && (!good || a.State == "good") && (out == nil || a.Started.After(out.Started)) {
			out = a
		}
	}
	if out == nil {
		return vault.Archive{}, false
	}
	return *out, true
}

// hasGood tells whether a database has a good archive. Each key asks it: the
// list is read through once.
func (k *known) hasGood(database string) bool {
	if len(k.list) == 0 {
		return false
	}
	if k.goodIn != &k.list[0] {
		k.goodIn, k.good = &k.list[0], map[string]bool{}
		for i := range k.list {
			if k.list[i].State == "good" {
				k.good[k.list[i].Database] = true
			}
		}
	}
	return k.good[database]
}

// lastJob gives the newest job about a database.
func lastJob(jobs []vault.Job, database string) (vault.Job, bool) {
	for _, j := range jobs {
		if j.Order.Database == database {
			return j, true
		}
	}
	return vault.Job{}, false
}

func (s *health) keys(e env) keymap {
	if s.editing {
		return editKeys("line")
	}
	r, ok := s.row(e)
	none := ""
	if !ok || r.vault {
		none = "no database is selected"
	}
	archive, log := none, none
	if none == "" && !e.know.hasGood(r.Database) {
		archive = "it has no good archive yet: b makes one"
	}
	if _, ok := lastJob(e.know.jobs, r.Database); none == "" && !ok {
		log = "no job about it is remembered"
	}
	open := ""
	if !ok {
		open = none
	}
	k := keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "all about it; a running job's own view", off: open, line: ok},
		{cmd: cmdBackup, keys: []string{"b"}, show: "b", name: "backup", help: "back a database up now", off: e.busy(), line: true},
		{cmd: cmdRestore, keys: []string{"r"}, show: "r", name: "restore", help: "its newest good archive; shows a plan first", off: first(e.busy(), archive), line: ok},
		{cmd: cmdVerify, keys: []string{"v"}, show: "v", name: "verify", help: "its newest good archive", off: first(e.busy(), archive), line: ok},
		{cmd: cmdLog, keys: []string{"l"}, show: "l", name: "log", help: "the newest job about it", off: log, line: e.w >= 78},
		retentionKey(e, e.w >= 130),
		filterKey("words that a line must hold; !word for those it must not"),
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy name", help: "copy the database's name", off: none},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that tells the same", off: none},
	}
	if _, broken := brokenSwitch(r.Explained); broken && r.vault {
		k = append(keymap{resumeKey()}, k...)
	} else if none == "" && e.know.lastSwitch(r.Database) {
		k = append(k, undoKey("", false))
	}
	return append(k, moveKeys("line")...)
}

func (s *health) do(e env, c command) []action {
	items := s.items(e)
	s.find(items)
	if n, ok := moved(c, s.sel, len(items), s.rows); ok {
		if n == s.sel {
			return []action{say("no more lines there")}
		}
		s.choose(items, n)
		return nil
	}
	if acts, ok := s.filterBox.do(c, len(items)); ok {
		if c == cmdBack {
			return []action{say("all shown")}
		}
		return acts
	}
	r, _ := s.row(e)
	switch c {
	case cmdEnter:
		if j, ok := e.know.runningOn(vault.KindBackup, r.Database); ok {
			return []action{openJob{ref: j.ID}}
		}
		return []action{openPage{&healthDetail{row: r}}}
	case cmdRetention:
		return []action{openRetention{r.Database}}
	case cmdLog:
		j, _ := lastJob(e.know.jobs, r.Database)
		return []action{openJob{ref: j.ID, log: true}}
	case cmdCopyID:
		return []action{copyText{r.Database, r.Database}}
	case cmdCopyCmd:
		t := e.command("pgvault status " + shellWord(r.Database))
		return []action{copyText{t, t}}
	case cmdResume:
		name, _ := brokenSwitch(r.Explained)
		return []action{openSwitch{switchWant{database: name, mode: modeResume}}}
	case cmdUndo:
		return []action{openSwitch{switchWant{database: r.Database, mode: modeUndo}}}
	case cmdBackup:
		return []action{askBackup{r.Database}}
	case cmdRestore, cmdVerify:
		a, _ := newest(e.know.list, r.Database, true)
		return doArchive(e, a, c)
	}
	return nil
}

func (s *health) typed(e env, k tea.KeyPressMsg) bool {
	if !s.filterBox.typed(e, k) {
		return false
	}
	s.find(s.items(e))
	return true
}

func (s *health) click(e env, _, y int) []action {
	items := s.items(e)
	if i := y - s.listTop; i >= 0 && i < s.rows && s.top+i < len(items) {
		s.choose(items, s.top+i)
	}
	return nil
}

func (s *health) wheel(e env, delta int) {
	items := s.items(e)
	s.find(items)
	s.choose(items, s.sel+delta)
}
