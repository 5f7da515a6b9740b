package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// archives is the start page: the list with its filter, and the selected
// archive below it where there is room.
type archives struct {
	all    []vault.Archive
	loaded bool
	err    error // the newest reading failed
	at     time.Time

	editing bool // the filter line has the keys
	input   input
	filter  vault.Filter
	sort    int
	shown   []vault.Archive
	sel     int
	top     int
	rows    int // lines of the list as last drawn
	listTop int // first line of it
}

// Commands of the list of archives.
const (
	cmdFilter     command = "filter"
	cmdFilterDone command = "filter-done"
	cmdSort       command = "sort"
)

// orders are what s goes through.
var orders = []struct {
	name string
	less func(a, b vault.Archive) int
}{
	{"newest first", func(a, b vault.Archive) int { return b.Started.Compare(a.Started) }},
	{"oldest first", func(a, b vault.Archive) int { return a.Started.Compare(b.Started) }},
	{"largest first", func(a, b vault.Archive) int { return order(b.Stored, a.Stored) }},
	{"most rows first", func(a, b vault.Archive) int { return order(b.Rows, a.Rows) }},
	{"least proven first", func(a, b vault.Archive) int { return a.Proof.Rank() - b.Proof.Rank() }},
	{"by database", func(a, b vault.Archive) int { return strings.Compare(a.Database, b.Database) }},
}

func order(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func newArchives() *archives { return &archives{} }

// take keeps a list that was read. A failed reading leaves the old list.
func (s *archives) take(e env, m listMsg) {
	s.err = m.err
	if m.err == nil {
		s.all, s.loaded, s.at = m.list, true, m.at
	}
	s.apply(e)
}

// apply filters and sorts; the selection stays on its archive.
func (s *archives) apply(e env) {
	id := ""
	if a, ok := s.selected(); ok {
		id = a.ID
	}
	s.filter = vault.ParseFilter(s.input.text())
	s.shown = nil
	for _, a := range s.all {
		if s.filter.Match(a, e.now) {
			s.shown = append(s.shown, a)
		}
	}
	slices.SortStableFunc(s.shown, orders[s.sort].less)
	s.sel = max(slices.IndexFunc(s.shown, func(a vault.Archive) bool { return a.ID == id }), 0)
}

func (s *archives) selected() (vault.Archive, bool) {
	if s.sel < 0 || s.sel >= len(s.shown) {
		return vault.Archive{}, false
	}
	return s.shown[s.sel], true
}

func (s *archives) keys(e env) keymap {
	if s.editing {
		return keymap{
			{cmd: cmdFilterDone, keys: []string{"enter"}, show: "Enter", name: "keep", help: "keep the filter and go to the list", line: true},
			{cmd: cmdUp, keys: []string{"up"}, show: "Up", name: "up", help: "one archive up"},
			{cmd: cmdDown, keys: []string{"down"}, show: "Down", name: "down", help: "one archive down"},
		}
	}
	a, ok := s.selected()
	none := ""
	if !ok {
		none = "no archive is selected"
	}
	k := keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "everything about this archive", off: none, line: ok}}
	k = append(k, archiveKeys(e, a, ok)...)
	k = append(k,
		binding{cmd: cmdFilter, keys: []string{"/"}, show: "/", name: "filter", help: vault.FilterWords, line: true},
		binding{cmd: cmdSort, keys: []string{"s"}, show: "s", name: "sort", help: "now " + orders[s.sort].name + "; next: " + orders[(s.sort+1)%len(orders)].name, line: e.w >= 78},
	)
	return append(k, moveKeys("archive")...)
}

// archiveKeys act on one archive, in the list and on its own page.
func archiveKeys(e env, a vault.Archive, ok bool) keymap {
	none := ""
	if !ok {
		none = "no archive is selected"
	}
	restore, verify := first(none, e.busy()), first(none, e.busy())
	if ok && restore == "" && (a.State == "damaged" || a.State == "foreign") {
		restore = a.State + ", so nothing is restored from it: " + e.th.text(a.Reason)
	}
	if ok && verify == "" && a.State == "foreign" {
		verify = "foreign: it was not signed by this vault: " + e.th.text(a.Reason)
	}
	return keymap{
		{cmd: cmdBackup, keys: []string{"b"}, show: "b", name: "backup", help: "back a database up now", off: e.busy(), line: true},
		{cmd: cmdRestore, keys: []string{"r"}, show: "r", name: "restore", help: "into a new database; shows a plan first", off: restore, line: ok},
		{cmd: cmdVerify, keys: []string{"v"}, show: "v", name: "verify", help: "intact, readable or restored into a scratch server", off: verify, line: ok},
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy id", help: "copy the archive's id", off: none, line: e.w >= 100},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that shows this archive", off: none},
	}
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// canBack tells whether Esc has a step to go within the page.
func (s *archives) canBack() bool { return s.editing || len(s.input.r) > 0 }

func (s *archives) do(e env, c command) []action {
	if n, ok := moved(c, s.sel, len(s.shown), s.rows); ok {
		if n == s.sel {
			return []action{say("no more archives there")}
		}
		s.sel = n
		return nil
	}
	switch c {
	case cmdFilter:
		s.editing = true
	case cmdFilterDone:
		s.editing = false
	case cmdSort:
		s.sort = (s.sort + 1) % len(orders)
		s.apply(e)
		return []action{say("sorted " + orders[s.sort].name)}
	case cmdBack:
		if s.canBack() {
			s.editing, s.input = false, input{}
			s.apply(e)
			return []action{say(fmt.Sprintf("all %d shown", len(s.all)))}
		}
	case cmdEnter:
		if a, ok := s.selected(); ok {
			return []action{openPage{&detail{archive: a}}}
		}
	default:
		a, _ := s.selected()
		return doArchive(e, a, c)
	}
	return nil
}

// doArchive does the commands of archiveKeys.
func doArchive(e env, a vault.Archive, c command) []action {
	switch c {
	case cmdBackup:
		return []action{askBackup{a.Database}}
	case cmdVerify:
		return []action{openDialog{newVerifyForm(a, e.identity)}}
	case cmdRestore:
		f := newRestoreForm(a, e.identity)
		return []action{openDialog{f}, propose{f}}
	case cmdCopyID:
		return []action{copyText{a.ID, a.ID}}
	case cmdCopyCmd:
		s := "pgvault show " + shellWord(a.ID)
		return []action{copyText{s, s}}
	}
	return nil
}

func (s *archives) typed(e env, k tea.KeyPressMsg) bool {
	if !s.editing || !s.input.key(k) {
		return false
	}
	s.apply(e)
	return true
}

func (s *archives) paste(e env, text string) {
	if s.editing {
		s.input.insert(text)
		s.apply(e)
	}
}

func (s *archives) click(e env, _, y int) []action {
	if i := y - s.listTop; i >= 0 && i < s.rows && s.top+i < len(s.shown) {
		s.sel = s.top + i
		return nil
	}
	if y == s.listTop-2 {
		s.editing = true
	}
	return nil
}

func (s *archives) wheel(_ env, delta int) {
	s.sel = max(min(s.sel+delta, len(s.shown)-1), 0)
}
