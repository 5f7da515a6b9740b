package tui

import (
	"image/color"
	"math"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// xterm are the 16 colours of xterm, by their SGR number.
var xterm = map[string]uint32{
	"31": 0xcd0000, "32": 0x00cd00, "33": 0xcdcd00, "34": 0x0000ee, "35": 0xcd00cd, "36": 0x00cdcd,
	"91": 0xff0000, "92": 0x00ff00, "93": 0xffff00, "94": 0x5c5cff, "95": 0xff00ff, "96": 0x00ffff,
}

// contrast is the ratio of two colours as WCAG 2 counts it.
func contrast(a, b uint32) float64 {
	lum := func(c uint32) float64 {
		sum := 0.0
		for i, share := range []float64{0.2126, 0.7152, 0.0722} {
			v := float64(c>>(16-8*i)&0xff) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += share * v
		}
		return sum
	}
	hi, lo := max(lum(a), lum(b)), min(lum(a), lum(b))
	return (hi + 0.05) / (lo + 0.05)
}

var sgrColour = regexp.MustCompile("\x1b\\[(?:[0-9;]*;)?([39][0-7])m")

func TestColoursCanBeReadOnTheirBackground(t *testing.T) {
	for theme, back := range map[string]uint32{"light": 0xffffff, "dark": 0x000000} {
		used := map[string]bool{}
		for name, open := range everyScreen {
			for _, m := range sgrColour.FindAllStringSubmatch(open(t, 80, 24, Options{Theme: theme}).m.View().Content, -1) {
				used[m[1]] = true
				if c := contrast(xterm[m[1]], back); c < 4.5 {
					t.Errorf("%s, %s: colour %s has a contrast of %.1f", theme, name, m[1], c)
				}
			}
		}
		if len(used) < 3 {
			t.Errorf("%s: only %v were seen", theme, used)
		}
	}
}

func TestAutoFollowsTheTerminal(t *testing.T) {
	const magenta, yellow, brightRed = "\x1b[35m", "\x1b[33m", "\x1b[91m"
	has := func(r *rig, want ...string) {
		t.Helper()
		s := r.m.View().Content
		for _, c := range []string{magenta, yellow, brightRed} {
			if strings.Contains(s, c) != strings.Contains(strings.Join(want, ""), c) {
				t.Errorf("%q: wanted %q", sgrColour.FindAllString(s, -1), want)
				return
			}
		}
	}
	for _, name := range []string{"", "auto"} {
		r := newRig(t, sampleDesk(), Options{Theme: name}, 100, 30)
		has(r, yellow) // nothing was said yet
		r.update(tea.BackgroundColorMsg{Color: color.White})
		has(r, magenta)
		r.update(tea.BackgroundColorMsg{Color: color.Black})
		has(r, yellow, brightRed)
	}
	for name, want := range map[string][]string{"light": {magenta}, "dark": {yellow, brightRed}, "none": nil} {
		r := newRig(t, sampleDesk(), Options{Theme: name}, 100, 30)
		for _, c := range []color.Color{color.White, color.Black} {
			r.update(tea.BackgroundColorMsg{Color: c})
			has(r, want...)
		}
	}
	for name, want := range map[string]bool{"": true, "auto": true, "light": false, "dark": false, "none": false} {
		if newTheme(name, false).asks != want {
			t.Errorf("theme %q asks the terminal: %v", name, !want)
		}
	}
}
