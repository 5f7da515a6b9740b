package tui

import (
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// headLines is the height of header, tabs and the rule below them: the rule
// needs room, then the tabs, then the header.
func (m *model) headLines() int {
	switch {
	case m.h < 5:
		return 0
	case m.h < 9:
		return 1
	case m.h < 14:
		return 2
	}
	return 3
}

// bodyHeight is what header, message line and key line leave.
func (m *model) bodyHeight() int { return max(m.h-m.headLines()-m.footLines(), 1) }

func (m *model) footLines() int {
	if m.h < 4 {
		return min(1, m.h-1)
	}
	return 2
}

// View draws the screen: exactly h lines of at most w cells.
func (m *model) View() tea.View {
	e, keys := m.env(), m.keymap()
	var lines []string
	n := m.headLines()
	if n > 0 {
		lines = append(lines, m.header())
	}
	m.tabsLine = -1
	switch {
	case n > 1 && m.alone():
		lines = append(lines, "") // there is no place to go to yet
	case n > 1:
		m.tabsLine = 1
		lines = append(lines, m.tabLine(keys))
	}
	if n > 2 {
		lines = append(lines, m.th.rule(m.w))
	}
	m.bodyTop = len(lines)
	body := m.page().view(e)
	lines = append(lines, fill(body.lines, e.h)...)
	cursor, cx, cy := body.cursor && len(m.dialogs) == 0, body.cx, body.cy+m.bodyTop
	if len(m.dialogs) > 0 {
		over := m.top().view(e)
		over.lines = over.lines[:min(len(over.lines), e.h)]
		m.overTop = m.bodyTop + e.h - len(over.lines)
		copy(lines[m.overTop:], over.lines)
		cursor, cx, cy = over.cursor, over.cx, over.cy+m.overTop
	}
	if m.footLines() > 1 {
		lines = append(lines, m.messageLine())
	}
	if m.footLines() > 0 {
		var foot string
		foot, m.hints = keys.line(m.th, m.w)
		lines = append(lines, foot)
	}
	lines = fill(lines, m.h)
	for i, l := range lines {
		lines[i] = truncate(l, m.w, "")
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.WindowTitle = m.title()
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if cursor && cy < m.h {
		v.Cursor = tea.NewCursor(min(cx, m.w-1), cy)
		v.Cursor.Blink = false
	}
	v.ProgressBar = m.taskbar()
	return v
}

// fill cuts or fills lines to exactly n.
func fill(lines []string, n int) []string {
	out := make([]string, n)
	copy(out, lines)
	return out
}

// taskbar is the progress shown by terminals that have a place for it: that
// of the job that is shown, else of the newest that runs.
func (m *model) taskbar() *tea.ProgressBar {
	var p vault.Progress
	switch run := m.know.running(); {
	case m.job != nil && m.job.done == nil && m.job.lost == nil:
		p = m.job.progress
	case m.job == nil && len(run) > 0:
		if run[0].Progress != nil {
			p = *run[0].Progress
		}
	default:
		return nil
	}
	f, ok := fraction(p)
	if !ok {
		return tea.NewProgressBar(tea.ProgressBarIndeterminate, 0)
	}
	return tea.NewProgressBar(tea.ProgressBarDefault, int(f*100))
}

// tabLine names the places, the one shown in brackets. When narrow the gaps
// go first, then the words of the others.
func (m *model) tabLine(keys keymap) string {
	line := ""
	for _, form := range []struct {
		gap   string
		words bool
	}{{"  ", true}, {"", true}, {"", false}} {
		line, m.tabs = m.tabsIn(form.gap, form.words)
		if textWidth(line) <= m.w {
			break
		}
	}
	b, ok := keys.byCommand(cmdHelp)
	if !ok {
		return spread(line, "", m.w-1) // this is the help
	}
	right := b.show + " help"
	if textWidth(line)+len(right)+1 <= m.w-1 {
		m.tabs = append(m.tabs, hint{m.w - 1 - len(right), m.w - 1, cmdHelp})
	}
	return spread(line, right, m.w-1)
}

func (m *model) tabsIn(gap string, words bool) (string, []hint) {
	var b strings.Builder
	var hints []hint
	x := 0
	for i, name := range placeNames {
		text := string(rune('1' + i))
		if words || i == m.place {
			text += " " + name
		}
		open, end := " ", " "
		if i == m.place {
			open, end = "[", "]"
		}
		if i > 0 {
			b.WriteString(gap)
			x += len(gap)
		}
		n := len(text) + 2
		hints = append(hints, hint{x, x + n, placeCommands[i]})
		x += n
		if i == m.place {
			text = m.th.bold(text)
		}
		b.WriteString(open + text + end)
	}
	return b.String(), hints
}

// alone tells whether the screen was opened for a guide before there is a
// vault.
func (m *model) alone() bool { return m.o.Guide != nil }

// header names program, host, vault and label, who else is here, and the time
// with its zone. When narrow the others' names go first, then the offset, then
// the word vault, then the host is cut in its middle, then how many are here;
// vault, label and time stay.
func (m *model) header() string {
	name, offset := zone(m.now, m.loc())
	clock := m.now.In(m.loc()).Format("15:04")
	clocks := []string{clock + " " + name + " (" + offset + ")", clock + " " + name, clock}
	if offset == "" {
		clocks = clocks[1:]
	}
	clocks = m.withHere(clocks)
	if m.ro {
		for i := range clocks {
			clocks[i] = "read only  " + clocks[i]
		}
	}
	if m.alone() {
		return m.headline("pgvault  "+m.th.text(m.o.Host)+"  this machine has no vault yet", "", clocks[len(clocks)-1])
	}
	host, vaultName := m.th.text(m.o.Host), m.th.text(m.name)
	label := ""
	if m.label != "" {
		label = "[" + cutMiddle(m.th.text(m.label), max(m.w/3, 4)) + "]"
	}
	vaultName = cutMiddle(vaultName, max(m.w/4, 6))
	full := textWidth(host)
	for _, least := range []int{min(full, m.w/2), min(full, 12)} {
		for _, c := range clocks {
			for _, v := range []string{"  vault " + vaultName, " " + vaultName} {
				rest := textWidth("pgvault  "+v+"  "+label+" "+c) + 1
				if h := m.w - rest; h >= least {
					return m.headline("pgvault  "+cutMiddle(host, h)+v, label, c)
				}
			}
		}
	}
	c := clocks[len(clocks)-1]
	if room := m.w - textWidth(label+c) - 3; room >= 4 {
		return m.headline(cutMiddle(vaultName, room), label, c)
	}
	return m.headline("", label, c)
}

// withHere puts the screens that are open on this vault before the clocks, from
// the longest form to the shortest: "2 here (dba-1)", "2 here", nothing. They
// are only told of where there is another one.
func (m *model) withHere(clocks []string) []string {
	n := len(m.know.others)
	if n == 0 {
		return clocks
	}
	short := strconv.Itoa(n+1) + " here"
	var names []string
	for _, name := range m.know.others {
		if name = cutMiddle(m.th.text(name), 16); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var out []string
	if len(names) > 0 {
		if len(names) > 3 {
			names = append(names[:2], "...")
		}
		out = append(out, short+" ("+strings.Join(names, ", ")+")  "+clocks[0])
	}
	for _, c := range clocks {
		out = append(out, short+"  "+c)
	}
	return append(out, clocks[len(clocks)-1])
}

func (m *model) headline(left, label, clock string) string {
	left = m.th.bold(left)
	if label != "" {
		if left != "" {
			left += "  "
		}
		left += m.th.inverse(label)
	}
	return spread(left, clock, m.w)
}

// messageLine is what the last key had to say, else the jobs that go on.
func (m *model) messageLine() string {
	if m.message != "" {
		return " " + cutEnd(m.message, m.w-1)
	}
	run := m.know.running()
	if len(run) == 0 || m.alone() || m.place == placeActivity || m.place == placeHealth && m.h >= 20 && len(m.pages) == 1 {
		return "" // the page tells it
	}
	more := "   (3 shows it)"
	if m.w < 60 {
		more = ""
	}
	return " " + m.th.live(cutEnd(goesOn(m.th, run, "goes on"), m.w-len(more)-1)) + more
}
