package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"pgvault/fault"
	"pgvault/vault"
)

// everyScreen brings a rig to each page and dialog.
var everyScreen = map[string]func(t *testing.T, w, h int, o Options) *rig{
	"archives": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("down", "down")
		return r
	},
	"filtering": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("/", "2", "0", "down", "down")
		return r
	},
	"detail": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.m.archives.sel = 3
		r.keys("enter")
		return r
	},
	"empty": func(t *testing.T, w, h int, o Options) *rig {
		return newRig(t, &fakeDesk{dbs: []string{hostile}}, o, w, h)
	},
	"unreadable": func(t *testing.T, w, h int, o Options) *rig {
		return newRig(t, &fakeDesk{listErr: &fault.Error{What: "no vault " + hostile, Why: hostile, Left: "all", Do: "init"}}, o, w, h)
	},
	"choose": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.dbs = []string{"billing", hostile, "shop", "データベース"}
		r := newRig(t, d, o, w, h)
		r.keys("b")
		r.until("the databases", func() bool { return len(r.m.dialogs) > 0 })
		r.keys("up")
		return r
	},
	"verify": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("v", "down")
		return r
	},
	"restore": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("r")
		r.typeText("/root/key")
		return r
	},
	"plan":       func(t *testing.T, w, h int, o Options) *rig { return planned(t, sampleDesk(), w, h, o) },
	"running":    func(t *testing.T, w, h int, o Options) *rig { return running(t, w, h, o) },
	"report":     func(t *testing.T, w, h int, o Options) *rig { return compared(t, w, h, o) },
	"failed":     func(t *testing.T, w, h int, o Options) *rig { return failed(t, w, h, o) },
	"cancel":     func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys("x"); return r },
	"leave":      func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys("q"); return r },
	"help":       func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys("?", "down"); return r },
	"passphrase": func(t *testing.T, w, h int, o Options) *rig { r := asked(t, w, h, o); r.keys("s"); return r },
	"failure": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.dbErr = &fault.Error{What: "the server is away", Why: hostile, Do: "start it", Code: fault.DBUnreachable}
		r := newRig(t, d, o, w, h)
		r.keys("b")
		r.until("the failure", func() bool { return len(r.m.dialogs) > 0 })
		return r
	},
}

func TestEveryScreenAtEverySize(t *testing.T) {
	sizes := [][2]int{{80, 24}, {60, 20}, {30, 8}, {200, 60}, {40, 12}, {20, 5}, {10, 3}, {3, 2}, {1, 1}}
	for name, open := range everyScreen {
		for _, o := range []Options{{Mouse: true}, {ASCII: true, NoColor: true, ReadOnly: false}} {
			t.Run(fmt.Sprint(name, "/ascii=", o.ASCII), func(t *testing.T) {
				r := open(t, 80, 24, o)
				for _, s := range sizes {
					r.m.w, r.m.h = s[0], s[1]
					r.check()
				}
			})
		}
	}
}

func TestEveryPageAtItsSizeNamesHelpAndHost(t *testing.T) {
	for name, open := range everyScreen {
		for _, s := range [][2]int{{80, 24}, {60, 20}, {40, 12}, {30, 8}} {
			r := open(t, s[0], s[1], Options{})
			lines := strings.Split(r.screen(), "\n")
			if last := lines[len(lines)-1]; name != "help" && !strings.Contains(last, "help") {
				t.Errorf("%s %v: the key line is %q", name, s, last)
			}
			if !strings.Contains(lines[0], "PROD") || s[0] >= 60 && !strings.Contains(lines[0], "db1.example.org") {
				t.Errorf("%s %v: the header is %q", name, s, lines[0])
			}
		}
	}
}

func TestKeysAreUnique(t *testing.T) {
	for name, open := range everyScreen {
		r := open(t, 80, 24, Options{})
		keys, cmds := map[string]string{}, map[command]bool{}
		for _, b := range r.m.keymap() {
			for _, k := range b.keys {
				if was, ok := keys[k]; ok {
					t.Errorf("%s: %s means %s and %s", name, k, was, b.name)
				}
				keys[k] = b.name
			}
			if cmds[b.cmd] {
				t.Errorf("%s: two lines of help for %s", name, b.cmd)
			}
			cmds[b.cmd] = true
			if b.show == "" || b.name == "" || b.help == "" || len(b.keys) == 0 {
				t.Errorf("%s: %s is not explained", name, b.cmd)
			}
		}
	}
}

// TestEveryHelpLineDoes runs each line of each screen's help, by its key, and
// wants to see something of it: another screen, a message, or a Cmd.
func TestEveryHelpLineDoes(t *testing.T) {
	for name, open := range everyScreen {
		for _, b := range open(t, 80, 24, Options{}).m.keymap() {
			for _, key := range b.keys {
				r := open(t, 80, 24, Options{})
				if scrolls(r.m) && (b.cmd == cmdUp || b.cmd == cmdPageUp || b.cmd == cmdTop) {
					r.keys("G")
				}
				if r.m.top().typed(r.m.env(), keyPress(key)) {
					continue // a letter in a text field is text
				}
				r.m.message = ""
				before := r.m.View()
				_, cmd := r.m.Update(keyPress(key))
				after := r.m.View()
				same := before.Content == after.Content && before.MouseMode == after.MouseMode
				if same && cmd == nil {
					t.Errorf("%s: %s (%s) does nothing", name, key, b.name)
				}
				if b.off != "" && r.m.message != b.off {
					t.Errorf("%s: %s is off, but the message is %q", name, key, r.m.message)
				}
				r.start(cmd)
			}
		}
	}
}

func scrolls(m *model) bool {
	if len(m.dialogs) > 0 {
		return false
	}
	switch m.page().(type) {
	case *detail, *planPage, *jobPage:
		return true
	}
	return false
}

func TestDestructionNeedsMoreThanOneKey(t *testing.T) {
	for name, open := range everyScreen {
		if name == "cancel" || name == "leave" {
			continue
		}
		for c := rune(' '); c < 0x7f; c++ {
			r := open(t, 80, 24, Options{})
			var asked int
			if r.m.job != nil {
				asked = len(r.d.calls())
			}
			r.keys(string(c))
			if r.quit && r.m.job != nil && r.m.job.done == nil || r.m.job != nil && r.m.job.cancelling || len(r.d.calls()) > asked {
				t.Errorf("%s: %q alone did %v", name, c, r.d.calls())
			}
		}
	}
}

func TestKeyLineKeepsHelpToTheLast(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	for w := 80; w >= 6; w-- {
		line, hints := r.m.keymap().line(theme{}, w)
		if !strings.Contains(ansi.Strip(line), "? help") {
			t.Fatalf("%d cells: %q", w, ansi.Strip(line))
		}
		for _, h := range hints {
			if h.x1 > w {
				t.Fatalf("%d cells: a hint ends in cell %d", w, h.x1)
			}
		}
	}
}

// wait is a run that goes on until it is cancelled.
func wait(ctx context.Context, _ vault.Kind, _ vault.Identities, s vault.Sink) error {
	<-ctx.Done()
	err := &fault.Error{What: "cancelled", Left: "nothing was left behind", Code: fault.Cancelled, Err: ctx.Err()}
	s(vault.RunDone{Kind: vault.KindBackup, Result: vault.ResultCancelled, Exit: fault.Cancelled, Database: "shop", Err: err})
	return err
}
