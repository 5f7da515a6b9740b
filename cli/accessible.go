package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/safetext"
	"pgvault/vault"
)

// plainUI shows a guide as numbered lines, one question after the other, for
// a screen reader, a dumb terminal, or a script: what was written is never
// changed, there are no boxes and nothing moves.
type plainUI struct {
	line   func() (string, error) // reads a line
	hidden func() (string, error) // reads a line without showing it
	out    io.Writer
	now    func() time.Time
	s      *guide.Session
	shown  string // the body that was printed last
}

// errLeft: the person left the guide.
var errLeft = errors.New("left")

// accessible tells whether guides are to be lines.
func (p *program) accessible() bool { return p.plainUI || os.Getenv("ACCESSIBLE") != "" }

// runGuide leads through a guide by lines, from the terminal or from standard
// input, and gives the job it ended with as an error when that failed.
func (p *program) runGuide(ctx context.Context, s *guide.Session) error {
	defer s.Close()
	u := &plainUI{out: p.stderr, now: time.Now, s: s}
	u.line, u.hidden = lineReaders(ctx, p.stdin, p.stderr)
	u.say(s.Guide().Title + ". Enter takes what stands in brackets, < goes back, ? tells why.")
	err := u.walk(ctx)
	if ctx.Err() != nil {
		s.Leave()
		_ = u.work(context.WithoutCancel(ctx)) // keeping the draft; what failed was said
		return &fault.Error{What: "stopped", Why: "it was asked to", Left: "a job that was started goes on; nothing else was changed", Do: "start it again when you like", Code: fault.Cancelled, Err: ctx.Err()}
	}
	if errors.Is(err, errLeft) || errors.Is(err, io.EOF) {
		s.Leave()
		_ = u.work(ctx) // keeping the draft; what failed was said
		u.say("left the guide")
		return nil
	}
	return err
}

func (u *plainUI) say(text string) { fmt.Fprintln(u.out, text) }

// walk goes through the steps until the guide is at its end.
func (u *plainUI) walk(ctx context.Context) error {
	for {
		if err := u.work(ctx); err != nil || u.s.Finished() {
			return err
		}
		if err := u.step(ctx); err != nil {
			return err
		}
	}
}

// step shows one step, asks its fields, and goes on or back.
func (u *plainUI) step(ctx context.Context) error {
	st := u.s.Step()
	trail, place := u.s.Trail()
	u.say(fmt.Sprintf("\nStep %d of %d: %s", place, len(trail), safetext.Line(trail[place-1].Name)))
	for _, l := range []string{st.Question, st.Text} {
		if l != "" {
			u.say(safetext.Line(l))
		}
	}
	u.shown = ""
	u.failure()
	for i := 0; i < len(u.s.Fields()) && u.s.Step() == st; {
		fields := u.s.Fields()
		if i > 0 || len(fields) == 1 {
			u.body()
		}
		back, err := u.field(fields[i])
		if err != nil {
			return err
		}
		if err := u.work(ctx); err != nil {
			return err
		}
		switch {
		case back && i == 0:
			return u.back()
		case back:
			i--
		default:
			i++
		}
	}
	for _, l := range u.s.Lines() {
		u.state("", l)
	}
	u.body()
	return u.confirm(ctx, st)
}

// confirm asks for Enter, or for one of the step's actions.
func (u *plainUI) confirm(ctx context.Context, st *guide.Step) error {
	for u.s.Step() == st {
		ask := "Enter: " + orWord(st.Enter, "continue")
		for _, a := range st.Actions {
			if a.Off == nil || a.Off(u.s.Values()) == "" {
				ask += ", " + a.Key + ": " + a.Name
			}
		}
		answer, err := u.ask(ask)
		switch {
		case err != nil:
			return err
		case answer == "<" && len(u.s.Fields()) > 0:
			return nil // asked again from the first field
		case answer == "<":
			return u.back()
		case answer == "":
			if why := u.s.Next(); why != "" {
				u.say("! " + safetext.Line(why))
				return nil // asked again from the first field
			}
		default:
			if why := u.s.Act(answer); why != "" {
				u.say("! " + safetext.Line(why))
				continue
			}
		}
		if err := u.work(ctx); err != nil || u.s.Finished() {
			return err
		}
		if u.s.Err() != nil {
			return nil
		}
	}
	return nil
}

func orWord(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// back goes to the step before; from the first it leaves.
func (u *plainUI) back() error {
	why, ok := u.s.Back()
	if !ok {
		return errLeft
	}
	if why != "" {
		u.say(safetext.Line(why))
	}
	return nil
}

func (u *plainUI) validOf(f *guide.Field) (l guide.Line) {
	if f.Valid == nil {
		return l
	}
	v := u.s.Values()
	if f.Kind == guide.Secret {
		v.SecretOf(f.Key).Use(func(b []byte) {
			if len(b) > 0 {
				l = f.Valid(v, b)
			}
		})
	} else if now := v.Get(f.Key); now != "" {
		l = f.Valid(v, []byte(now))
	}
	return l
}

func (u *plainUI) valid(f *guide.Field) {
	if l := u.validOf(f); l.Text != "" {
		u.state("", l)
	}
}

// state writes a fact with its word.
func (u *plainUI) state(label string, l guide.Line) {
	text := l.Text
	if l.State != "" {
		text = l.State + " " + text
	}
	if l.Do != "" {
		text += " (" + l.Do + ")"
	}
	if label != "" {
		text = label + ": " + text
	}
	u.say(safetext.Line(text))
}

// body writes what is to be looked at, unless it was just written.
func (u *plainUI) body() {
	st := u.s.Step()
	if st.Body == nil {
		return
	}
	before := u.out
	var text strings.Builder
	u.out = &text
	for _, s := range st.Body(u.s.Values()) {
		label := s.Label
		if plainText(s.Lines) { // to be copied: nothing stands before its lines
			u.say(label + ":")
			label = ""
		}
		for _, l := range s.Lines {
			u.state(label, l)
		}
		if s.Table != nil {
			u.table(s.Table)
		}
	}
	u.out = before
	if text.String() != u.shown {
		u.shown = text.String()
		fmt.Fprint(u.out, u.shown)
	}
}

// plainText tells whether lines are a text of several lines, not facts.
func plainText(lines []guide.Line) bool {
	return len(lines) > 1 && !slices.ContainsFunc(lines, func(l guide.Line) bool { return l.State != "" || l.Do != "" })
}

// table writes one row a line, each value with its title.
func (u *plainUI) table(t *guide.Table) {
	for _, r := range t.Rows {
		var cells []string
		for i, c := range r {
			cells = append(cells, strings.ToLower(strings.TrimPrefix(t.Titles[i], ">"))+" "+c)
		}
		u.say(safetext.Line(strings.Join(cells, ", ")))
	}
}

// failure writes what kept the step from being done.
func (u *plainUI) failure() {
	err := u.s.Err()
	if err == nil {
		return
	}
	f := fault.As(err)
	for _, l := range [][2]string{{"what", f.What}, {"why", f.Why}, {"left", f.Left}, {"do", f.Do}} {
		if l[1] != "" {
			u.say(l[0] + ": " + safetext.Line(l[1]))
		}
	}
}

// work does all that is pending, here and now.
func (u *plainUI) work(ctx context.Context) error {
	for w := u.s.Pending(); w != nil; w = u.s.Pending() {
		if w.Follows() {
			if err := u.follow(ctx, w); err != nil {
				return err
			}
			continue
		}
		if w.Say != "" && !w.Live() {
			u.say(safetext.Line(w.Say))
		}
		w.Run(ctx, guide.Talk{Passphrase: func(prompt string) (string, error) {
			fmt.Fprintf(u.out, "%s (hidden): ", safetext.Line(prompt))
			return u.hidden()
		}, Say: func(text string) { u.say(safetext.Line(text)) }}, nil)
		e := u.s.Done(w)
		switch {
		case e.Copy != "":
			u.say(safetext.Line(e.Copy))
		case e.Say != "":
			u.say(safetext.Line(e.Say))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// follow tells how a job goes on: a line for each stage, for each tenth of
// it, and every 30 seconds.
func (u *plainUI) follow(ctx context.Context, w *guide.Work) error {
	events := make(chan vault.Event)
	go func() {
		defer close(events)
		w.Run(ctx, guide.Talk{}, func(e vault.Event) { events <- e })
	}()
	run := u.s.Values().Run(u.s.Step().Key)
	if run != nil {
		u.say("job " + safetext.Line(run.Job.ID) + ": it goes on by itself if you leave")
	}
	tenth, stage, last := -1, -1, u.now()
	for e := range events {
		u.s.Event(w, e)
		if d, ok := e.(vault.DatabaseDone); ok {
			u.say(safetext.Line(fmt.Sprintf("%d of %d: %s is %s", d.N, d.Of, d.Row.Database, d.Row.Result)))
		}
		if r, ok := e.(vault.RunStarted); ok && r.Kind == vault.KindRestore && run != nil && run.Job.Order.Kind == vault.KindRecover {
			u.say(safetext.Line("now " + r.Database))
		}
		if n, ok := e.(vault.Notice); ok {
			u.say(map[bool]string{true: "! "}[n.Level == "warning"] + safetext.Line(n.Text))
		}
		if run == nil || run.Done != nil {
			continue
		}
		if now := run.Percent() / 10; stage != run.Stage || now > tenth || u.now().Sub(last) >= 30*time.Second {
			if len(run.Stages) > 0 && (stage != run.Stage || run.Percent() >= 0) {
				u.say(safetext.Line(run.Doing()))
			}
			tenth, stage, last = now, run.Stage, u.now()
		}
	}
	u.s.Done(w)
	return ctx.Err()
}
