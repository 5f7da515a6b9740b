package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pgvault/fault"
	"pgvault/vault"
)

// everyScreen brings a rig to each page and dialog.
var everyScreen = map[string]func(t *testing.T, w, h int, o Options) *rig{
	"health": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.setJobs(wikiJob())
		r := newRig(t, d, o, w, h)
		r.keys("down", "down")
		return r
	},
	"health warning": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("G", "up", "down")
		return r
	},
	"database": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.health.Databases[2].Explained.Do = strings.Repeat("a long story ", 90)
		r := newRig(t, d, o, w, h)
		r.keys("j", "j", "enter")
		return r
	},
	"archives": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("down", "down")
		return r
	},
	"filtering": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("/", "2", "0", "down", "down")
		return r
	},
	"detail": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.m.archives.sel = 3
		r.keys("enter")
		return r
	},
	"tables": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		for i := range 40 {
			d.tables = append(d.tables, vault.TableInfo{Name: fmt.Sprint("public.t", i), Rows: 5, SHA256: "ef"})
		}
		o.Identity = []string{"/root/key"}
		r := onBackups(t, d, o, w, h)
		r.keys("t")
		r.settle()
		return r
	},
	"path": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("t")
		r.typeText("/root/key")
		return r
	},
	"delete": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("D")
		r.settle()
		return r
	},
	"activity": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.setJobs(wikiJob())
		r := newRig(t, d, o, w, h)
		r.keys("3", "down", "down")
		return r
	},
	"setup without": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, sampleDesk(), o, w, h)
		r.keys("4")
		return r
	},
	"setup": func(t *testing.T, w, h int, o Options) *rig {
		r := onSetup(t, w, h, o)
		r.keys("down", "down")
		return r
	},
	"setup detail":    func(t *testing.T, w, h int, o Options) *rig { r := onSetup(t, w, h, o); r.keys("d"); return r },
	"setup errors":    func(t *testing.T, w, h int, o Options) *rig { return edited(t, w, h, o, editErrors) },
	"setup diff":      func(t *testing.T, w, h int, o Options) *rig { return edited(t, w, h, o, editLabel) },
	"setup keep":      func(t *testing.T, w, h int, o Options) *rig { return edited(t, w, h, o, editKeep) },
	"setup meanwhile": func(t *testing.T, w, h int, o Options) *rig { return edited(t, w, h, o, editMeanwhile) },
	"empty": func(t *testing.T, w, h int, o Options) *rig {
		return newRig(t, &fakeDesk{dbs: []string{hostile}}, o, w, h)
	},
	"nothing ran": func(t *testing.T, w, h int, o Options) *rig {
		r := newRig(t, &fakeDesk{dbs: []string{hostile}}, o, w, h)
		r.keys("3")
		return r
	},
	"unreadable": func(t *testing.T, w, h int, o Options) *rig {
		return onBackups(t, &fakeDesk{listErr: &fault.Error{What: "no vault " + hostile, Why: hostile, Left: "all", Do: "init"}}, o, w, h)
	},
	"choose": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.dbs = []string{"billing", hostile, "shop", "データベース"}
		r := onBackups(t, d, o, w, h)
		r.keys("b")
		r.settle()
		r.keys("up")
		return r
	},
	"verify": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("v", "down")
		return r
	},
	"restore": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("r")
		r.settle()
		return r
	},
	"restore, why": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("r")
		r.settle()
		r.keys("?")
		return r
	},
	"restore by file": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("r")
		r.settle()
		r.keys("down", "tab")
		r.typeText("/root/key")
		r.settle()
		return r
	},
	"restore by paste": func(t *testing.T, w, h int, o Options) *rig {
		r := onBackups(t, sampleDesk(), o, w, h)
		r.keys("r")
		r.settle()
		r.keys("down", "down", "tab")
		r.update(tea.PasteMsg{Content: "AGE-SECRET-KEY-1QQQQ"})
		r.settle()
		return r
	},
	"restore, refused": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.plan.Checks = append(d.plan.Checks, vault.Check{State: "x", Text: "roles are missing: " + hostile, Do: hostile})
		return planned(t, d, w, h, o)
	},
	"restore, tables": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		for i := range 40 {
			d.tables = append(d.tables, vault.TableInfo{Name: fmt.Sprint("public.", hostile, i), Rows: 5})
		}
		r := planned(t, d, w, h, o)
		r.keys("t")
		r.settle()
		r.keys("down", "space")
		return r
	},
	"plan":       func(t *testing.T, w, h int, o Options) *rig { return planned(t, sampleDesk(), w, h, o) },
	"running":    func(t *testing.T, w, h int, o Options) *rig { return running(t, w, h, o) },
	"report":     func(t *testing.T, w, h int, o Options) *rig { return compared(t, w, h, o) },
	"failed":     func(t *testing.T, w, h int, o Options) *rig { return failed(t, w, h, o) },
	"cancel":     func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys("x"); return r },
	"help":       func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys("?", "down"); return r },
	"palette":    func(t *testing.T, w, h int, o Options) *rig { r := running(t, w, h, o); r.keys(":", "down"); return r },
	"passphrase": func(t *testing.T, w, h int, o Options) *rig { r := asked(t, w, h, o); r.keys("s"); return r },
	"failure": func(t *testing.T, w, h int, o Options) *rig {
		d := sampleDesk()
		d.dbErr = &fault.Error{What: "the server is away", Why: hostile, Do: "start it", Code: fault.DBUnreachable}
		r := onBackups(t, d, o, w, h)
		r.keys("b")
		r.settle()
		return r
	},
}

func TestEveryScreenAtEverySize(t *testing.T) {
	sizes := [][2]int{{80, 24}, {60, 20}, {30, 8}, {200, 60}, {40, 12}, {20, 5}, {10, 3}, {3, 2}, {1, 1}}
	for name, open := range everyScreen {
		for _, o := range []Options{{Mouse: true}, {ASCII: true, Theme: "none", ReadOnly: false}} {
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
			if last := lines[len(lines)-1]; name != "help" && name != "palette" && !strings.Contains(last, "help") {
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
	case *detail, *jobPage, *healthDetail, *tablesPage, *setupDetail:
		return true
	}
	return false
}

func TestDestructionNeedsMoreThanOneKey(t *testing.T) {
	for name, open := range everyScreen {
		r := open(t, 80, 24, Options{})
		for c := rune(' '); c < 0x7f; c++ {
			if c == 'm' {
				continue // a pin destroys nothing, and m takes it back
			}
			b, bound := r.m.keymap().find(string(c))
			before := len(r.d.calls())
			r.keys(string(c))
			if _, asks := r.m.top().(*passphrase); !asks {
				r.settle()
			}
			if now := r.d.calls(); len(now) > before {
				t.Errorf("%s: %q alone did %v", name, c, now[before:])
			}
			if bound && b.off == "" {
				r = open(t, 80, 24, Options{})
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

// wait is a job that goes on for as long as it is watched.
func wait(ctx context.Context, _ string, _ vault.Sink) error {
	<-ctx.Done()
	return ctx.Err()
}
