package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
	"pgvault/vault/schedule"
)

// notTaking: the take-over was not chosen.
func notTaking(v *guide.Values) bool { return v.Get(keyTake) != "now" }

func (r *recovery) takeOver() guide.Step {
	taking := func(v *guide.Values) bool { return !notTaking(v) }
	return guide.Step{
		Key: "over", Name: "Take over", Question: "Are backups to go on from this machine, in the same vault?",
		Text: "Optional, and at any later time: pgvault recover --take-over. Nothing is written unless you type the vault's name on the next page.",
		Why: "A configuration is written for this machine, with a signing key of its own; archives go into the same vault, and the old ones count for what is kept. " +
			"Two hosts that write into one vault would each apply rules of their own: so it is refused while the old one still writes.",
		Fields: []guide.Field{
			{Key: keyTake, Label: "take over", Kind: guide.Choice, When: given(!r.w.Given.TakeOver), Options: func(*guide.Values) []guide.Option {
				return []guide.Option{{Value: "later", Label: "not now", Hint: "the databases are back; nothing more is done"}, {Value: "now", Label: "take over", Hint: "backups go on from here"}}
			}},
			{Key: keyRecipients, Label: "recipients", Kind: guide.Text, Lines: true, When: taking, Hint: "age1..., ssh-ed25519 ..., or a file of them", Valid: validRecipients},
			{Key: keyAllowOne, Label: "accept one recipient", Kind: guide.YesNo, When: func(v *guide.Values) bool {
				to, err := r.recipients(v)
				return taking(v) && err == nil && len(to.Public()) == 1
			}},
			{Key: keySchedule, Label: "start at", Kind: guide.Text, Optional: true, When: taking, Hint: "02:00, Mon 03:30, hourly (empty: not by itself)", Valid: validSchedule},
			{Key: keyKeep, Label: "keep", Kind: guide.Text, Optional: true, When: taking, Hint: "7 daily, 4 weekly (empty: all)", Valid: validKeep},
		},
		Check: func(_ context.Context, v *guide.Values) []guide.Line {
			if notTaking(v) || v.Get(keyRecipients) == "" {
				return nil
			}
			to, err := r.recipients(v)
			if err != nil {
				return lines([]vault.Check{wrong(err)})
			}
			return lines(to.Check(v.Yes(keyAllowOne)))
		},
		Body: func(v *guide.Values) []guide.Section {
			if notTaking(v) {
				return nil
			}
			return []guide.Section{{Label: "note", Lines: []guide.Line{{Text: "recipients are public keys. An archive names them by fingerprint only, so they are given once more: age-keygen -y KEY prints that of a secret key"}}}}
		},
		Doing: "looking whether the old host still writes",
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			if notTaking(v) {
				return nil
			}
			if err := Allowed(r.w.Access); err != nil {
				return err
			}
			r.mu.Lock()
			r.toText = "" // a file that was named may have changed
			r.mu.Unlock()
			to, err := r.recipients(v)
			if err != nil {
				return err
			}
			return stopAt(to.Check(v.Yes(keyAllowOne)))
		},
	}
}

// recipients reads who is to open new archives: keys in one text, or files of
// them, with spaces or commas between. The same text is read once: a face asks
// for each frame.
func (r *recovery) recipients(v *guide.Values) (*Recipients, error) {
	text := v.Get(keyRecipients)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.toText != text || text == "" {
		r.toText = text
		r.to, r.toErr = readRecipients(text)
	}
	return r.to, r.toErr
}

func readRecipients(text string) (*Recipients, error) {
	if keyStart.MatchString(text) {
		return ReadRecipients([]string{oneALine(text)}, "recipients")
	}
	return ReadRecipients(strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' || c == ' ' }), "recipients")
}

func validSchedule(_ *guide.Values, value []byte) guide.Line {
	if _, err := schedule.Parse(string(value), nil); err != nil {
		return guide.Line{State: "x", Text: err.Error()}
	}
	return guide.Line{}
}

func validKeep(_ *guide.Values, value []byte) guide.Line {
	if _, err := config.ParsePolicy(string(value)); err != nil {
		return guide.Line{State: "x", Text: err.Error()}
	}
	return guide.Line{}
}

// overtaking is a take-over as it was planned.
type overtaking struct {
	*vault.TakeOverPlan
	t *TakeOver
}

// planOver plans the take-over with what was accepted so far.
func (r *recovery) planOver(ctx context.Context, v *guide.Values) error {
	to, err := r.recipients(v)
	if err != nil {
		return err
	}
	opened, from, f, err := r.vault(ctx, v)
	if err != nil {
		return err
	}
	plan, err := opened.PlanTakeOver(ctx, vault.TakeOverOptions{Recipients: to.Public(), Gone: v.Yes(keyGone), Others: v.Yes(keyOthers)})
	if err != nil {
		return err
	}
	values := config.Values{VaultName: from.Vault, AllowOneRecipient: v.Yes(keyAllowOne), Schedule: v.Get(keySchedule), Places: []config.Place{f.place},
		Service: from.Service, Conninfo: from.Conninfo, Databases: plan.Databases}
	if len(r.w.Given.Databases) > 0 && r.w.Given.TakeOver {
		values.Databases = r.w.Given.Databases
	}
	if v.Get(keyKeep) != "" {
		keep, err := config.ParsePolicy(v.Get(keyKeep))
		if err != nil {
			return usage("the rules cannot be read", err.Error())
		}
		values.Keep = &keep
	}
	t := &TakeOver{Path: r.w.Path, Values: Beside(r.w.Path, values), Recipients: to, Trusted: plan.Signers}
	plan.Checks = append(plan.Checks, t.Check(ctx)...)
	plan.Checks = append(plan.Checks, NotInVault(v.Get(keyKeep) != "", v.Get(keySchedule) != "")...)
	v.Put(factOver, &overtaking{plan, t})
	return nil
}

// NotInVault says what no place remembers of the old configuration.
func NotInVault(keep, starts bool) []vault.Check {
	var out []vault.Check
	if !keep {
		out = append(out, note("--keep \"7 daily, 4 weekly\", or later in the configuration", "what was to be kept stands in no place: nothing is removed until keep is set"))
	}
	if !starts {
		out = append(out, note("--schedule 02:00, or later in the configuration", "when backups started stands in no place: none starts by itself"))
	}
	return out
}

// hasOver tells whether a check of the take-over has this text, whatever was
// decided about it.
func hasOver(v *guide.Values, texts ...string) bool {
	p := guide.FactOf[*overtaking](v, factOver)
	return p != nil && slices.ContainsFunc(p.Checks, func(c vault.Check) bool {
		return c.State != "ok" && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(c.Text, t) })
	})
}

// overWords are the remedies of the plan's checks, as this page has them.
var overWords = strings.NewReplacer("then --old-host-is-gone", "then say so above", "(--recipient), or --other-recipients if that is meant", "on the page before, or say above that it is meant",
	"--keep \"7 daily, 4 weekly\", or", "on the page before, or", "--schedule 02:00, or", "on the page before, or")

func (r *recovery) confirm() guide.Step {
	return guide.Step{
		Key: "confirm", Question: "Take this vault over?", Enter: "take over", Skip: notTaking, Final: true,
		Text:    "Type the vault's name to do it. From then on two hosts have keys that sign for it.",
		Why:     "The old host's keys stay trusted, because they signed what is there; this host gets one of its own. What is written here is shown below; in the place only a test object is written, and taken away again.",
		Loading: "looking whether the old host still writes",
		Load:    func(ctx context.Context, v *guide.Values, _ guide.Talk) error { return r.planOver(ctx, v) },
		Fields: []guide.Field{
			{Key: keyGone, Label: "old host is gone", Kind: guide.YesNo, When: func(v *guide.Values) bool {
				return hasOver(v, "the old host may still write", "that the old host is gone")
			}},
			{Key: keyOthers, Label: "others are meant", Kind: guide.YesNo, When: func(v *guide.Values) bool {
				return hasOver(v, "new archives would not open for", "and older ones do not")
			}},
			{Key: keyConfirm, Label: "vault's name", Kind: guide.Text, Valid: func(v *guide.Values, value []byte) guide.Line {
				if p := guide.FactOf[*overtaking](v, factOver); p != nil && string(value) != p.Vault {
					return guide.Line{State: "x", Text: "that is not the vault's name"}
				}
				return guide.Line{}
			}},
		},
		Body: func(v *guide.Values) []guide.Section {
			p := guide.FactOf[*overtaking](v, factOver)
			if p == nil {
				return nil
			}
			out := []guide.Section{{Label: "vault", Lines: []guide.Line{{Text: p.Vault + ", id " + p.ID}}}, {Label: "config", Lines: []guide.Line{{Text: p.t.Path}}},
				{Label: "saves", Lines: []guide.Line{{Text: strings.Join(p.t.Values.Databases, ", ") + ", into " + p.t.Values.Places[0].URL}}}, {Label: "checks"}}
			for _, l := range lines(p.Checks) {
				l.Do = overWords.Replace(l.Do)
				out[len(out)-1].Lines = append(out[len(out)-1].Lines, l)
			}
			return out
		},
		Doing: "trying the place, writing the configuration",
		Do:    r.take,
	}
}

// take plans once more with what was said on this page, and writes.
func (r *recovery) take(ctx context.Context, v *guide.Values, _ guide.Talk) error {
	if err := r.planOver(ctx, v); err != nil {
		return err
	}
	p := guide.FactOf[*overtaking](v, factOver)
	for _, c := range p.Checks {
		if c.State == "x" {
			return &fault.Error{Op: "recover", What: "the take-over is refused", Why: c.Text, Left: "nothing was written", Do: overWords.Replace(c.Do), Code: fault.Refused}
		}
	}
	if err := p.t.Write(ctx, r.w.StateDir, r.w.Random); err != nil {
		return err
	}
	key, err := r.w.Took(ctx, p.t, p.TakeOverPlan)
	if err != nil {
		return err
	}
	v.Put(factTook, key)
	return nil
}

func (r *recovery) took() guide.Step {
	return guide.Step{
		Key: "took", Name: "Done", Question: "Backups go on from here", Enter: "close", Skip: notTaking,
		Text: "Enter opens the vault as it is configured now.",
		Body: func(v *guide.Values) []guide.Section {
			p := guide.FactOf[*overtaking](v, factOver)
			if p == nil {
				return nil
			}
			text := func(label, s string) guide.Section {
				return guide.Section{Label: label, Lines: []guide.Line{{Text: s}}}
			}
			again := func(verb string) string {
				if r.w.Again == nil {
					return "pgvault " + verb
				}
				return r.w.Again("pgvault " + verb)
			}
			return []guide.Section{
				{Lines: []guide.Line{{State: "ok", Text: fmt.Sprintf("%s is written; the vault is %s, id %s", p.t.Path, p.Vault, p.ID)}}},
				text("key", "this host signs with "+guide.FactOf[string](v, factTook)),
				text("next", again("backup")+"   saves the databases into the same vault"),
				text("", again("timer install")+"   has backups start by themselves"),
				text("", again("recovery-sheet")+"   prints a new sheet: the old one does not know this host's key"),
			}
		},
	}
}
