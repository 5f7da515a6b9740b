package tui

import (
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/guide"
)

// sheet is the lines of a guide's page under construction, and where on it
// the focus is.
type sheet struct {
	e      env
	lines  []string
	from   int // the lines to keep in sight
	to     int
	cursor bool
	cx, cy int
	hits   []guideHit
}

func (s *sheet) add(lines ...string) { s.lines = append(s.lines, lines...) }

func (s *sheet) para(text string, style func(string) string) {
	for _, l := range wrapAt(s.e.th.text(text), max(s.e.w-2, 1)) {
		s.add(" " + style(l))
	}
}

func plainStyle(s string) string { return s }

func (p *guidePage) view(e env) block {
	fields, st := p.settled(), p.s.Step()
	s := &sheet{e: e, from: -1}
	if st.Question != "" {
		s.para(st.Question, e.th.bold)
	}
	if st.Text != "" && e.h >= 8 {
		s.para(st.Text, plainStyle)
	}
	s.gap()
	labelW := 0
	for _, f := range fields {
		labelW = max(labelW, textWidth(e.th.text(f.Label)))
	}
	for i, f := range fields {
		p.drawField(s, f, i, min(labelW, e.w/3))
	}
	for _, l := range p.s.Lines() {
		s.add(stateLine(e, "", l, labelW+1)...)
	}
	if len(fields) > 0 {
		s.gap()
	}
	if err := p.s.Err(); err != nil {
		s.from = len(s.lines)
		s.add(e.th.bad(" x ") + e.th.bold("this did not work"))
		s.add(faultLines(e, fault.As(err), e.w)...)
		s.to = len(s.lines) - 1
		s.gap()
	}
	if busy := p.s.Busy(); busy != "" {
		s.add(" " + e.th.live(e.th.text(busy)+" ..."))
	}
	if st.Body != nil {
		for _, sec := range st.Body(p.s.Values()) {
			s.add(sectionLines(e, sec)...)
		}
	}
	head := p.trail(e)
	return p.cut(s, head)
}

// gap adds an empty line where there is room for such.
func (s *sheet) gap() {
	if n := len(s.lines); s.e.h >= 14 && n > 0 && s.lines[n-1] != "" {
		s.add("")
	}
}

// cut puts the head above as many lines as fit, with the focus in sight.
func (p *guidePage) cut(s *sheet, head []string) block {
	p.lines, p.h = len(s.lines), max(s.e.h-len(head), 1)
	top := 0
	seen := p.h
	if p.lines > p.h && p.h > 1 { // the last line tells how many more there are
		seen--
	}
	if s.from >= 0 && s.to >= seen {
		top = min(s.from, s.to-seen+1)
	}
	p.scroll = max(min(p.scroll, p.lines-p.h-top), -top)
	p.top = max(top+p.scroll, 0)
	b := block{lines: append(head, s.lines[p.top:min(p.top+p.h, len(s.lines))]...)}
	if rest := len(s.lines) - p.top - p.h; rest > 0 && len(b.lines) > 2 {
		b.lines[len(b.lines)-1] = fmt.Sprintf(" %d more lines: PgDn", rest+1)
	}
	p.hits = nil
	for _, h := range s.hits {
		if y := h.line - p.top; y >= 0 && y < p.h {
			p.hits = append(p.hits, guideHit{y + len(head), h.field, h.option})
		}
	}
	if y := s.cy - p.top; s.cursor && y >= 0 && y < p.h {
		b.cursor, b.cx, b.cy = true, s.cx, y+len(head)
	}
	return b
}

// trail is the first line: which guide, which steps, where. When narrow only
// the step itself stays.
func (p *guidePage) trail(e env) []string {
	crumbs, place := p.s.Trail()
	title := e.th.text(p.s.Guide().Title)
	count := fmt.Sprintf("%d/%d ", place, len(crumbs))
	var plain, shown []string
	for _, c := range crumbs {
		name := e.th.text(c.Name)
		switch c.State {
		case "ok":
			plain, shown = append(plain, name+" ok"), append(shown, name+" "+e.th.good("ok"))
		case "now":
			plain, shown = append(plain, strings.ToUpper(name)), append(shown, e.th.bold(strings.ToUpper(name)))
		default:
			plain, shown = append(plain, name), append(shown, name)
		}
	}
	long := " " + title + "  " + strings.Join(plain, " > ")
	switch {
	case textWidth(long)+len(count)+1 <= e.w:
		return []string{spread(" "+e.th.bold(title)+"  "+strings.Join(shown, " > "), count, e.w), ""}
	case textWidth(long) <= e.w && e.h >= 12:
		return []string{" " + e.th.bold(title) + "  " + strings.Join(shown, " > "), spread("", count, e.w)}
	}
	if line := p.shortTrail(e, title, crumbs, place, e.w-len(count)-1); line != "" {
		return []string{spread(line, count, e.w), ""}
	}
	return []string{spread(" "+e.th.bold(title+"  "+plain[max(place-1, 0)]), count, e.w)}
}

// shortTrail is a trail of many steps in room cells: those behind as a number,
// those ahead as far as they go. It is empty where not even two of them fit.
func (p *guidePage) shortTrail(e env, title string, crumbs []guide.Crumb, place, room int) string {
	if place < 1 || e.h < 12 {
		return ""
	}
	now := e.th.bold(strings.ToUpper(e.th.text(crumbs[place-1].Name)))
	line := " " + e.th.bold(title) + "  "
	if place > 1 {
		line += fmt.Sprintf("%d ", place-1) + e.th.good("ok") + " > "
	}
	line += now
	for i, c := range crumbs[place:] {
		next := line + " > " + e.th.text(c.Name)
		more := ""
		if place+i+1 < len(crumbs) {
			more = " > ..."
		}
		if textWidth(next+more) > room {
			if i < 2 {
				return ""
			}
			return line + " > ..."
		}
		line = next
	}
	return line
}

func (p *guidePage) drawField(s *sheet, f *guide.Field, i, labelW int) {
	e, v, focus := s.e, p.s.Values(), i == p.focus
	label := padRight(cutEnd(e.th.text(f.Label), labelW), labelW)
	if focus {
		s.from, label = len(s.lines), e.th.bold(label)
	}
	first := len(s.lines)
	switch f.Kind {
	case guide.Choice, guide.Many:
		p.drawOptions(s, f, i, label, focus)
	case guide.YesNo:
		yes, no := "  yes  ", e.th.inverse("[ no ]")
		if v.Yes(f.Key) {
			yes, no = e.th.inverse("[ yes ]"), "  no  "
		}
		s.hits = append(s.hits, guideHit{len(s.lines), i, -1})
		s.add(" " + label + "  " + yes + " " + no)
	default:
		p.drawText(s, f, i, label, labelW, focus)
	}
	if focus {
		s.to = max(len(s.lines)-1, first)
		if f.Kind == guide.Choice || f.Kind == guide.Many {
			s.to = s.from
			for _, h := range s.hits {
				if h.field == i && h.option == p.cursor(f) {
					s.from, s.to = min(h.line, max(h.line-1, first)), h.line
				}
			}
		}
	}
}

// cursor is the option under the cursor.
func (p *guidePage) cursor(f *guide.Field) int {
	if f.Kind == guide.Many {
		return p.at[f.Key]
	}
	return slices.IndexFunc(f.Options(p.s.Values()), func(o guide.Option) bool { return o.Value == p.s.Values().Get(f.Key) })
}

// drawOptions draws as many options as there is room for, around the cursor.
func (p *guidePage) drawOptions(s *sheet, f *guide.Field, field int, label string, focus bool) {
	e, v := s.e, p.s.Values()
	opts := f.Options(v)
	s.add(" " + label)
	if len(opts) == 0 {
		s.add("   nothing to choose from")
		return
	}
	now := p.cursor(f)
	room := max(min(len(opts), e.h-7), 3)
	from := window(now-room/2, now, len(opts), room)
	nameW := 0
	for _, o := range opts[from:min(from+room, len(opts))] {
		nameW = max(nameW, textWidth(e.th.text(o.Label)))
	}
	nameW = min(nameW, max(e.w-8, 8))
	for n := from; n < min(from+room, len(opts)); n++ {
		o := opts[n]
		mark := "   "
		if n == now && (focus || f.Kind == guide.Choice) {
			mark = " > "
		}
		if f.Kind == guide.Many {
			box := "[ ] "
			if slices.Contains(v.List(f.Key), o.Value) {
				box = "[x] "
			}
			mark += box
		}
		line := mark + padRight(cutMiddle(e.th.text(o.Label), nameW), nameW)
		if hint := first(o.Off, o.Hint); hint != "" {
			line += "   " + e.th.text(hint)
		}
		line = cutEnd(strings.TrimRight(line, " "), e.w)
		if n == now && focus {
			line = e.th.bold(line)
		}
		s.hits = append(s.hits, guideHit{len(s.lines), field, n})
		s.add(line)
	}
	if len(opts) > room {
		s.add(fmt.Sprintf("   %d of %d", now+1, len(opts)))
	}
}

// drawText draws a text field or a hidden one, and below it what is to be
// said of it.
func (p *guidePage) drawText(s *sheet, f *guide.Field, field int, label string, labelW int, focus bool) {
	e, v := s.e, p.s.Values()
	room := max(e.w-labelW-8, 4)
	said := guide.Line{}
	var text string
	var at int
	if f.Kind == guide.Secret {
		in := p.secret(f)
		in.s.Use(func(b []byte) {
			if f.Valid != nil && len(b) > 0 {
				said = f.Valid(v, b)
			}
		})
		shown := in.view(e.th, said.Text)
		at = min(textWidth(shown), room-1)
		text = padRight(cutEnd(shown, room), room)
		if said.State != "x" && said.State != "!" { // the field itself says it
			said = guide.Line{}
		}
		if hint := in.clipboardHint(); hint != "" {
			defer s.add("   " + hint)
		}
	} else {
		text, at = p.input(f).view(e.th, room)
		if value := v.Get(f.Key); f.Valid != nil && value != "" {
			said = f.Valid(v, []byte(value))
		}
	}
	if strings.TrimSpace(text) == "" && f.Hint != "" && !focus {
		text = padRight(cutEnd(e.th.text(f.Hint), room), room)
	}
	if focus {
		s.cursor, s.cx, s.cy = true, labelW+5+at, len(s.lines)
	}
	s.hits = append(s.hits, guideHit{len(s.lines), field, -1})
	s.add(" " + label + "  [ " + text + " ]")
	if said.Text != "" {
		s.add(stateLine(e, "", said, labelW+1)...)
	} else if focus && f.Hint != "" && strings.TrimSpace(text) == "" {
		s.add("   " + strings.Repeat(" ", labelW) + cutEnd(e.th.text(f.Hint), max(e.w-labelW-3, 1)))
	}
}

// stateLine is a fact with its word, in a column of its own.
func stateLine(e env, label string, l guide.Line, labelW int) []string {
	text := e.th.text(l.Text)
	if l.Do != "" {
		text += "  > " + e.th.text(l.Do)
	}
	word := ""
	if l.State != "" {
		paint := map[string]func(string) string{"ok": e.th.good, "!": e.th.warn, "x": e.th.bad}[l.State]
		word = l.State
		if paint != nil {
			word = paint(l.State)
		}
		word = padRight(word, 2) + "  "
	}
	if e.w < 40 {
		labelW = min(labelW, textWidth(label))
	}
	indent := labelW + 2 + textWidth(word)
	var out []string
	for i, line := range wrapAt(text, max(e.w-indent-1, 8)) {
		if i == 0 {
			out = append(out, " "+padRight(e.th.text(label), labelW)+" "+word+line)
		} else {
			out = append(out, strings.Repeat(" ", indent)+line)
		}
	}
	return out
}

// sectionLines are a label with its lines, then its table.
func sectionLines(e env, s guide.Section) []string {
	var out []string
	label := s.Label
	for _, l := range s.Lines {
		out = append(out, stateLine(e, label, l, 8)...)
		label = ""
	}
	if s.Table == nil {
		return out
	}
	cols := make([]column, len(s.Table.Titles))
	rows := make([][]string, len(s.Table.Rows))
	for i, title := range s.Table.Titles {
		name, right := strings.CutPrefix(title, ">")
		cols[i] = column{title: name, right: right, min: 3, flex: !right}
	}
	for i, r := range s.Table.Rows {
		for _, c := range r {
			rows[i] = append(rows[i], e.th.text(c))
		}
	}
	widths := tableWidths(cols, rows, e.w)
	out = append(out, tableTitles(cols, widths))
	for _, r := range rows {
		out = append(out, tableRow(cols, widths, r, "  "))
	}
	return out
}
