package setup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
)

// lookTimeout bounds a live check: a person who types must not wait for a host
// that drops packets.
const lookTimeout = 5 * time.Second

func usage(what, why string) error {
	return &fault.Error{Op: "set-up", What: what, Why: why, Left: "nothing was written", Do: "correct it", Code: fault.Usage}
}

// stopAt is the error of a step whose lines forbid to go on.
func stopAt(checks []vault.Check) error {
	for _, c := range checks {
		if c.State == "x" {
			return &fault.Error{Op: "set-up", What: c.Text, Why: "a backup would not work like this", Left: "nothing was written", Do: c.Do, Code: fault.Refused}
		}
	}
	return nil
}

func (s *steps) connect() guide.Step {
	return guide.Step{
		Key: "connect", Name: "Connect", Question: "Which PostgreSQL server is to be backed up?",
		Text:    "Empty means what libpq finds by itself: PGHOST and its like, or the server on this machine.",
		Why:     "pgvault connects as any client does. Passwords stay in ~/.pgpass or pg_service.conf, never in pgvault's own file. It needs to read every table, and nothing else.",
		Fields:  []guide.Field{{Key: keyServer, Label: "server", Kind: guide.Text, Optional: true, Hint: "service:NAME, or postgresql://user@host/postgres", Valid: validServer}},
		Doing:   "asking the server",
		Check:   s.checkServer,
		Actions: []guide.Action{{Key: "c", Name: "copy grants", Help: "copy the statements that give the role what it lacks", Off: noGrants, Do: copyGrants}},
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			if err := Allowed(s.w.Access); err != nil {
				return err
			}
			srv, err := s.look(ctx, v)
			if err != nil {
				return err
			}
			v.Put(factServer, srv)
			return stopAt(srv.Checks)
		},
	}
}

func validServer(_ *guide.Values, value []byte) guide.Line {
	if _, err := ParseServer(string(value)); err != nil {
		return guide.Line{State: "x", Text: fault.As(err).Error(), Do: fault.As(err).Do}
	}
	return guide.Line{}
}

// look always asks the server anew: it may have been given rights meanwhile.
func (s *steps) look(ctx context.Context, v *guide.Values) (*Server, error) {
	v.Put(factServer, nil)
	return s.server(ctx, v)
}

func (s *steps) checkServer(ctx context.Context, v *guide.Values) []guide.Line {
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	srv, err := s.look(ctx, v)
	if err != nil {
		return lines([]vault.Check{wrong(err)})
	}
	return lines(srv.Checks)
}

func noGrants(v *guide.Values) string {
	if srv := guide.FactOf[*Server](v, factServer); srv != nil && len(srv.Grants) == 0 {
		return "the role lacks nothing"
	}
	return ""
}

// copyGrants copies the statements, one a line.
func copyGrants(ctx context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
	s := &steps{}
	srv, err := s.server(ctx, v)
	if err != nil {
		return guide.Effect{}, err
	}
	if len(srv.Grants) == 0 {
		return guide.Effect{Say: "the role lacks nothing"}, nil
	}
	return guide.Copied(strings.Join(srv.Grants, "\n"), "what a superuser runs in psql"), nil
}

func (s *steps) databases() guide.Step {
	some := func(v *guide.Values) bool { return v.Get(keyWhich) == "some" }
	return guide.Step{
		Key: "databases", Name: "Databases", Question: "Which databases are to be backed up?",
		Why:     "With \"all\" a database that somebody creates tomorrow is backed up too: the one that nobody thought of is the one that is missed.",
		Loading: "asking the server for its databases",
		Load:    func(ctx context.Context, v *guide.Values, _ guide.Talk) error { _, err := s.server(ctx, v); return err },
		Fields: []guide.Field{
			{Key: keyWhich, Label: "databases", Kind: guide.Choice, Options: func(*guide.Values) []guide.Option {
				return []guide.Option{{Value: "all", Label: "all", Hint: "future ones too"}, {Value: "some", Label: "these only"}}
			}},
			{Key: keyExclude, Label: "but not", Kind: guide.Text, Optional: true, Hint: "postgres, *_test", When: func(v *guide.Values) bool { return !some(v) }},
			{Key: keyDatabases, Label: "these", Kind: guide.Many, Options: databaseOptions, When: some},
		},
		Check: func(ctx context.Context, v *guide.Values) []guide.Line {
			srv, err := s.server(ctx, v)
			if err != nil {
				return lines([]vault.Check{wrong(err)})
			}
			return lines(srv.CheckDatabases(chosenOf(v, srv)))
		},
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			srv, err := s.server(ctx, v)
			if err != nil {
				return err
			}
			return stopAt(srv.CheckDatabases(chosenOf(v, srv)))
		},
	}
}

func databaseOptions(v *guide.Values) []guide.Option {
	var out []guide.Option
	if srv := guide.FactOf[*Server](v, factServer); srv != nil {
		for _, d := range srv.Databases {
			o := guide.Option{Value: d.Name, Label: d.Name, Hint: sizeWord(d)}
			if !d.MayConnect {
				o.Off = "the role may not connect to it"
			}
			out = append(out, o)
		}
	}
	return out
}

func sizeWord(d pg.DatabaseSize) string {
	if d.Bytes < 0 {
		return "size unknown"
	}
	return guide.Size(d.Bytes)
}

// excludes takes a list of patterns apart.
func excludes(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// chosenOf gives the databases that the configuration would select.
func chosenOf(v *guide.Values, srv *Server) []string {
	if v.Get(keyWhich) == "some" {
		return v.List(keyDatabases)
	}
	c := config.Config{Databases: []config.Database{{Name: "*", Exclude: excludes(v.Get(keyExclude))}}}
	return c.Select(srv.DatabaseNames())
}

func (s *steps) places() guide.Step {
	return guide.Step{
		Key: "places", Name: "Places", Question: "Where are the archives to lie?",
		Text:    "A folder on this machine, best on another disk than the server's; or a bucket (s3://, gs://, azblob://) or a folder over SSH (sftp://). More places can be added later.",
		Why:     "An archive on the server's own disk survives a DROP TABLE, but not the disk. What is written is encrypted before it leaves this machine: whoever runs the share or the service cannot read it.",
		Loading: "asking the server for sizes",
		Load:    func(ctx context.Context, v *guide.Values, _ guide.Talk) error { _, err := s.server(ctx, v); return err },
		Fields: []guide.Field{
			{Key: keyPlace, Label: "place", Kind: guide.Path, Hint: "/srv/backup, s3://bucket/prefix?region=eu-central-1, sftp://user@host/path"},
			{Key: keyCredential, Label: "credentials", Kind: guide.Text, Optional: true, When: far, Hint: "profile:NAME, file:PATH, systemd:NAME, instance; empty: where its own clients look"},
			{Key: keyVault, Label: "vault name", Kind: guide.Text, Default: "main"},
			{Key: keyLabel, Label: "label", Kind: guide.Text, Optional: true, Hint: "PROD: shown inverse on every page"},
		},
		Check: func(ctx context.Context, v *guide.Values) []guide.Line {
			if v.Get(keyPlace) == "" {
				return nil
			}
			return lines(s.checkPlace(ctx, v))
		},
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			if err := stopAt(s.checkPlace(ctx, v)); err != nil {
				return err
			}
			if err := checkNames(v); err != nil {
				return err
			}
			p, err := s.place(v)
			if err != nil {
				return err
			}
			return TryPlace(ctx, p)
		},
		Doing: "trying the place",
	}
}

// far tells whether the place that was named lies over a network.
func far(v *guide.Values) bool {
	url, err := ParsePlace(v.Get(keyPlace))
	if err != nil {
		return false
	}
	_, here := hereFolder(url)
	return !here
}

func (s *steps) checkPlace(ctx context.Context, v *guide.Values) []vault.Check {
	srv, err := s.server(ctx, v)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	p := config.Place{URL: v.Get(keyPlace)}
	if far(v) {
		p.Credentials = v.Get(keyCredential)
	}
	return CheckPlace(ctx, p, v.Get(keyVault), &srv.Survey, srv.Bytes(chosenOf(v, srv)))
}

// checkNames lets the configuration's own rules judge vault name and label.
func checkNames(v *guide.Values) error {
	text := config.Template(config.Values{VaultName: v.Get(keyVault), Label: v.Get(keyLabel)})
	if _, err := config.Parse(text, "", nil); err != nil {
		for _, p := range config.Problems(err) {
			return usage(p.Text, "it would stand in the configuration like this")
		}
		return err
	}
	return nil
}

func (s *steps) keep() guide.Step {
	return guide.Step{
		Key: "keep", Name: "Keep", Question: "How many archives are to be kept?",
		Text: "Rules with numbers: last, hourly, daily, weekly, monthly, yearly, and within a time.",
		Why:  "Rules say what may be given up later, and a preview shows it first; nothing is deleted by itself. The newest good archive, the newest proven by a restore and what is pinned stay whatever the rules say.",
		Fields: []guide.Field{{Key: keyKeep, Label: "keep", Kind: guide.Text, Default: "3 last, 7 daily, 4 weekly, 6 monthly",
			Valid: func(_ *guide.Values, value []byte) guide.Line {
				if _, err := config.ParsePolicy(string(value)); err != nil {
					return guide.Line{State: "x", Text: err.Error()}
				}
				return guide.Line{}
			}}},
		Check: func(_ context.Context, v *guide.Values) []guide.Line {
			p, err := config.ParsePolicy(v.Get(keyKeep))
			if err != nil {
				return nil
			}
			most := p.Last + p.Hourly + p.Daily + p.Weekly + p.Monthly + p.Yearly
			return []guide.Line{{State: "ok", Text: fmt.Sprintf("%s: at most %s of each database, and all within the time if there is one", config.FormatPolicy(p), count(most, "archive"))}}
		},
	}
}
