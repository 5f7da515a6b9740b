package setup

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"sync"

	"pgvault/config"
	"pgvault/guide"
	"pgvault/vault"
)

// guideName is the set-up guide's, also in its draft.
const guideName = "setup"

// Vault is what the last steps of the guide do with the vault that was made.
type Vault interface {
	vault.Runs
	Init(ctx context.Context) error
	UnlockRequest(ctx context.Context, id string) (string, error)
	Unlock(ctx context.Context, id string, ids vault.Identities) (unlocked, name string, err error)
}

// World is where a set-up takes place.
type World struct {
	Path     string // the configuration to write, absolute
	StateDir string
	Program  string // absolute path of pgvault, for crontab and units
	User     string // who runs it
	Access   vault.Access
	Random   io.Reader
	// Open opens the vault that the configuration at Path describes.
	Open func() (Vault, error)
}

// Keys of the answers in a draft.
const (
	keyServer     = "server"
	keyWhich      = "which"
	keyExclude    = "exclude"
	keyDatabases  = "databases"
	keyRecipients = "recipients"
	keyAllowOne   = "allow-one"
	keyNew        = "new-pair"
	keyNewName    = "new-name"
	keyNewPath    = "new-path"
	keyNewHere    = "new-here"
	keyHold       = "hold"
	keyWords      = "words"
	keyHeld       = "held" // SHA-256 of the recipients whose key was shown
	keyHoldFile   = "hold-file"
	keyHoldPaste  = "hold-paste"
	keyPlace      = "place"
	keyCredential = "credentials"
	keyVault      = "vault"
	keyLabel      = "label"
	keyKeep       = "keep"
	keyMaxAge     = "max-age"
	keyFirst      = "first-database"
	keyWritten    = "written"
	keyProof      = "proof-with"
	keyProofFile  = "proof-file"
	keyProofPaste = "proof-paste"
	keyAnswer     = "proof-answer"
)

const factServer = "server"

// steps is the guide's own memory: what is neither an answer nor to be shown.
type steps struct {
	w World

	mu       sync.Mutex
	hold     *Hold // the question for the recipients of holdFor
	holdFor  [32]byte
	opened   Vault
	unlocked string // what opens the first archive, a secret
	made     *Identity

	readMu   sync.Mutex // over what follows: the newest reading of the recipients
	read     bool
	readText string
	readAs   *Recipients
	readErr  error
}

// Guide is the first set-up in eight steps, from the server to a backup that
// was proven by a restore. Until "When" is left, nothing is written but its
// draft and the identity that the person asks for.
func Guide(w World) *guide.Guide {
	s := &steps{w: w}
	return &guide.Guide{
		Name: guideName, Title: "first set-up",
		Steps: []guide.Step{s.connect(), s.databases(), s.keys(), s.places(), s.keep(), s.when(), s.first(), s.rehearse(), s.proof()},
		Runs:  lazyRuns{s},
		Save:  func(d guide.Draft) error { return SaveDraft(w.StateDir, d) },
		Drop:  func() error { return DropDraft(w.StateDir) },
	}
}

// Unfinished gives the draft of a set-up that is to go on: one that was left
// before the configuration at path was written, or that wrote it itself.
func Unfinished(stateDir, path string) (guide.Draft, bool) {
	d, there := LoadDraft(stateDir)
	if !there {
		return d, false
	}
	if _, err := os.Lstat(path); err == nil && d.Texts[keyWritten] != path {
		return guide.Draft{}, false
	}
	return d, true
}

// lazyRuns are the jobs of a vault that does not exist yet.
type lazyRuns struct{ s *steps }

// Jobs implements vault.Runs.
func (l lazyRuns) Jobs(ctx context.Context) ([]vault.Job, error) {
	v, err := l.s.vault()
	if err != nil {
		return nil, err
	}
	return v.Jobs(ctx)
}

// Activity implements vault.Runs.
func (l lazyRuns) Activity(ctx context.Context, limit int) ([]vault.Activity, vault.Trail, error) {
	v, err := l.s.vault()
	if err != nil {
		return nil, vault.Trail{}, err
	}
	return v.Activity(ctx, limit)
}

// Launch implements vault.Runs.
func (l lazyRuns) Launch(ctx context.Context, o vault.Order, sec vault.Secrets) (vault.Job, error) {
	v, err := l.s.vault()
	if err != nil {
		return vault.Job{}, err
	}
	return v.Launch(ctx, o, sec)
}

// Watch implements vault.Runs.
func (l lazyRuns) Watch(ctx context.Context, id string, sink vault.Sink) error {
	v, err := l.s.vault()
	if err != nil {
		return err
	}
	return v.Watch(ctx, id, sink)
}

// Cancel implements vault.Runs.
func (l lazyRuns) Cancel(ctx context.Context, id string) error {
	v, err := l.s.vault()
	if err != nil {
		return err
	}
	return v.Cancel(ctx, id)
}

// vault opens the vault once.
func (s *steps) vault() (Vault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		v, err := s.w.Open()
		if err != nil {
			return nil, err
		}
		s.opened = v
	}
	return s.opened, nil
}

// server gives the server that was looked at, or looks again: facts are not in
// a draft.
func (s *steps) server(ctx context.Context, v *guide.Values) (*Server, error) {
	if srv := guide.FactOf[*Server](v, factServer); srv != nil && srv.Asked == v.Get(keyServer) {
		return srv, nil
	}
	set, err := ParseServer(v.Get(keyServer))
	if err != nil {
		return nil, err
	}
	srv, err := Connect(ctx, set)
	if err != nil {
		return nil, err
	}
	srv.Asked = v.Get(keyServer)
	v.Put(factServer, srv)
	return srv, nil
}

// holdOf gives the question for these recipients, the same each time: the
// person has carried its text elsewhere.
func (s *steps) holdOf(r *Recipients) (*Hold, error) {
	sum := sha256.Sum256(r.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold != nil && s.holdFor == sum {
		return s.hold, nil
	}
	h, err := NewHold(r, s.w.Random)
	if err != nil {
		return nil, err
	}
	s.hold, s.holdFor = h, sum
	return h, nil
}

// asked is the question made for what is filled in now, nil before there is
// one.
func (s *steps) asked(v *guide.Values) *Hold {
	r, err := s.recipients(v)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold == nil || s.holdFor != sha256.Sum256(r.Text) {
		return nil
	}
	return s.hold
}

// values is what was answered, as the configuration has it.
func (s *steps) values(v *guide.Values) (config.Values, *Recipients, error) {
	var out config.Values
	set, err := ParseServer(v.Get(keyServer))
	if err != nil {
		return out, nil, err
	}
	r, err := s.recipients(v)
	if err != nil {
		return out, nil, err
	}
	place, err := s.place(v)
	if err != nil {
		return out, nil, err
	}
	keep, err := config.ParsePolicy(v.Get(keyKeep))
	if err != nil {
		return out, nil, usage("the rules cannot be read", err.Error())
	}
	age, err := config.ParseDuration(v.Get(keyMaxAge))
	if err != nil {
		return out, nil, usage("the age cannot be read", err.Error())
	}
	out = config.Values{
		VaultName: v.Get(keyVault), Label: v.Get(keyLabel), Service: set.Service, Conninfo: set.Conninfo, AllowOneRecipient: v.Yes(keyAllowOne),
		MaxAge: age, Schedule: often(age / 2), Keep: &keep, Places: []config.Place{place},
	}
	if v.Get(keyWhich) == "some" {
		out.Databases = v.List(keyDatabases)
	} else {
		out.Exclude = excludes(v.Get(keyExclude))
	}
	return Beside(s.w.Path, out), r, nil
}

// place is the place that was named, as the configuration has it.
func (s *steps) place(v *guide.Values) (config.Place, error) {
	url, err := ParsePlace(v.Get(keyPlace))
	if err != nil {
		return config.Place{}, err
	}
	p := config.Place{URL: url}
	if _, here := hereFolder(url); !here {
		p.Credentials = v.Get(keyCredential)
	}
	if p, err = config.CheckPlace(p); err != nil {
		return p, err
	}
	p.Name = PlaceName(url)
	return p, nil
}

// forbidden is where no identity may be saved.
func (s *steps) forbidden(v *guide.Values) Forbidden {
	f := Forbidden{s.w.StateDir, filepath.Dir(s.w.Path)}
	if place, err := ParsePlace(v.Get(keyPlace)); err == nil {
		if folder, here := hereFolder(place); here {
			f = append(f, folder)
		}
	}
	return f
}

// lines are checks as the guide shows them.
func lines(checks []vault.Check) []guide.Line {
	out := make([]guide.Line, len(checks))
	for i, c := range checks {
		out[i] = guide.Line{State: c.State, Text: c.Text}
		if c.State != "ok" {
			out[i].Do = c.Do
		}
	}
	return out
}
