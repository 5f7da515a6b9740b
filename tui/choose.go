package tui

import (
	"fmt"
	"slices"
)

// choose is the list of databases of which one is to be backed up.
type choose struct {
	base
	names []string
	sel   int
	top   int
	h     int
}

// newChooseDatabase preselects the database of the row that was selected.
func newChooseDatabase(names []string, preferred string) *choose {
	return &choose{names: names, sel: max(slices.Index(names, preferred), 0), h: 1}
}

func (d *choose) keys(e env) keymap {
	k := keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "back up", help: "start the backup of this database", off: e.busy(), line: true}}
	return append(k, moveKeys("database")...)
}

func (d *choose) do(_ env, c command) []action {
	if n, ok := moved(c, d.sel, len(d.names), d.h); ok {
		d.sel = n
		return nil
	}
	if c == cmdEnter {
		return []action{closeTop{}, runBackup{d.names[d.sel]}}
	}
	return nil
}

func (d *choose) click(_ env, _, y int) []action {
	if i := d.top + y - 1; y >= 1 && y <= d.h && i < len(d.names) {
		d.sel = i
	}
	return nil
}

func (d *choose) wheel(_ env, delta int) { d.sel = max(min(d.sel+delta, len(d.names)-1), 0) }

func (d *choose) view(e env) block {
	d.h = max(min(len(d.names), e.h-2, 12), 1)
	d.top = window(d.top, d.sel, len(d.names), d.h)
	lines := []string{e.th.titled(e.w, "back up which database?", fmt.Sprintf("%d of %d", d.sel+1, len(d.names)))}
	for i := d.top; i < min(d.top+d.h, len(d.names)); i++ {
		name := cutMiddle(e.th.text(d.names[i]), e.w-4)
		if i == d.sel {
			lines = append(lines, e.th.bold(" > "+name))
		} else {
			lines = append(lines, "   "+name)
		}
	}
	return block{lines: append(lines, e.th.rule(e.w))}
}
