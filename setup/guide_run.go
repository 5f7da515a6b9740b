package setup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/timer"
	"pgvault/vault"
)

// when is the last step before anything is written.
func (s *steps) when() guide.Step {
	return guide.Step{
		Key: "when", Name: "When", Question: "How old may the newest backup be?", Enter: "write and back up",
		Text: "Older than this is LATE, and shown red. A schedule to match is written; a timer starts it: pgvault timer install.",
		Why:  "The schedule says when; a systemd timer, cron or pgvault timer run starts what is due. Without them, what pgvault does by itself is tell when the newest good backup is too old, whether a run failed or none was started.",
		Fields: []guide.Field{
			{Key: keyMaxAge, Label: "at most", Kind: guide.Text, Default: "1d", Hint: "1d, 12h, 1w", Valid: func(_ *guide.Values, value []byte) guide.Line {
				if _, err := config.ParseDuration(string(value)); err != nil {
					return guide.Line{State: "x", Text: err.Error()}
				}
				return guide.Line{}
			}},
			{Key: keyFirst, Label: "first backup", Kind: guide.Choice, Options: firstOptions},
		},
		Loading: "asking the server for its databases",
		Load:    func(ctx context.Context, v *guide.Values, _ guide.Talk) error { _, err := s.server(ctx, v); return err },
		Body:    s.showWhen,
		Actions: []guide.Action{
			{Key: "c", Name: "copy crontab", Help: "copy the line for crontab -e", Do: s.copyStarter(func(st Starter) (string, string) { return st.Crontab + "\n", "the crontab line" })},
			{Key: "s", Name: "copy units", Help: "copy the systemd service and timer", Do: s.copyStarter(func(st Starter) (string, string) { return units(st), "the systemd units" })},
		},
		Do: s.write, Doing: "writing the configuration, making the vault", Final: true,
	}
}

// firstOptions are the chosen databases, the smallest first: the first run is
// to prove the way, not the size.
func firstOptions(v *guide.Values) []guide.Option {
	srv := guide.FactOf[*Server](v, factServer)
	if srv == nil {
		return nil
	}
	size := map[string]int64{}
	for _, d := range srv.Databases {
		size[d.Name] = d.Bytes
	}
	chosen := slices.Clone(chosenOf(v, srv))
	slices.SortStableFunc(chosen, func(a, b string) int { return int(min(max(size[a]-size[b], -1), 1)) })
	var out []guide.Option
	for _, n := range chosen {
		out = append(out, guide.Option{Value: n, Label: n, Hint: guide.Size(max(size[n], 0))})
	}
	return out
}

func (s *steps) starter(v *guide.Values) (Starter, error) {
	age, err := config.ParseDuration(v.Get(keyMaxAge))
	if err != nil {
		return Starter{}, err
	}
	dir := filepath.Dir(s.w.Path)
	plan := timer.Plan{Name: "pgvault", Program: s.w.Program, Args: []string{"--config", s.w.Path}, User: s.w.User, Read: []string{s.w.Path},
		CredentialDir: filepath.Join(dir, "credentials"), EnvFile: filepath.Join(dir, "environment")}
	for _, folder := range []string{s.w.StateDir, v.Get(keyPlace)} {
		if filepath.IsAbs(folder) {
			plan.Write = append(plan.Write, folder)
		}
	}
	return NewStarter(plan, age)
}

func units(st Starter) string {
	return "# /etc/systemd/system/pgvault.service\n" + st.Service + "\n# /etc/systemd/system/pgvault.timer\n" + st.Timer +
		"\n# then: systemctl daemon-reload; systemctl enable --now pgvault.timer\n"
}

func (s *steps) showWhen(v *guide.Values) []guide.Section {
	st, err := s.starter(v)
	if err != nil {
		return nil
	}
	text := func(t string) []guide.Line {
		var out []guide.Line
		for l := range strings.Lines(t) {
			out = append(out, guide.Line{Text: strings.TrimRight(l, "\n")})
		}
		return out
	}
	files := Beside(s.w.Path, config.Values{})
	return []guide.Section{
		{Label: "schedule", Lines: []guide.Line{{Text: st.Schedule + ": twice in the time you allow; change it with schedule = …"}}},
		{Label: "crontab", Lines: text(st.Crontab)},
		{Label: "timer", Lines: []guide.Line{{Text: "then: pgvault timer install; or s copies pgvault.service and pgvault.timer"}}},
		{Label: "writes", Lines: []guide.Line{{Text: s.w.Path}, {Text: files.RecipientsFile}, {Text: files.SigningKey + "  (signs each archive; opens none)"},
			{Text: fmt.Sprintf("the vault %q in %s", v.Get(keyVault), v.Get(keyPlace))}}},
	}
}

func (s *steps) copyStarter(pick func(Starter) (text, what string)) func(context.Context, *guide.Values, guide.Talk) (guide.Effect, error) {
	return func(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
		st, err := s.starter(v)
		if err != nil {
			return guide.Effect{}, usage("the age cannot be read", err.Error())
		}
		text, what := pick(st)
		return guide.Copied(text, what), nil
	}
}

// write writes everything and makes the vault. A kill in the middle leaves a
// draft, and the same step does the rest.
func (s *steps) write(ctx context.Context, v *guide.Values, _ guide.Talk) error {
	if err := Allowed(s.w.Access); err != nil {
		return err
	}
	values, r, err := s.values(v)
	if err != nil {
		return err
	}
	if err := Write(s.w.Path, values, r, s.w.Random); err != nil {
		return err
	}
	if err := HandOver(s.w.Path, values, s.w.StateDir); err != nil {
		return err
	}
	v.Set(keyWritten, s.w.Path)
	opened, err := s.vault()
	if err != nil {
		return err
	}
	return opened.Init(ctx)
}

// first is the first backup, as a job.
func (s *steps) first() guide.Step {
	return guide.Step{
		Key: "first", Name: "First run", Question: "The first backup is made.", Loading: "starting the backup",
		Text: "It is a job of its own: you may leave, or lose the connection, and it goes on.",
		Why:  "A set-up that never ran is a hope. The backup is read back afterwards with a key that existed for this run only.",
		Job: func(_ context.Context, v *guide.Values, _ guide.Talk) (vault.Order, vault.Secrets, error) {
			return vault.Order{Kind: vault.KindBackup, Database: v.Get(keyFirst)}, vault.Secrets{}, nil
		},
		Launched: func(v *guide.Values, j vault.Job) bool {
			return s.own(j) && j.Order.Kind == vault.KindBackup && j.Order.Database == v.Get(keyFirst)
		},
		Do:   func(_ context.Context, v *guide.Values, _ guide.Talk) error { return ended(v, "first") },
		Body: s.showRun("first"),
	}
}

// own tells whether a job that runs, or has ended well, was started after this
// set-up wrote the configuration.
func (s *steps) own(j vault.Job) bool {
	fi, err := os.Stat(s.w.Path)
	return err == nil && !j.Started.Before(fi.ModTime()) && (j.State == vault.JobRunning || j.State == vault.JobOK || j.State == vault.JobPartial)
}

// ended is nil when the job of a step ended well, else why it did not.
func ended(v *guide.Values, step string) error {
	d := v.Ended(step)
	switch {
	case d == nil:
		return &fault.Error{Op: "set-up", What: "the job still runs", Why: "it has not told its end", Left: "it goes on", Do: "wait for it", Code: fault.Running}
	case d.Result == vault.ResultOK || d.Result == vault.ResultPartial:
		return nil
	case d.Err != nil:
		return d.Err
	}
	return &fault.Error{Op: "set-up", What: "the job ended: " + string(d.Result), Why: "its log says more", Left: "the configuration is written", Do: "pgvault job list shows it; leave, correct what it names, and run pgvault backup", Code: d.Exit}
}

// showRun tells how a job ended.
func (s *steps) showRun(step string) func(v *guide.Values) []guide.Section {
	return func(v *guide.Values) []guide.Section {
		d := v.Ended(step)
		if d == nil || d.Err != nil {
			return nil
		}
		text := fmt.Sprintf("%s, %s, %d rows, %s stored encrypted", d.ID, count(d.Tables, "table"), d.Rows, guide.Size(d.Stored))
		if d.TablesTotal > 0 {
			text = fmt.Sprintf("%d of %d tables equal", d.TablesEqual, d.TablesTotal)
		}
		return []guide.Section{{Label: string(d.Kind), Lines: []guide.Line{{State: "ok", Text: text}, {State: "ok", Text: "proof: " + string(d.Proof)}}}}
	}
}

// rehearse asks for a real key, which opens the first archive.
func (s *steps) rehearse() guide.Step {
	with := func(want string) func(*guide.Values) bool {
		return func(v *guide.Values) bool { return v.Get(keyProof) == want }
	}
	return guide.Step{
		Key: "rehearse", Name: "Rehearse", Question: "With which key is the backup to be restored, to see that it can be?", Enter: "rehearse",
		Text: "It goes into a private server that is made for this and thrown away; every table is compared.",
		Why:  "Only a restore with your own key proves the whole way: key, archive, programs, server. Best is to do it today, with nothing at stake.",
		Fields: []guide.Field{
			{Key: keyProof, Label: "key", Kind: guide.Choice, Options: func(*guide.Values) []guide.Option {
				return []guide.Option{
					{Value: "elsewhere", Label: "unlock elsewhere", Hint: "the key stays on your own machine: pgvault unlock"},
					{Value: "file", Label: "a key file", Hint: "reachable from here"},
					{Value: "paste", Label: "paste the key", Hint: "hidden, in memory only, wiped afterwards"},
					{Value: "later", Label: "not now", Hint: "the backup is readable, not proven by a restore"},
				}
			}},
			{Key: keyAnswer, Label: "answer", Kind: guide.Secret, Lines: true, Hint: "the line that pgvault unlock printed", When: with("elsewhere"), Valid: validSecret},
			{Key: keyProofFile, Label: "path", Kind: guide.Path, Hint: "/media/usb/ops.txt", When: with("file")},
			{Key: keyProofPaste, Label: "secret key", Kind: guide.Secret, Lines: true, When: with("paste"), Valid: validSecret},
		},
		Actions: []guide.Action{{Key: "c", Name: "copy request", Help: "copy the request for pgvault unlock",
			Off: func(v *guide.Values) string {
				if !with("elsewhere")(v) {
					return "there is a request only with the first way"
				}
				return ""
			}, Do: s.copyRequest}},
		Do: s.unlock, Doing: "opening the archive's headers",
	}
}

// archiveID is the archive that the first run made.
func archiveID(v *guide.Values) (string, error) {
	if d := v.Ended("first"); d != nil && d.ID != "" {
		return d.ID, nil
	}
	return "", &fault.Error{Op: "rehearse", What: "the first backup's archive is not known", Why: "its job has not told it", Left: "nothing was opened", Do: "wait a moment, or: pgvault verify latest:DB --level restored -i KEY", Code: fault.Failed}
}

func (s *steps) copyRequest(ctx context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
	id, err := archiveID(v)
	if err != nil {
		return guide.Effect{}, err
	}
	opened, err := s.vault()
	if err != nil {
		return guide.Effect{}, err
	}
	text, err := opened.UnlockRequest(ctx, id)
	if err != nil {
		return guide.Effect{}, err
	}
	return guide.Copied(text, fmt.Sprintf("the request, %d characters: paste it into pgvault unlock", len(text))), nil
}

// unlock turns whatever key there is into what opens this one archive: the
// runner never gets more.
func (s *steps) unlock(ctx context.Context, v *guide.Values, t guide.Talk) error {
	ids := vault.Identities{Passphrase: t.Passphrase}
	switch v.Get(keyProof) {
	case "later":
		return nil
	case "file":
		ids.Files = []string{expandHome(v.Get(keyProofFile))}
	case "paste":
		ids.Texts = []string{v.SecretOf(keyProofPaste).Text()}
	default:
		ids.Unlocked = []string{v.SecretOf(keyAnswer).Text()}
	}
	id, err := archiveID(v)
	if err != nil {
		return err
	}
	opened, err := s.vault()
	if err != nil {
		return err
	}
	line, _, err := opened.Unlock(ctx, id, ids)
	if err != nil {
		return err
	}
	v.SecretOf(keyProofPaste).Wipe()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlocked = line
	return nil
}

// proof restores the first archive into a scratch server and compares it.
func (s *steps) proof() guide.Step {
	return guide.Step{
		Key: "proof", Question: "The backup is restored and compared.", Loading: "starting the restore into a scratch server", Enter: "finish",
		Text: "A private server is made for this and thrown away afterwards. Your databases are not touched.",
		Skip: func(v *guide.Values) bool { return v.Get(keyProof) == "later" },
		Job: func(_ context.Context, v *guide.Values, _ guide.Talk) (vault.Order, vault.Secrets, error) {
			id, err := archiveID(v)
			if err != nil {
				return vault.Order{}, vault.Secrets{}, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.unlocked == "" {
				return vault.Order{}, vault.Secrets{}, &fault.Error{Op: "rehearse", What: "the key is not known any more", Why: "it was kept in memory only, and the set-up was left meanwhile", Left: "nothing was started",
					Do: "go back one step (<) and give it again", Code: fault.NoKey}
			}
			return vault.Order{Kind: vault.KindVerify, Database: v.Get(keyFirst), ID: id, Level: vault.ProofRestored}, vault.Secrets{Unlocked: []string{s.unlocked}}, nil
		},
		Launched: func(v *guide.Values, j vault.Job) bool {
			return s.own(j) && j.Order.Kind == vault.KindVerify && j.Order.Database == v.Get(keyFirst) && j.Order.Level == vault.ProofRestored
		},
		Do: func(_ context.Context, v *guide.Values, _ guide.Talk) error {
			s.mu.Lock()
			s.unlocked = ""
			s.mu.Unlock()
			return ended(v, "proof")
		},
		Body: s.showRun("proof"),
	}
}
