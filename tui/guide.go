package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/guide"
)

// guidePage shows a guide: the trail of its steps, one question, its fields,
// and what was found out. What it does is in the guide; here is only how that
// looks and which keys lead to it.
type guidePage struct {
	s       *guide.Session
	alone   bool   // there is nothing behind it
	step    string // whose focus and inputs these are
	focus   int    // among the fields of the step
	inputs  map[string]*input
	secrets map[string]*secretInput
	at      map[string]int // the option under the cursor of a Many
	top     int            // first line shown
	scroll  int            // lines scrolled by hand, from where the focus is in sight
	lines   int
	h       int
	hits    []guideHit
}

// guideHit is what a line of the page stands for, for the mouse.
type guideHit struct{ line, field, option int }

// Commands of a guide.
const (
	cmdWhy    command = "why"
	cmdSave   command = "save-and-leave"
	cmdToggle command = "toggle"
	cmdEsc    command = "esc"
	cmdAct    command = "act-" // and the key of the step's action
)

func newGuidePage(s *guide.Session) *guidePage {
	return &guidePage{s: s, secrets: map[string]*secretInput{}, at: map[string]int{}}
}

// settled brings focus and inputs to the step that is shown now.
func (p *guidePage) settled() []*guide.Field {
	fields := p.s.Fields()
	if p.step != p.s.Step().Key {
		p.step, p.focus, p.top, p.scroll = p.s.Step().Key, 0, 0, 0
		p.inputs = map[string]*input{}
	}
	p.focus = max(min(p.focus, len(fields)-1), 0)
	return fields
}

// field is the one with the focus, nil when the step has none.
func (p *guidePage) field() *guide.Field {
	fields := p.settled()
	if len(fields) == 0 {
		return nil
	}
	return fields[p.focus]
}

// input is the text field of f, with what is known under its key: that may
// have been proposed meanwhile.
func (p *guidePage) input(f *guide.Field) *input {
	now := p.s.Values().Get(f.Key)
	if in := p.inputs[f.Key]; in == nil || in.text() != now {
		in := newInput(now)
		p.inputs[f.Key] = &in
	}
	return p.inputs[f.Key]
}

func (p *guidePage) secret(f *guide.Field) *secretInput {
	if p.secrets[f.Key] == nil {
		p.secrets[f.Key] = &secretInput{s: p.s.Values().SecretOf(f.Key), lines: f.Lines}
	}
	return p.secrets[f.Key]
}

func textual(f *guide.Field) bool {
	return f != nil && (f.Kind == guide.Text || f.Kind == guide.Path || f.Kind == guide.Number)
}

func (p *guidePage) keys(e env) keymap {
	f, st := p.field(), p.s.Step()
	k := keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: first(st.Enter, "continue"), help: "to the next step", line: true}}
	if len(p.s.Fields()) > 1 {
		k = append(k, binding{cmd: cmdNext, keys: []string{"tab"}, show: "Tab", name: "next field", help: "to the next field", line: true},
			binding{cmd: cmdPrev, keys: []string{"shift+tab"}, show: "S-Tab", name: "field before", help: "to the field before"})
	}
	if f != nil && (f.Kind == guide.Many || f.Kind == guide.YesNo) {
		k = append(k, binding{cmd: cmdToggle, keys: []string{"space"}, show: "Space", name: "choose", help: "choose this, or not", line: true})
	}
	if f != nil && f.Kind == guide.Secret && f.Reveal {
		k = append(k, binding{cmd: cmdReveal, keys: []string{"ctrl+r"}, show: "^R", name: "show", help: "show what was typed, or hide it again", line: true})
	}
	for _, a := range st.Actions {
		off := ""
		if a.Off != nil {
			off = a.Off(p.s.Values())
		}
		show := a.Key
		if f != nil && (textual(f) || f.Kind == guide.Secret) { // the letter itself belongs to the text
			show = "Alt-" + a.Key
		}
		k = append(k, binding{cmd: cmdAct + command(a.Key), keys: append([]string{a.Key}, withAlt(a.Key)...), show: show, name: a.Name, help: a.Help + " (in a text field: Alt-" + a.Key + ")", off: off, line: off == ""})
	}
	back := "the step before, with all that was typed kept; from the first step it leaves"
	save, saves := "leave", "leave the guide; nothing is kept and nothing was done"
	if p.s.Guide().Save != nil {
		save, saves = "save and leave", "leave; coming back continues here"
	}
	why := ""
	if st.Why == "" {
		why = "this step explains itself"
	}
	backKey, whyKey := "<", "?"
	if f != nil && f.Kind == guide.Secret { // where both may belong to the secret
		backKey, whyKey = "Esc", "Alt-?"
	}
	k = append(k,
		binding{cmd: cmdBack, keys: []string{"<"}, show: "<", name: "back", help: back, line: backKey == "<"},
		binding{cmd: cmdEsc, keys: []string{"esc"}, show: "Esc", name: "back", help: "the step before, as <; it never leaves pgvault", line: backKey != "<"},
		binding{cmd: cmdSave, keys: []string{"ctrl+s"}, show: "^S", name: save, help: saves, line: true},
		binding{cmd: cmdWhy, keys: []string{"?", "alt+?"}, show: whyKey, name: "why", help: "why this is asked", off: why, line: true})
	return append(k, p.moving(f)...)
}

// withAlt is a letter together with Alt: a capital comes as Shift and the small
// one, or where a terminal tells more, as itself.
func withAlt(key string) []string {
	if small := strings.ToLower(key); small != key {
		return []string{"alt+" + key, "alt+shift+" + small}
	}
	return []string{"alt+" + key}
}

// moving are the keys of lists and long pages; letters too where no text
// field has the focus.
func (p *guidePage) moving(f *guide.Field) keymap {
	k := moveKeys("line")
	if !textual(f) && (f == nil || f.Kind != guide.Secret) {
		return k
	}
	for i := range k {
		k[i].keys = slices.DeleteFunc(k[i].keys, func(s string) bool { return len(s) == 1 || s == "home" || s == "end" })
	}
	return slices.DeleteFunc(k, func(b binding) bool { return len(b.keys) == 0 })
}

// guideKeys work everywhere in a guide, after its own.
func (m *model) guideKeys() keymap {
	return keymap{
		{cmd: cmdHelp, keys: []string{"f1"}, show: "F1", name: "help", help: "the keys that work here", line: true},
		{cmd: cmdLeave, keys: []string{"q", "ctrl+c"}, show: "q", name: "leave pgvault", help: m.leaveHelp()},
		{cmd: cmdZone, keys: []string{"u"}, show: "u", name: "UTC", help: "times in UTC or local"},
		{cmd: cmdMouse, keys: []string{"M"}, show: "M", name: "mouse", help: "mouse on or off"},
		{cmd: cmdRedraw, keys: []string{"ctrl+l"}, show: "^L", name: "redraw", help: "draw the screen anew"},
		{cmd: cmdSuspend, keys: []string{"ctrl+z"}, show: "^Z", name: "suspend", help: "to the shell; fg comes back"},
	}
}

func (p *guidePage) do(e env, c command) []action {
	f := p.field()
	if key, ok := actKey(c); ok {
		return told1(p.s.Act(key))
	}
	switch c {
	case cmdEnter:
		return p.enter()
	case cmdNext, cmdPrev:
		n := len(p.s.Fields())
		if n > 0 {
			p.focus, p.scroll = (p.focus+map[command]int{cmdNext: 1, cmdPrev: n - 1}[c])%n, 0
		}
	case cmdToggle:
		p.toggle(f)
	case cmdReveal:
		in := p.secret(f)
		in.reveal = !in.reveal
	case cmdBack, cmdEsc:
		if text, ok := p.s.Back(); ok {
			return append(told1(text), stay{})
		}
		if c == cmdEsc && p.alone {
			return []action{say("this is the first step; ^S leaves"), stay{}}
		}
		p.s.Leave()
		return []action{closeTop{}}
	case cmdSave:
		p.s.Leave()
		text := "left the guide; nothing was changed"
		if p.s.Guide().Save != nil {
			text = "kept as a draft: coming back continues here"
		}
		return []action{closeTop{}, say(text)}
	case cmdWhy:
		return []action{openDialog{newWhy(p.s.Step())}}
	default:
		return p.move(c, f)
	}
	return nil
}

// stay is an action that does nothing: Esc was answered.
type stay struct{}

func told1(text string) []action {
	if text == "" {
		return nil
	}
	return []action{say(text)}
}

func actKey(c command) (string, bool) {
	if len(c) > len(cmdAct) && c[:len(cmdAct)] == cmdAct {
		return string(c[len(cmdAct):]), true
	}
	return "", false
}

// enter leaves the step, or shows what is missing with the focus on it.
func (p *guidePage) enter() []action {
	text := p.s.Next()
	if text == "" {
		return nil
	}
	for i, f := range p.s.Fields() {
		if f.Kind != guide.Choice && len(text) > len(f.Label) && text[:len(f.Label)] == f.Label {
			p.focus, p.scroll = i, 0
			break
		}
	}
	return []action{say("! " + text)}
}

// move goes up or down: within the options of a field, else to the next
// field, or it scrolls where there is none.
func (p *guidePage) move(c command, f *guide.Field) []action {
	v := p.s.Values()
	n := len(p.s.Fields())
	switch {
	case c == cmdPageUp || c == cmdPageDown || f == nil:
		if to, ok := moved(c, p.top, max(p.lines-p.h+1, 1), p.h); ok && to != p.top {
			p.scroll += to - p.top
			return nil
		}
		return []action{say("no more lines there")}
	case f.Kind == guide.Choice || f.Kind == guide.Many:
		opts := f.Options(v)
		now := p.cursor(f)
		if to, ok := moved(c, now, len(opts), len(opts)); ok && to != now && len(opts) > 0 {
			p.pick(f, opts, to)
			return nil
		}
	}
	to := p.focus
	switch c {
	case cmdUp:
		to--
	case cmdDown:
		to++
	case cmdTop:
		to = 0
	case cmdBottom:
		to = n - 1
	}
	if to = max(min(to, n-1), 0); to == p.focus {
		return []action{say("no more fields there")}
	}
	p.focus, p.scroll = to, 0
	return nil
}

// pick puts the cursor on an option; a Choice takes it.
func (p *guidePage) pick(f *guide.Field, opts []guide.Option, n int) {
	p.scroll = 0
	p.at[f.Key] = n
	if f.Kind == guide.Choice {
		p.s.Values().Set(f.Key, opts[n].Value)
		p.s.Edited(f.Key)
	}
}

func (p *guidePage) toggle(f *guide.Field) {
	v := p.s.Values()
	if f.Kind == guide.YesNo {
		v.Set(f.Key, map[bool]string{true: "no", false: "yes"}[v.Yes(f.Key)])
	} else if opts := f.Options(v); p.at[f.Key] < len(opts) {
		o := opts[p.at[f.Key]].Value
		list := slices.Clone(v.List(f.Key))
		if i := slices.Index(list, o); i >= 0 {
			list = slices.Delete(list, i, i+1)
		} else {
			list = append(list, o)
		}
		v.SetList(f.Key, list)
	}
	p.s.Edited(f.Key)
}

func (p *guidePage) typed(_ env, k tea.KeyPressMsg) bool {
	f := p.field()
	switch {
	case f == nil:
		return false
	case f.Kind == guide.Secret:
		if !p.secret(f).key(k) {
			return false
		}
	case textual(f) && k.Text != "<" && k.Text != "?":
		in := p.input(f)
		if !in.key(k) {
			return false
		}
		p.s.Values().Set(f.Key, in.text())
	default:
		return false
	}
	p.scroll = 0
	p.s.Edited(f.Key)
	return true
}

func (p *guidePage) paste(_ env, s string) {
	switch f := p.field(); {
	case f == nil:
	case f.Kind == guide.Secret:
		p.secret(f).paste(s)
		p.s.Edited(f.Key)
	case textual(f):
		in := p.input(f)
		in.insert(s)
		p.s.Values().Set(f.Key, in.text())
		p.s.Edited(f.Key)
	}
}

func (p *guidePage) click(_ env, _, y int) []action {
	fields := p.settled()
	for _, h := range p.hits {
		if h.line != y || h.field >= len(fields) {
			continue
		}
		p.focus = h.field
		f := fields[h.field]
		if f.Kind == guide.YesNo {
			p.toggle(f)
		} else if h.option >= 0 {
			p.pick(f, f.Options(p.s.Values()), h.option)
			if f.Kind == guide.Many {
				p.toggle(f)
			}
		}
	}
	return nil
}

func (p *guidePage) wheel(_ env, delta int) { p.scroll += delta }

// why is the answer to `?`: why this is asked.
type why struct {
	base
	title, text string
}

func newWhy(st *guide.Step) *why { return &why{title: first(st.Question, st.Name), text: st.Why} }

func (d *why) keys(env) keymap {
	return keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "close", help: "close this", line: true}}
}

func (d *why) do(_ env, c command) []action {
	if c == cmdEnter {
		return []action{closeTop{}}
	}
	return nil
}

func (d *why) view(e env) block {
	lines := []string{e.th.titled(e.w, e.th.text(d.title), "why is this asked")}
	for _, l := range wrapAt(e.th.text(d.text), max(e.w-2, 1)) {
		lines = append(lines, " "+l)
	}
	return block{lines: append(lines[:min(len(lines), max(e.h-1, 1))], e.th.rule(e.w))}
}
