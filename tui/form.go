package tui

import (
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// field is a text field with its label in front.
func field(e env, label string, in *input, focus bool) (line string, cx int) {
	room := max(e.w-textWidth(label)-8, 4)
	text, at := in.view(e.th, room)
	if focus {
		label = e.th.bold(label)
	}
	line = " " + label + "  [ " + text + " ]"
	return line, textWidth(label) + 5 + at
}

// pathList is several paths in one field, as in PATH.
func pathList(files []string) string { return strings.Join(files, string(os.PathListSeparator)) }

func splitPaths(s string) []string {
	var out []string
	for _, p := range filepath.SplitList(s) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// verifyForm asks how far to verify, and where the identity is if one is
// needed for that.
type verifyForm struct {
	base
	archive vault.Archive
	level   int
	onFile  bool // the identity field has the focus
	file    input
}

// levels are what a verify may reach, with what each of them needs.
var levels = []struct {
	proof vault.Proof
	text  string
	key   bool
}{
	{vault.ProofIntact, "every stored byte is read back and compared; no key", false},
	{vault.ProofReadable, "decrypted and parsed to the last byte; needs an identity", true},
	{vault.ProofRestored, "restored into a scratch server and compared; needs an identity", true},
}

func newVerifyForm(a vault.Archive, files []string) *verifyForm {
	return &verifyForm{archive: a, file: newInput(pathList(files))}
}

func (d *verifyForm) needsFile() bool { return levels[d.level].key }

func (d *verifyForm) keys(e env) keymap {
	off := e.busy()
	if off == "" && d.needsFile() && len(splitPaths(d.file.text())) == 0 {
		off = string(levels[d.level].proof) + " needs an identity: type the path of its file"
	}
	noFile := ""
	if !d.needsFile() {
		noFile = "intact needs no identity"
	}
	k := keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "start", help: "start the verify", off: off, line: true},
		{cmd: cmdNext, keys: []string{"tab", "shift+tab"}, show: "Tab", name: "next field", help: "between the levels and the identity", off: noFile, line: true},
	}
	up, down := []string{"up"}, []string{"down"}
	if !d.onFile {
		up, down = append(up, "k"), append(down, "j")
	}
	return append(k,
		binding{cmd: cmdUp, keys: up, show: "Up", name: "lower level", help: "a lower level"},
		binding{cmd: cmdDown, keys: down, show: "Down", name: "higher level", help: "a higher level"})
}

func (d *verifyForm) do(_ env, c command) []action {
	switch c {
	case cmdUp, cmdDown:
		d.level, _ = moved(c, d.level, len(levels), 1)
		d.onFile = d.onFile && d.needsFile()
	case cmdNext:
		d.onFile = !d.onFile
	case cmdEnter:
		files := splitPaths(d.file.text())
		if !d.needsFile() {
			files = nil
		}
		return []action{closeTop{}, runVerify{d.archive, levels[d.level].proof, files}}
	}
	return nil
}

func (d *verifyForm) takesText() bool { return d.onFile }

func (d *verifyForm) typed(_ env, k tea.KeyPressMsg) bool { return d.onFile && d.file.key(k) }

func (d *verifyForm) paste(_ env, s string) {
	if d.onFile {
		d.file.insert(s)
	}
}

func (d *verifyForm) click(_ env, _, y int) []action {
	switch {
	case y >= 1 && y <= len(levels):
		d.level, d.onFile = y-1, false
	case y == len(levels)+1 && d.needsFile():
		d.onFile = true
	}
	return nil
}

func (d *verifyForm) view(e env) block {
	title := "verify " + e.th.text(d.archive.Database) + "  " + when(d.archive.Started, e.now, e.loc)
	b := block{lines: []string{e.th.titled(e.w, title, e.th.text(d.archive.ID))}}
	for i, l := range levels {
		line := padRight(string(l.proof), 9) + " " + l.text
		if i == d.level {
			b.lines = append(b.lines, e.th.bold(" > "+cutEnd(line, e.w-3)))
		} else {
			b.lines = append(b.lines, "   "+cutEnd(line, e.w-3))
		}
	}
	if d.needsFile() {
		line, cx := field(e, "identity", &d.file, d.onFile)
		b.cursor, b.cx, b.cy = d.onFile, cx, len(b.lines)
		b.lines = append(b.lines, line)
	} else {
		b.lines = append(b.lines, "")
	}
	b.lines = append(b.lines, e.th.rule(e.w))
	return b
}
