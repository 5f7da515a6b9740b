package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// headLines is the header's height: with room, a rule stands below it.
func (m *model) headLines() int {
	switch {
	case m.h < 5:
		return 0
	case m.h < 12:
		return 1
	}
	return 2
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
	e := m.env()
	var lines []string
	if n := m.headLines(); n > 0 {
		lines = append(lines, m.header())
		if n > 1 {
			lines = append(lines, m.th.rule(m.w))
		}
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
		foot, m.hints = m.keymap().line(m.th, m.w)
		lines = append(lines, foot)
	}
	lines = fill(lines, m.h)
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, m.w, "")
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

// taskbar is the progress shown by terminals that have a place for it.
func (m *model) taskbar() *tea.ProgressBar {
	if m.job == nil || m.job.done != nil {
		return nil
	}
	f, ok := fraction(m.job.progress)
	if !ok {
		return tea.NewProgressBar(tea.ProgressBarIndeterminate, 0)
	}
	return tea.NewProgressBar(tea.ProgressBarDefault, int(f*100))
}

// header names program, host, vault and label, and the time with its zone.
// When narrow the offset goes first, then the word vault, then the host is
// cut in its middle; vault, label and time stay.
func (m *model) header() string {
	name, offset := zone(m.now, m.loc())
	clock := m.now.In(m.loc()).Format("15:04")
	clocks := []string{clock + " " + name + " (" + offset + ")", clock + " " + name, clock}
	if offset == "" {
		clocks = clocks[1:]
	}
	if m.ro {
		for i := range clocks {
			clocks[i] = "read only  " + clocks[i]
		}
	}
	host, vaultName := m.th.text(m.o.Host), m.th.text(m.name)
	label := ""
	if m.label != "" {
		label = "[" + cutMiddle(m.th.text(m.label), max(m.w/3, 4)) + "]"
	}
	vaultName = cutMiddle(vaultName, max(m.w/4, 6))
	full := ansi.StringWidth(host)
	for _, least := range []int{min(full, m.w/2), min(full, 12)} {
		for _, c := range clocks {
			for _, v := range []string{"  vault " + vaultName, " " + vaultName} {
				rest := ansi.StringWidth("pgvault  "+v+"  "+label+" "+c) + 1
				if h := m.w - rest; h >= least {
					return m.headline("pgvault  "+cutMiddle(host, h)+v, label, c)
				}
			}
		}
	}
	c := clocks[len(clocks)-1]
	if room := m.w - ansi.StringWidth(label+c) - 3; room >= 4 {
		return m.headline(cutMiddle(vaultName, room), label, c)
	}
	return m.headline("", label, c)
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

// messageLine is what the last key had to say, else the run that goes on.
func (m *model) messageLine() string {
	if m.message != "" {
		return " " + cutEnd(m.message, m.w-1)
	}
	if m.job == nil || m.job.done != nil {
		return ""
	}
	if m.leaving {
		return " " + m.th.warn("cancelling "+m.job.title(m.th)+", then leaving; q again leaves the screen now")
	}
	if _, ok := m.page().(*jobPage); ok {
		return ""
	}
	return " " + m.th.live(m.job.short(m.th)) + "   (J shows it)"
}
