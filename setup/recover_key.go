package setup

import (
	"context"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
	"pgvault/vault/archive"
)

func (r *recovery) key() guide.Step {
	how := func(what string) func(*guide.Values) bool {
		return func(v *guide.Values) bool { return v.Get(keyFrom) == what }
	}
	return guide.Step{
		Key: "key", Name: "Key", Question: "With which secret key?", Skip: given(len(r.w.Given.Files)+len(r.w.Given.Texts) > 0),
		Text: "Any one of the recipients' keys opens every archive.",
		Why: "Archives are encrypted to their recipients, and no key of theirs was on the old server. The key is used by this process only, is written nowhere, and forgotten at the end; " +
			"the job that restores gets what opens the archives of the plan, and the key only where the header of one is damaged. Best is a file on a stick that you take away afterwards.",
		Fields: []guide.Field{
			{Key: keyFrom, Label: "key", Kind: guide.Choice, Options: func(*guide.Values) []guide.Option {
				return []guide.Option{
					{Value: "file", Label: "a key file", Hint: "its path, for example on a USB stick"},
					{Value: "paste", Label: "paste the key", Hint: "hidden, in memory only, wiped afterwards"},
				}
			}},
			{Key: keyKeyFile, Label: "path", Kind: guide.Path, When: how("file"), Hint: "/mnt/usb/key.txt"},
			{Key: keyKeyPaste, Label: "secret key", Kind: guide.Secret, When: how("paste"), Valid: guide.OnlyIdentity, Hint: "AGE-SECRET-KEY-1..., or an SSH private key", Lines: true},
		},
		Check: func(_ context.Context, v *guide.Values) []guide.Line {
			if v.Get(keyFrom) != "file" || v.Get(keyKeyFile) == "" {
				return nil
			}
			var dirs []string
			if f := guide.FactOf[*foundPlace](v, factPlace); f != nil {
				if folder, here := hereFolder(f.place.URL); here {
					dirs = append(dirs, folder)
				}
			}
			return guide.LookAtKey(expandHome(v.Get(keyKeyFile)), dirs)
		},
		Body:    whoOpens,
		Loading: "reading the list of archives",
		Load: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			_, err := r.archives(ctx, v)
			return err
		},
		Doing: "trying the key (an encrypted one takes about 1 s)",
		Do:    r.tryKey,
	}
}

// newestUsable is the newest archive that may be restored.
func newestUsable(all []vault.Archive) *vault.Archive {
	i := slices.IndexFunc(all, func(a vault.Archive) bool { return a.State == "good" || a.State == "partial" })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// whoOpens names the keys that serve.
func whoOpens(v *guide.Values) []guide.Section {
	var out []guide.Section
	if a := newestUsable(knownArchives(v)); a != nil {
		out = append(out, guide.Section{Label: "opens", Lines: []guide.Line{{Text: "the newest archive: the key of any one of " + strings.Join(a.Recipient, ", ")}}})
	}
	if name := guide.FactOf[string](v, factOpens); name != "" {
		out = append(out, guide.Section{Label: "was", Lines: []guide.Line{{State: "ok", Text: "opened by " + name}}})
	}
	return out
}

// secrets are the identities as a job gets them.
func (r *recovery) secrets(v *guide.Values) vault.Secrets {
	s := vault.Secrets{Files: slices.Clone(r.w.Given.Files), Texts: slices.Clone(r.w.Given.Texts), Passphrases: map[string]string{}}
	if len(s.Files)+len(s.Texts) == 0 {
		switch pasted := v.SecretOf(keyKeyPaste); {
		case v.Get(keyFrom) == "paste" && pasted.Len() > 0:
			s.Texts = []string{pasted.Text()}
		case v.Get(keyFrom) == "file" && v.Get(keyKeyFile) != "":
			s.Files = []string{expandHome(v.Get(keyKeyFile))}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, pass := range r.passphrases {
		s.Passphrases[name] = pass
	}
	return s
}

// load opens the identities, and asks for the passphrases that are not known.
func (r *recovery) load(v *guide.Values, t guide.Talk) (vault.Secrets, error) {
	s := r.secrets(v)
	if len(s.Files)+len(s.Texts) == 0 {
		return s, &fault.Error{Op: "recover", What: "the key is not known any more", Why: "it was kept in memory only, and the guide was left meanwhile", Left: "nothing was made or changed", Do: "go back to Key (<) and give it again", Code: fault.NoKey}
	}
	names := slices.Clone(s.Files)
	for i := range s.Texts {
		names = append(names, archive.TextName(i))
	}
	asked := map[string]string{}
	keys, err := archive.Load(archive.Source{Files: s.Files, Texts: s.Texts, Passphrase: func(prompt string) (string, error) {
		i := slices.IndexFunc(names, func(n string) bool { return archive.PassphrasePrompt(n) == prompt })
		if i >= 0 {
			if pass, known := s.Passphrases[names[i]]; known {
				return pass, nil
			}
		}
		if t.Passphrase == nil {
			return "", &fault.Error{What: "nobody can be asked for the " + prompt, Code: fault.NoKey}
		}
		pass, err := t.Passphrase(prompt)
		if i >= 0 && err == nil {
			asked[names[i]] = pass
		}
		t.Tell("deriving (about 1 s)")
		return pass, err
	}})
	if err != nil {
		return s, err
	}
	keys.Wipe()
	r.mu.Lock()
	for name, pass := range asked {
		r.passphrases[name], s.Passphrases[name] = pass, pass
	}
	r.mu.Unlock()
	return s, nil
}

// tryKey opens the newest archive's header with the key.
func (r *recovery) tryKey(ctx context.Context, v *guide.Values, t guide.Talk) error {
	r.mu.Lock()
	r.passphrases = map[string]string{} // the key may be another one
	r.mu.Unlock()
	s, err := r.load(v, t)
	if err != nil {
		return err
	}
	opened, _, _, err := r.vault(ctx, v)
	if err != nil {
		return err
	}
	all, err := r.archives(ctx, v)
	if err != nil {
		return err
	}
	a := newestUsable(all)
	if a == nil {
		return nil // what is wrong with them stands in the next steps
	}
	name, err := opened.TryKeys(ctx, a.Database+"/"+a.ID, s.Identities())
	if err != nil {
		return err
	}
	v.Put(factOpens, name)
	return nil
}

func (r *recovery) server() guide.Step {
	return guide.Step{
		Key: "server", Name: "Server", Question: "Into which PostgreSQL server?", Skip: given(r.w.Given.Server != ""),
		Text:   "Empty means what libpq finds by itself: PGHOST and its like, or the server on this machine.",
		Why:    "Every database is made anew there, under its own name where that is free. Nothing that exists is written into. Passwords stay in ~/.pgpass or pg_service.conf.",
		Fields: []guide.Field{{Key: keyServer, Label: "server", Kind: guide.Text, Optional: true, Hint: "service:NAME, or postgresql://user@host/postgres", Valid: validServer}},
		Doing:  "asking the server",
		Check: func(ctx context.Context, v *guide.Values) []guide.Line {
			ctx, stop := context.WithTimeout(ctx, lookTimeout)
			defer stop()
			return lines(lookAtTarget(ctx, v.Get(keyServer)))
		},
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			for _, c := range lookAtTarget(ctx, v.Get(keyServer)) {
				if c.State == "x" {
					return &fault.Error{Op: "recover", What: c.Text, Why: "nothing could be restored like this", Left: "nothing was made or changed", Do: c.Do, Code: fault.DBUnreachable}
				}
			}
			return nil
		},
	}
}

// lookAtTarget says whether a server could take databases. What each of them
// needs is asked by the plan.
func lookAtTarget(ctx context.Context, asked string) []vault.Check {
	set, err := ParseServer(asked)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	s, err := pg.LookAt(ctx, set)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	out := []vault.Check{ok("PostgreSQL %s at %s, as %s", s.Server.Version, s.Where, s.Server.User)}
	if s.Server.InRecovery {
		out = append(out, bad("name the primary", "it is a standby: nothing can be written there"))
	}
	if !s.Server.SuperUser {
		out = append(out, note("connect as a superuser, such as postgres", "%s is no superuser: roles and what belongs to others may not come back", s.Server.User))
	}
	var there []string
	for _, d := range s.Databases {
		if d.Name != "postgres" {
			there = append(there, d.Name)
		}
	}
	if len(there) > 0 {
		return append(out, note("", "there already, and left as they are: %s", names(there)))
	}
	return append(out, ok("no database is there yet but postgres"))
}
