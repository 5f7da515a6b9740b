package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// archives is the start page: the list with its filter, and the selected
// archive below it where there is room.
type archives struct {
	filterBox
	filter  vault.Filter
	all     int // archives there are, shown or not
	wide    bool
	sort    int
	sorted  []vault.Archive // all, in the order of sort
	from    []vault.Archive // the list that sorted was made of
	by      int             // and the order
	shown   []int           // those that the filter lets through, as indexes into sorted
	sel     int
	top     int
	rows    int // lines of the list as last drawn
	listTop int // first line of it
}

// Commands of the list of archives.
const (
	cmdSort   command = "sort"
	cmdWide   command = "wide"
	cmdPin    command = "pin"
	cmdDelete command = "delete"
	cmdTables command = "tables"
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

// apply filters and sorts; the selection stays on its archive.
func (s *archives) apply(e env) {
	id := ""
	if a, ok := s.selected(); ok {
		id = a.ID
	}
	s.filter = vault.ParseFilter(s.in.text())
	s.all = len(e.know.list)
	s.order(e.know.list)
	s.shown = s.shown[:0]
	for i := range s.sorted {
		if len(s.in.r) == 0 || s.filter.Match(s.sorted[i], e.now) {
			s.shown = append(s.shown, i)
		}
	}
	s.sel = max(slices.IndexFunc(s.shown, func(i int) bool { return s.sorted[i].ID == id }), 0)
}

// order sorts the whole list, once for each list and each order: with ten
// thousand archives a key must not wait for it.
func (s *archives) order(list []vault.Archive) {
	if s.sorted != nil && s.by == s.sort && len(s.from) == len(list) && (len(list) == 0 || &s.from[0] == &list[0]) {
		return
	}
	s.from, s.by = list, s.sort
	less := orders[s.sort].less
	if slices.IsSortedFunc(list, less) {
		s.sorted = list
		return
	}
	s.sorted = slices.Clone(list)
	slices.SortStableFunc(s.sorted, less)
}

func (s *archives) selected() (vault.Archive, bool) {
	if s.sel < 0 || s.sel >= len(s.shown) {
		return vault.Archive{}, false
	}
	return s.sorted[s.shown[s.sel]], true
}

func (s *archives) keys(e env) keymap {
	if s.editing {
		return editKeys("archive")
	}
	a, ok := s.selected()
	none := ""
	if !ok {
		none = "no archive is selected"
	}
	wide := "more columns: number of tables, whole id"
	if s.wide {
		wide = "the usual columns"
	}
	k := keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "everything about this archive", off: none, line: ok}}
	k = append(k, archiveKeys(e, a, ok)...)
	k = append(k,
		retentionKey(e, e.w >= 100),
		filterKey(vault.FilterWords),
		binding{cmd: cmdSort, keys: []string{"s"}, show: "s", name: "sort", help: "now " + orders[s.sort].name + "; next: " + orders[(s.sort+1)%len(orders)].name, line: e.w >= 100},
		binding{cmd: cmdWide, keys: []string{"w"}, show: "w", name: "wide", help: wide},
	)
	return append(k, moveKeys("archive")...)
}

// archiveKeys act on one archive, in the list and on its own page.
func archiveKeys(e env, a vault.Archive, ok bool) keymap {
	none := ""
	if !ok {
		none = "no archive is selected"
	}
	restore := first(e.busy(), none)
	verify, change := restore, restore
	pinHelp := "keep this one whatever the rules say"
	if a.Pinned {
		pinHelp = "no longer pinned: the rules decide again"
	}
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
		{cmd: cmdTables, keys: []string{"t"}, show: "t", name: "tables", help: "every table in it with rows, bytes and SHA-256; needs an identity", off: none, line: ok && e.w >= 78},
		{cmd: cmdPin, keys: []string{"m"}, show: "m", name: "pin", help: pinHelp, off: change, line: ok && e.w >= 100},
		{cmd: cmdDelete, keys: []string{"D"}, show: "D", name: "delete...", help: "for good; shows what goes and asks for its id", off: change, line: ok && e.w >= 110},
		unmarkKey(e, a, none),
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy id", help: "copy the archive's id", off: none, line: e.w >= 120},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that shows this archive", off: none},
	}
}

func (s *archives) do(e env, c command) []action {
	if n, ok := moved(c, s.sel, len(s.shown), s.rows); ok {
		if n == s.sel {
			return []action{say("no more archives there")}
		}
		s.sel = n
		return nil
	}
	if acts, ok := s.filterBox.do(c, s.all); ok {
		s.apply(e)
		return acts
	}
	switch c {
	case cmdSort:
		s.sort = (s.sort + 1) % len(orders)
		s.apply(e)
		return []action{say("sorted " + orders[s.sort].name)}
	case cmdWide:
		s.wide = !s.wide
		if s.wide {
			return []action{say("more columns, as far as there is room")}
		}
		return []action{say("the usual columns")}
	case cmdRetention:
		a, _ := s.selected()
		return []action{openRetention{a.Database}}
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
		return []action{openRestore{a}}
	case cmdTables:
		if len(e.identity) == 0 {
			return []action{openDialog{newPathForm(a)}}
		}
		return []action{askTables{a, e.identity}}
	case cmdPin:
		return []action{pin{a.ID, !a.Pinned}}
	case cmdUnmark:
		return []action{openDialog{unmarkDialog(e, a)}}
	case cmdDelete:
		return []action{askDelete{a.ID}}
	case cmdCopyID:
		return []action{copyText{a.ID, a.ID}}
	case cmdCopyCmd:
		s := e.command("pgvault show " + shellWord(a.ID))
		return []action{copyText{s, s}}
	}
	return nil
}

func (s *archives) typed(e env, k tea.KeyPressMsg) bool {
	if !s.filterBox.typed(e, k) {
		return false
	}
	s.apply(e)
	return true
}

func (s *archives) paste(e env, text string) {
	s.filterBox.paste(e, text)
	s.apply(e)
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
