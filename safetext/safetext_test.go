package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"public.orders":            "public.orders",
		"a\nb\r\tc":                `a\nb\r\tc`,
		"\x1b]0;title\x07":         `\x1b]0;title\x07`,
		"\x1b[2Jx":                 `\x1b[2Jx`,
		"\u009b2J":                 `\u{009b}2J`,
		"nul\x00del\x7f":           `nul\x00del\x7f`,
		"bad \xff\xc3":             `bad \xff\xc3`,
		"abc\u202egnp.exe":         `abc\u{202e}gnp.exe`,
		"\u2066x\u2069\u200f":      `\u{2066}x\u{2069}\u{200f}`,
		"zero\u200bwidth\u200d":    `zero\u{200b}width\u{200d}`,
		"\ufeffbom soft\u00adhy":   `\u{feff}bom soft\u{00ad}hy`,
		"line\u2028para\u2029":     `line\u{2028}para\u{2029}`,
		"private \ue000":           `private \u{e000}`,
		"filler \u115f\u3164":      `filler \u{115f}\u{3164}`,
		"tag \U000e0041":           `tag \u{e0041}`,
		"\ufffd is a real mark":    "\ufffd is a real mark",
		`a backslash \ and \n`:     `a backslash \ and \n`,
		"bücher 表 テーブル 한글":         "bücher 表 テーブル 한글",
		"e\u0301 and a\u0308":      "e\u0301 and a\u0308",
		"\u0645\u0631\u062d\u0628": "\u0645\u0631\u062d\u0628",
		"🐘 ❤\ufe0f 👍🏽":             "🐘 ❤\ufe0f 👍🏽",
		"no\u00a0break　wide":       "no\u00a0break　wide",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestEveryRune holds each rune against what a terminal does with it.
func TestEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		got := Line(string(r))
		kept := got == string(r)
		switch {
		case r >= 0x20 && r < 0x7f:
			if !kept {
				t.Errorf("%q became %q", r, got)
			}
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cn, unicode.Zl, unicode.Zp) || !unicode.IsGraphic(r):
			if kept {
				t.Errorf("%U came through", r)
			}
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Mn, unicode.So) && !kept:
			t.Errorf("%U became %q", r, got)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"shop", "\x1b]0;x\x07", "a\nb", "\xff", "\u202e", "表\U0001f418", strings.Repeat("\x00", 70)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		ascii := true
		for i := range len(s) {
			ascii = ascii && s[i] >= 0x20 && s[i] < 0x7f
		}
		if ascii && got != s {
			t.Fatalf("%q became %q", s, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q let %U through", s, r)
			}
		}
		if Line(got) != got {
			t.Fatalf("%q is not at rest: %q", got, Line(got))
		}
		if len(got) > 10*len(s) {
			t.Fatalf("%d bytes became %d", len(s), len(got))
		}
	})
}
