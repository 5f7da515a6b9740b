package setup

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// Program is what the Setup page tells of the program itself.
type Program struct {
	Version  string
	StateDir string
	Theme    string // that counts: auto, light, dark or none
	Mouse    bool
	// Starts tells what starts scheduled backups here, "" for nothing; nil:
	// it is not known.
	Starts func() string
}

// Section is one row of the Setup page, with today's truth in it.
type Section struct {
	Name  string
	Now   string        // one line
	State string        // "ok", "!" or "x"
	Word  string        // what stands in the column: "ok", "! nothing starts it"
	Lines []vault.Check // more, of the selected row; State may be empty
	Table string        // where it is in the file: "[[place]]"
}

// Overview is the Setup page's data at one moment.
type Overview struct {
	At       time.Time
	File     string // the configuration; empty: the environment alone
	Digest   string // of the file
	Sections []Section
}

// LookOver finds out what the configuration means today: it asks the server,
// opens the places, reads the keys. What fails is told in its section; there is
// no error. v may be nil where there is no vault yet.
func LookOver(ctx context.Context, conf *config.Config, v vault.Desk, p Program) *Overview {
	o := &Overview{At: time.Now(), File: conf.File}
	if src, err := os.ReadFile(conf.File); err == nil {
		o.Digest = config.Digest(src)
	}
	survey, err := pg.LookAt(ctx, conf.Server)
	o.Sections = []Section{
		databasesSection(conf, survey, err),
		keysSection(ctx, conf, v),
		placesSection(ctx, conf, survey, p),
		keepSection(conf),
		whenSection(ctx, conf, v, p.Starts),
		verifySection(conf),
		tellSection(ctx, conf, v),
		sheetSection(ctx, v),
		programSection(conf, p),
	}
	return o
}

// section makes a row; attention is its word where a line says !, which is
// otherwise no word.
func section(name, table, now, attention string, lines []vault.Check) Section {
	s := Section{Name: name, Table: table, Now: now, Lines: lines, State: Worst(lines)}
	s.Word = s.State
	switch s.State {
	case "!":
		s.Word = "! " + attention
	case "x":
		s.Word = "x wrong"
	}
	return s
}

func databasesSection(conf *config.Config, survey *pg.Survey, err error) Section {
	const table = "[[database]]"
	if err != nil {
		f := fault.As(err)
		s := section("Databases", table, f.What, "", []vault.Check{wrong(err)})
		s.Word = "x no answer"
		return s
	}
	sv := &Server{Survey: *survey, Settings: conf.Server}
	all := sv.DatabaseNames()
	chosen := conf.Select(all)
	var out []string
	for _, n := range all {
		if !slices.Contains(chosen, n) {
			out = append(out, n)
		}
	}
	now := fmt.Sprintf("%d of %d on %s", len(chosen), len(all), survey.Where)
	if len(out) > 0 {
		now += " (" + names(out) + " left out)"
	}
	lines := append([]vault.Check{ok("PostgreSQL %s at %s, as %s", survey.Server.Version, survey.Where, survey.Server.User)}, sv.CheckDatabases(chosen)...)
	lines = append(lines, sv.rights()...)
	for _, n := range chosen {
		d := conf.Database(n)
		text := fmt.Sprintf("%s: at most %s old, keeps %s", n, config.FormatDuration(d.MaxAge), config.FormatPolicy(*d.Keep))
		if k := len(d.ExcludeTableData); k > 0 {
			text += fmt.Sprintf(", %s without rows", count(k, "table pattern"))
		}
		lines = append(lines, vault.Check{Text: text})
	}
	return section("Databases", table, now, "rights", lines)
}

// healthOf is the part of vault.Keeper that tells of keys.
type healthOf interface {
	Health(ctx context.Context) (*vault.Health, error)
}

func keysSection(ctx context.Context, conf *config.Config, v vault.Desk) Section {
	const table = "[keys]"
	r, err := archive.LoadRecipients(conf.Keys.RecipientsFile)
	if err != nil {
		s := section("Keys", table, fault.As(err).What, "", []vault.Check{wrong(err)})
		s.Word = "x unusable"
		return s
	}
	var who []string
	var lines []vault.Check
	for _, p := range r.Public {
		who = append(who, p.Name)
		lines = append(lines, vault.Check{Text: fmt.Sprintf("%s  %s  %s", p.Name, p.Kind, p.Fingerprint)})
	}
	now := names(who)
	lines = append((&Recipients{Parsed: r}).Check(conf.Keys.AllowOneRecipient), lines...)
	if _, err := archive.LoadSigner(conf.Keys.SigningKey); err != nil {
		lines = append(lines, wrong(err))
	} else {
		lines = append(lines, ok("the signing key %s works", conf.Keys.SigningKey))
	}
	word := ""
	if h, found := v.(healthOf); found {
		switch health, err := h.Health(ctx); {
		case err != nil:
			lines = append(lines, note("", "when a key last opened an archive is not known: %v", err))
		case health.KeyUsed == nil:
			now += "; never used to open a backup"
			word = "! never tried"
			lines = append(lines, note("verify one archive with it: pgvault verify latest:DB --level restored -i KEY", "no identity has opened an archive of this vault yet"))
		default:
			age := time.Since(*health.KeyUsed).Truncate(time.Hour)
			now += "; a key opened a backup " + Ago(age)
			lines = append(lines, ok("an identity opened an archive %s", Ago(age)))
		}
	}
	s := section("Keys", table, now, "too few", lines)
	if s.State == "!" && word != "" {
		s.Word = word
	}
	return s
}

// Ago writes an age in its largest unit: "4d ago".
func Ago(d time.Duration) string {
	switch {
	case d < time.Hour:
		return "within the hour"
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

func placesSection(ctx context.Context, conf *config.Config, survey *pg.Survey, p Program) Section {
	const table = "[[place]]"
	if len(conf.Places) == 0 {
		s := section("Places", table, "none", "", []vault.Check{bad("add a [[place]] with a name and a url", "no place is configured: there is nowhere to back up to")})
		s.Word = "x none"
		return s
	}
	var now []string
	var lines []vault.Check
	down := 0
	for _, l := range lookAtAll(ctx, conf, p) {
		text, here := hereFolder(l.place.URL)
		now = append(now, l.place.Name+" "+text)
		if l.err != nil {
			down++
			lines = append(lines, wrong(l.err))
			continue
		}
		room := "answers"
		if l.free >= 0 {
			room = guide.Size(l.free) + " free"
		}
		lines = append(lines, ok("%s  %s  %s", l.place.Name, text, room))
		if m, err := mountOf(text); here && err == nil {
			for _, c := range besideData(text, m, survey) {
				if c.State != "ok" {
					lines = append(lines, c)
				}
			}
		}
	}
	if len(conf.Places) > 1 {
		lines = append(lines, vault.Check{Text: "every archive lies in " + strings.Join(conf.Database("*").Copies, ", ") + ", unless a database has its own copies ="})
	}
	s := section("Places", table, strings.Join(now, ", "), "see below", lines)
	if down > 0 {
		s.Word = fmt.Sprintf("x %d down", down)
	}
	return s
}

// looked is what asking one place gave.
type looked struct {
	place config.Place
	free  int64
	err   error
}

// lookAtAll asks all places at once.
func lookAtAll(ctx context.Context, conf *config.Config, p Program) []looked {
	out := make([]looked, len(conf.Places))
	var all sync.WaitGroup
	for i, place := range conf.Places {
		all.Go(func() {
			free, err := lookAt(ctx, place, conf.Vault.Name, p.StateDir)
			out[i] = looked{place, free, err}
		})
	}
	all.Wait()
	return out
}

func keepSection(conf *config.Config) Section {
	now := config.FormatPolicy(conf.Defaults.Keep)
	lines := []vault.Check{{Text: "every database: " + now}}
	for _, d := range conf.Databases {
		if d.Keep != nil {
			now += "; " + d.Name + " " + config.FormatPolicy(*d.Keep)
			lines = append(lines, vault.Check{Text: d.Name + ": " + config.FormatPolicy(*d.Keep) + " (instead, as a whole)"})
		}
	}
	lines = append(lines,
		vault.Check{Text: "never given up: the newest good archive, the newest proven by a restore, what is pinned"},
		vault.Check{Text: "pgvault retention shows what the rules would keep and delete; nothing is deleted by itself"})
	return section("Keep", "[defaults]", now, "", lines)
}

// nextRuns is the part of *vault.Vault that tells when backups begin.
type nextRuns interface {
	Databases(ctx context.Context) ([]string, error)
	NextRuns(ctx context.Context, database string, n int) []time.Time
}

// maxNext bounds the databases whose next runs are listed.
const maxNext = 50

func whenSection(ctx context.Context, conf *config.Config, v vault.Desk, starts func() string) Section {
	age := "newest at most " + config.FormatDuration(conf.Defaults.MaxAge) + " old"
	var texts []string
	for _, s := range conf.Schedules() {
		texts = append(texts, s.String())
	}
	var lines []vault.Check
	now, word := age+"; nothing starts backups by itself", "by hand"
	what := ""
	if starts != nil && len(texts) > 0 {
		what = starts()
	}
	switch {
	case len(texts) == 0:
		lines = append(lines, note(`set schedule = "02:00" under [defaults], then pgvault timer install`, "there is no schedule: what starts backups is you"))
	case what == "":
		now, word = strings.Join(texts, ", ")+"; "+age+"; nothing starts it", "nothing starts it"
		lines = append(lines, note("pgvault timer install", "there is a schedule, and no timer or crontab of pgvault's that starts it"))
	default:
		now = strings.Join(texts, ", ") + "; " + age + "; " + what
		lines = append(lines, ok("%s starts what is due; pgvault timer show tells more", what))
	}
	if n, found := v.(nextRuns); found && len(texts) > 0 {
		lines = append(lines, nextLines(ctx, n, conf)...)
	}
	for _, d := range conf.Databases {
		if d.MaxAge > 0 {
			lines = append(lines, vault.Check{Text: fmt.Sprintf("%s: at most %s old", d.Name, config.FormatDuration(d.MaxAge))})
		}
	}
	return section("When", "[defaults]", now, word, lines)
}

// nextLines are the next three runs of each database, with their zone.
func nextLines(ctx context.Context, n nextRuns, conf *config.Config) []vault.Check {
	names, err := n.Databases(ctx)
	if err != nil {
		return nil // the section of the databases tells why
	}
	var out []vault.Check
	for _, name := range names[:min(len(names), maxNext)] {
		s := conf.Schedule(name)
		if s == nil {
			out = append(out, vault.Check{Text: name + ": by hand"})
			continue
		}
		var at []string
		for _, t := range n.NextRuns(ctx, name, 3) {
			at = append(at, t.Format("01-02 15:04"))
		}
		out = append(out, vault.Check{Text: fmt.Sprintf("%s: %s, next %s (%s)", name, s, strings.Join(at, ", "), s.Zone())})
	}
	return out
}

func verifySection(conf *config.Config) Section {
	if !conf.Keys.SelfCheck {
		return section("Verify", "[keys]", "no self-check: what is stored is not read back", "unread",
			[]vault.Check{note("self_check = true in [keys]", "a backup that nobody read back is a hope")})
	}
	now, lines := "each backup is read back with a one-time key; reaches readable", []vault.Check{ok("self-check after each backup: it is proven readable")}
	if conf.Defaults.Verify == "restored" {
		now = "each backup is read back and restored with a one-time key; reaches restored"
		lines = append(lines, ok("restored into a scratch server after each backup, at low priority"))
	} else {
		lines = append(lines, vault.Check{Text: "a restore into a scratch server proves more: v on an archive, pgvault verify --level restored, or verify = \"restored\""})
	}
	if d := conf.Drill; d.Identity != "" {
		when := "pgvault verify --due"
		if s := conf.DrillSchedule(); s != nil {
			when = s.String()
		}
		lines = append(lines, ok("restore drill: %s, whose proof is older than %s, up to %s", when, config.FormatDuration(d.Every), d.Level))
		if len(conf.Schedules()) > 0 {
			lines = append(lines, note("this host makes backups and holds the drill's key", "who takes it over can open every archive: let another machine drill"))
		}
	}
	if age := conf.ProofMaxAge(); age > 0 {
		lines = append(lines, vault.Check{Text: "a last proof by restore older than " + config.FormatDuration(age) + " is warned of"})
	}
	return section("Verify", "[defaults]", now, "", lines)
}

func programSection(conf *config.Config, p Program) Section {
	file := conf.File
	if file == "" {
		file = "no file, the environment alone"
	}
	on := func(b bool) string {
		if b {
			return "on"
		}
		return "off"
	}
	return section("This program", "[ui]", p.Version+", "+file, "", []vault.Check{
		{Text: "version       " + p.Version}, {Text: "config file   " + file}, {Text: "state folder  " + p.StateDir},
		{Text: "colours       " + themeWords(p.Theme, conf.UI.Theme)}, {Text: "mouse         " + on(p.Mouse) + " (M switches it)"}, {Text: "times         " + conf.UI.Times}})
}

// themeWords tells of the theme that counts, and why where it is not the
// file's.
func themeWords(counts, file string) string {
	words := map[string]string{"light": "on, for a light background", "dark": "on, for a dark background", "none": "off"}[counts]
	if words == "" {
		words = "on, for the background that the terminal tells of"
	}
	if counts != "" && counts != file {
		return words + ": NO_COLOR, --no-color or " + config.ThemeVariable + " says so; ui.theme is " + file
	}
	return words + " (ui.theme)"
}
