package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pgvault/guide"
	"pgvault/safetext"
)

// ask asks for a line; `?` is answered here.
func (u *plainUI) ask(prompt string) (string, error) {
	for {
		fmt.Fprintf(u.out, "%s: ", safetext.Line(prompt))
		s, err := u.line()
		if err != nil {
			u.say("")
			return "", err
		}
		if s = strings.TrimSpace(s); s != "?" {
			return s, nil
		}
		u.say(safetext.Line(orWord(u.s.Step().Why, "this step explains itself")))
	}
}

// field asks one field until its answer can be used.
func (u *plainUI) field(f *guide.Field) (back bool, err error) {
	for {
		var answer string
		if f.Kind == guide.Secret {
			back, err = u.secret(f)
		} else {
			if answer, err = u.ask(u.prompt(f)); err == nil && answer != "<" && answer != "" {
				err = u.take(f, answer)
			}
			back = answer == "<"
		}
		var wrong *wrongAnswer
		if errors.As(err, &wrong) {
			u.say("! " + safetext.Line(wrong.why))
			continue
		}
		if err == nil && !back {
			u.s.Edited(f.Key)
			u.valid(f)
		}
		return back, err
	}
}

type wrongAnswer struct{ why string }

func (w *wrongAnswer) Error() string { return w.why }

// prompt is a field's label with what Enter takes.
func (u *plainUI) prompt(f *guide.Field) string {
	v := u.s.Values()
	now := v.Get(f.Key)
	switch f.Kind {
	case guide.Choice, guide.Many:
		return u.options(f)
	case guide.YesNo:
		return f.Label + ", yes or no [" + orWord(now, "no") + "]"
	}
	if now == "" && f.Hint != "" {
		return f.Label + " (" + f.Hint + ")"
	}
	return f.Label + " [" + now + "]"
}

// maxOptions is how many options are read out; a filter finds the others.
const maxOptions = 40

func (u *plainUI) options(f *guide.Field) string {
	v := u.s.Values()
	opts := f.Options(v)
	u.say(safetext.Line(f.Label) + ":")
	chosen := "none"
	var many []string
	for i, o := range opts {
		if o.Value == v.Get(f.Key) {
			chosen = strconv.Itoa(i + 1)
		}
		for _, l := range v.List(f.Key) {
			if l == o.Value {
				many = append(many, strconv.Itoa(i+1))
			}
		}
		if i < maxOptions {
			text := o.Label
			if hint := orWord(o.Off, o.Hint); hint != "" {
				text += ", " + hint
			}
			u.say(fmt.Sprintf("  %d  %s", i+1, safetext.Line(text)))
		}
	}
	if len(opts) > maxOptions {
		u.say(fmt.Sprintf("  and %d more", len(opts)-maxOptions))
	}
	if f.Kind == guide.Many {
		return "numbers with commas between, 0 for none [" + orWord(strings.Join(many, ","), "none") + "]"
	}
	return fmt.Sprintf("choose 1 to %d [%s]", len(opts), chosen)
}

// take takes an answer over.
func (u *plainUI) take(f *guide.Field, answer string) error {
	v := u.s.Values()
	switch f.Kind {
	case guide.Choice:
		picked, err := pick(f.Options(v), answer)
		if err != nil {
			return err
		}
		if picked[0].Off != "" {
			return &wrongAnswer{picked[0].Off}
		}
		v.Set(f.Key, picked[0].Value)
	case guide.Many:
		if answer == "0" {
			v.SetList(f.Key, nil)
			return nil
		}
		picked, err := pick(f.Options(v), strings.Split(answer, ",")...)
		if err != nil {
			return err
		}
		var list []string
		for _, o := range picked {
			list = append(list, o.Value)
		}
		v.SetList(f.Key, list)
	case guide.YesNo:
		switch strings.ToLower(answer) {
		case "y", "yes":
			v.Set(f.Key, "yes")
		case "n", "no":
			v.Set(f.Key, "no")
		default:
			return &wrongAnswer{"yes or no"}
		}
	default:
		v.Set(f.Key, answer)
	}
	return nil
}

// pick finds options by their numbers.
func pick(opts []guide.Option, numbers ...string) ([]guide.Option, error) {
	var out []guide.Option
	for _, s := range numbers {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 || n > len(opts) {
			return nil, &wrongAnswer{fmt.Sprintf("a number from 1 to %d", len(opts))}
		}
		out = append(out, opts[n-1])
	}
	return out, nil
}

// secret reads a hidden field; of several lines, until it is whole or an
// empty line. Only what its field says of it is written.
func (u *plainUI) secret(f *guide.Field) (back bool, err error) {
	s := u.s.Values().SecretOf(f.Key)
	prompt := f.Label + " (hidden) "
	switch {
	case s.Len() > 0:
		prompt += "[the one given before]"
	case f.Hint != "":
		prompt += "(" + f.Hint + ")"
	}
	fmt.Fprintf(u.out, "%s: ", safetext.Line(strings.TrimSpace(prompt)))
	for first := true; ; first = false {
		text, err := u.hidden()
		switch {
		case err != nil:
			return false, err
		case first && strings.TrimSpace(text) == "<":
			return true, nil
		case first && strings.TrimSpace(text) == "?":
			u.say(safetext.Line(orWord(u.s.Step().Why, "this step explains itself")))
			return u.secret(f)
		case text == "":
			return false, nil
		case first:
			s.Wipe()
		}
		if !s.Insert(s.Len(), []byte(text+"\n")) {
			return false, &wrongAnswer{"that is too long for a secret"}
		}
		if !f.Lines || u.validOf(f).State != "" {
			return false, nil
		}
	}
}
