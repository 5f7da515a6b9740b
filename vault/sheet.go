package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pgvault/vault/archive"
)

// SheetFacts are what a recovery sheet says of a vault, all of it public.
type SheetFacts struct {
	Vault      string              `json:"vault"`
	ID         string              `json:"id"`
	Config     string              `json:"config"` // where the configuration was; empty: the environment alone
	Places     []SheetPlace        `json:"places"`
	Recipients []archive.Recipient `json:"recipients"`
	Signers    []archive.Signing   `json:"signers"` // this host's own first
}

// SheetPlace is where archives lie.
type SheetPlace struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Digest is the SHA-256 of all facts, hex: equal for sheets that say the same.
func (f *SheetFacts) Digest() string {
	src, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(src)
	return hex.EncodeToString(sum[:])
}

// SheetFacts gathers what the recovery sheet says. A vault that no place and
// no state folder knows has none: the error has the code fault.NoVault.
func (v *Vault) SheetFacts(ctx context.Context) (*SheetFacts, error) {
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	to, err := archive.LoadRecipients(v.c.RecipientsFile)
	if err != nil {
		return nil, err
	}
	f := &SheetFacts{Vault: vf.Name, ID: vf.ID, Config: v.c.File, Places: []SheetPlace{}, Recipients: to.Public, Signers: trust.Signings()}
	if abs, err := filepath.Abs(f.Config); err == nil && f.Config != "" {
		f.Config = abs
	}
	for _, p := range v.c.Places {
		f.Places = append(f.Places, SheetPlace{p.Name, p.URL})
	}
	return f, nil
}

// sheetNote is what the state folder remembers of the last sheet.
type sheetNote struct {
	At     time.Time  `json:"at"`
	Digest string     `json:"digest"`
	Facts  SheetFacts `json:"facts"`
}

func (v *Vault) sheetPath() string {
	return filepath.Join(v.c.StateDir, "sheet", v.c.Name+".json")
}

// SheetPrinted remembers that a sheet of these facts was printed, for Health,
// and tells the audit trail.
func (v *Vault) SheetPrinted(ctx context.Context, f *SheetFacts) error {
	if err := v.writable(); err != nil {
		return err
	}
	src, err := json.Marshal(sheetNote{v.now().UTC(), f.Digest(), *f})
	if err == nil {
		err = v.writeState(v.sheetPath(), append(src, '\n'))
	}
	return v.audited(ctx, "sheet", "recovery sheet", "digest "+f.Digest()[:16], err)
}

// SheetState is whether the last printed recovery sheet is still true.
type SheetState struct {
	PrintedAt *time.Time `json:"printed_at"` // on this host; nil: never
	Changed   []string   `json:"changed"`    // what it says otherwise, in words; empty: it is true
}

// sheetState compares the last sheet with the vault of now. What cannot be
// told now is not called changed.
func (v *Vault) sheetState(ctx context.Context) SheetState {
	s := SheetState{Changed: []string{}}
	var n sheetNote
	src, err := os.ReadFile(v.sheetPath())
	if err != nil || json.Unmarshal(src, &n) != nil || n.At.IsZero() {
		return s
	}
	s.PrintedAt = &n.At
	if now, err := v.SheetFacts(ctx); err == nil && now.Digest() != n.Digest {
		s.Changed = n.Facts.changes(now)
	}
	return s
}

// changes says in words what now has otherwise.
func (f *SheetFacts) changes(now *SheetFacts) []string {
	var out []string
	if f.Vault != now.Vault || f.ID != now.ID {
		out = append(out, "it is another vault")
	}
	places := func(f *SheetFacts) (list []namedFact) {
		for _, p := range f.Places {
			list = append(list, namedFact{p.Name, p.URL})
		}
		return list
	}
	recipients := func(f *SheetFacts) (list []namedFact) {
		for _, r := range f.Recipients {
			list = append(list, namedFact{r.Name, r.Fingerprint})
		}
		return list
	}
	signers := func(f *SheetFacts) (list []namedFact) {
		for _, s := range f.Signers {
			list = append(list, namedFact{s.Fingerprint, s.Public})
		}
		return list
	}
	out = append(out, changedFacts("place", places(f), places(now))...)
	out = append(out, changedFacts("recipient", recipients(f), recipients(now))...)
	out = append(out, changedFacts("signing key", signers(f), signers(now))...)
	if f.Config != now.Config {
		out = append(out, "the configuration is in "+orElse(now.Config, "no file"))
	}
	if len(out) == 0 {
		out = append(out, "the order of places or keys")
	}
	return out
}

type namedFact struct{ name, value string }

func changedFacts(kind string, old, now []namedFact) []string {
	find := func(list []namedFact, name string) (string, bool) {
		for _, f := range list {
			if f.name == name {
				return f.value, true
			}
		}
		return "", false
	}
	var out []string
	for _, f := range now {
		switch was, there := find(old, f.name); {
		case !there:
			out = append(out, kind+" "+f.name+" is new")
		case was != f.value:
			out = append(out, kind+" "+f.name+" is another one")
		}
	}
	for _, f := range old {
		if _, there := find(now, f.name); !there {
			out = append(out, kind+" "+f.name+" is gone")
		}
	}
	return out
}

// warning tells that the printed sheet is no longer true. One that was never
// printed is no warning: faces say so in a quiet line.
func (s SheetState) warning() (Explained, bool) {
	if s.PrintedAt == nil || len(s.Changed) == 0 {
		return Explained{}, false
	}
	return Explained{Key: "sheet", What: "the printed recovery sheet no longer matches the vault", Why: "since " + stampOf(*s.PrintedAt) + ": " + strings.Join(firstFew(s.Changed, 4), "; "),
		Left: "the archives are as they were; the old sheet still leads to what it names, as long as that is there", Do: "pgvault recovery-sheet, print it, and put it where the old ones are"}, true
}
