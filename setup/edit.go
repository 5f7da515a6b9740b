package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/retention"
)

// Desk is what the Setup page asks for.
type Desk struct {
	Path    string // the configuration file, absolute
	Vault   vault.Desk
	Program Program
	// Replace is config.Replace by somebody who may write the file where this
	// process may not; nil: this process does it.
	Replace func(path, digest string, data []byte) error
}

// Access tells whether the person may change the configuration.
func (d *Desk) Access() vault.Access {
	if d.Vault != nil && d.Vault.ReadOnly() {
		return vault.Access{Why: "read only: it was started with --read-only"}
	}
	if k, found := d.Vault.(interface{ Access() vault.Access }); found {
		return k.Access()
	}
	return vault.Access{Act: true}
}

// Overview reads the configuration anew and tells what it means today.
func (d *Desk) Overview(ctx context.Context) (*Overview, error) {
	conf, err := d.load()
	if err != nil {
		return nil, err
	}
	return LookOver(ctx, conf, d.Vault, d.Program), nil
}

func (d *Desk) load() (*config.Config, error) {
	if d.Path == "" {
		return config.Parse(nil, "", os.LookupEnv)
	}
	return config.Load(d.Path, os.LookupEnv)
}

// Edit is a change of the configuration under way, in a copy that only this
// user can read. Close it.
type Edit struct {
	d    *Desk
	Copy string // the file that the editor opens
	old  []byte
	dir  string
}

// Begin makes the copy. It is refused where the person may not change the
// file.
func (d *Desk) Begin() (*Edit, error) {
	if err := Allowed(d.Access()); err != nil {
		return nil, err
	}
	if d.Path == "" {
		return nil, &fault.Error{Op: "set-up", What: "there is no configuration file", Why: "the environment alone counts", Left: "nothing was changed", Do: "make one: pgvault init", Code: fault.NoVault}
	}
	if d.Replace == nil && unix.Access(filepath.Dir(d.Path), unix.W_OK) != nil {
		return nil, &fault.Error{Op: "set-up", What: "nothing that is edited here could be saved", Why: "this user may not write in " + filepath.Dir(d.Path), Left: "nothing was changed",
			Do: "open the screen as root: sudo pgvault; or edit the file as its owner", Code: fault.Refused}
	}
	old, err := os.ReadFile(d.Path)
	if err != nil {
		return nil, &fault.Error{Op: "set-up", What: d.Path + " cannot be read", Why: fileReason(err), Left: "nothing was changed", Do: "see that this user may read it", Err: err}
	}
	dir, err := os.MkdirTemp("", "pgvault-edit-")
	if err != nil {
		return nil, err
	}
	e := &Edit{d: d, Copy: filepath.Join(dir, filepath.Base(d.Path)), old: old, dir: dir}
	if err := os.WriteFile(e.Copy, old, 0o600); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// BeginKeep is Begin with another policy in the copy: in the defaults, or in
// the entry from, as config.Database.KeepFrom names it. errors.Is finds
// config.ErrKeepForm where a person has to write it; then there is no copy.
func (d *Desk) BeginKeep(from string, p retention.Policy) (*Edit, error) {
	e, err := d.Begin()
	if err != nil {
		return nil, err
	}
	text, err := config.SetKeep(e.old, from, p)
	if err == nil {
		err = os.WriteFile(e.Copy, text, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Editor is $VISUAL, $EDITOR or vi on the copy. table is where the cursor
// should be, such as "[[place]]"; most editors take +LINE.
func (e *Edit) Editor(table string) *exec.Cmd {
	editor := "vi"
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			editor = v
			break
		}
	}
	program := filepath.Base(strings.Fields(editor)[0])
	args := []string{"-c", editor + ` "$@"`, editor}
	for _, known := range []string{"vi", "vim", "nvim", "nano", "emacs", "mg", "joe", "micro", "vim.tiny", "vim.basic", "nvi", "ex"} {
		if program == known {
			args = append(args, fmt.Sprintf("+%d", e.line(table)))
		}
	}
	c := exec.Command("/bin/sh", append(args, e.Copy)...)
	if e.d.Replace != nil {
		// It runs as the vault's owner, whose home is no place for what an editor
		// remembers of a file: that goes with the copy.
		c.Env = append(os.Environ(), "HOME="+e.dir)
	}
	return c
}

// line is where a table begins in the copy, 1 where it is not.
func (e *Edit) line(table string) int {
	src, err := os.ReadFile(e.Copy)
	if err != nil || table == "" {
		return 1
	}
	for i, l := range strings.Split(string(src), "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), table) {
			return i + 1
		}
	}
	return 1
}

// Review is what the edited copy means.
type Review struct {
	// Invalid is the error of a copy that cannot be used, with its Problems and
	// the lines they are on.
	Invalid  error
	Problems []Problem
	Diff     []config.DiffLine // none: nothing was changed
	Changes  []config.Change   // options that mean something else now
	// Deletes are the archives that the new rules would give up and the old
	// ones keep.
	Deletes []vault.Verdict
	// Meanwhile is what somebody else changed in the file since the edit
	// began: then nothing is saved.
	Meanwhile []config.DiffLine
	text      []byte
}

// Problem is a line of the copy that cannot be used.
type Problem struct {
	Line   int
	Source string // the line itself; empty where there is none
	Text   string
}

// policyPreview is *vault.Vault's.
type policyPreview interface {
	PreviewPolicy(ctx context.Context, names []string, keep func(database string) retention.Policy) ([]vault.Verdict, error)
}

// Review reads the copy strictly, compares it with the file, and finds out
// which archives its rules would give up. An error: that could not be told.
func (e *Edit) Review(ctx context.Context) (*Review, error) {
	text, err := os.ReadFile(e.Copy)
	if err != nil {
		return nil, &fault.Error{Op: "set-up", What: "the edited copy is gone", Why: fileReason(err), Left: "the configuration is as it was", Do: "edit again", Err: err}
	}
	r := &Review{text: text, Diff: config.Diff(config.Hide(e.old), config.Hide(text))}
	now, err := os.ReadFile(e.d.Path)
	if err != nil {
		return nil, &fault.Error{Op: "set-up", What: e.d.Path + " cannot be read any more", Why: fileReason(err), Left: "your text is in " + e.Copy, Do: "look at the file", Err: err}
	}
	r.Meanwhile = config.Diff(config.Hide(e.old), config.Hide(now))
	changed, err := config.Parse(text, e.d.Path, os.LookupEnv)
	if err != nil {
		r.Invalid = err
		lines := strings.Split(string(text), "\n")
		for _, p := range config.Problems(err) {
			source := ""
			if p.Line > 0 && p.Line <= len(lines) {
				source = lines[p.Line-1]
			}
			r.Problems = append(r.Problems, Problem{p.Line, source, p.Text})
		}
		return r, nil
	}
	old, err := config.Parse(e.old, e.d.Path, os.LookupEnv)
	if err != nil {
		old = config.Default() // the file was broken before: all that is in the new one is new
	}
	r.Changes = config.Changes(old, changed)
	r.Deletes, err = e.givesUp(ctx, old, changed)
	return r, err
}

// givesUp are the archives that changed's rules would newly delete. Where no
// rule differs, nothing is asked of the place.
func (e *Edit) givesUp(ctx context.Context, old, changed *config.Config) ([]vault.Verdict, error) {
	p, found := e.d.Vault.(policyPreview)
	if !found || !rulesDiffer(old, changed) {
		return nil, nil
	}
	keeps := func(c *config.Config) func(string) retention.Policy {
		return func(name string) retention.Policy { return *c.Database(name).Keep }
	}
	before, err := p.PreviewPolicy(ctx, nil, keeps(old))
	var after []vault.Verdict
	if err == nil {
		after, err = p.PreviewPolicy(ctx, nil, keeps(changed))
	}
	if fault.CodeOf(err) == fault.NoVault {
		return nil, nil
	}
	if err != nil {
		return nil, &fault.Error{Op: "set-up", What: "what the new rules would delete cannot be told", Why: fault.As(err).Error(), Left: "the configuration is as it was; your text is in " + e.Copy,
			Do: "leave keep as it is, or try again when the place answers", Code: fault.Refused, Err: err}
	}
	kept := map[string]bool{}
	for _, v := range before {
		kept[v.ID] = v.Keep
	}
	var out []vault.Verdict
	for _, v := range after {
		if !v.Keep && kept[v.ID] {
			out = append(out, v)
		}
	}
	return out, nil
}

func rulesDiffer(a, b *config.Config) bool {
	if a.Defaults.Keep != b.Defaults.Keep || len(a.Databases) != len(b.Databases) {
		return true
	}
	for _, c := range []*config.Config{a, b} {
		for _, d := range c.Databases {
			if *a.Database(d.Name).Keep != *b.Database(d.Name).Keep {
				return true
			}
		}
	}
	return false
}

// Auditor is told what was changed; *vault.Vault is one.
type Auditor interface {
	Audit(ctx context.Context, kind, what, result, text string) error
}

// Needs is the number that must be typed before this is saved; empty: none.
func (r *Review) Needs() string {
	if len(r.Deletes) == 0 {
		return ""
	}
	return fmt.Sprint(len(r.Deletes))
}

// Summary says in one line what was changed: "defaults.max_age 1d > 2d".
func (r *Review) Summary() string {
	var parts []string
	for _, c := range r.Changes {
		parts = append(parts, c.String())
	}
	switch {
	case len(parts) == 0:
		return "comments and spaces only"
	case len(parts) > 4:
		return strings.Join(parts[:3], "; ") + fmt.Sprintf("; and %d more", len(parts)-3)
	}
	return strings.Join(parts, "; ")
}

// Save puts the reviewed text in the place of the file, which must be what it
// was when the edit began; errors.Is finds config.ErrChanged where it is not.
// typed is the answer to Needs. What was changed is told to the audit trail;
// an error of that has the code Partial: the change itself is made.
func (e *Edit) Save(ctx context.Context, r *Review, typed string) error {
	switch {
	case r.Invalid != nil:
		return r.Invalid
	case strings.TrimSpace(typed) != r.Needs():
		return &fault.Error{Op: "set-up", What: "the change was not saved", Why: "its rules would give up " + count(len(r.Deletes), "archive") + ", and another number was typed",
			Left: "the configuration is as it was", Do: "type " + r.Needs() + ", or keep more", Code: fault.Refused}
	}
	if err := Allowed(e.d.Access()); err != nil {
		return err
	}
	replace := config.Replace
	if e.d.Replace != nil {
		replace = e.d.Replace
	}
	if err := replace(e.d.Path, config.Digest(e.old), r.text); err != nil {
		return err
	}
	if a, found := e.d.Vault.(Auditor); found {
		if err := a.Audit(ctx, "settings", r.Summary(), "ok", e.d.Path); err != nil {
			return &fault.Error{Op: "set-up", What: "the change is saved, and the audit trail could not be told of it", Why: err.Error(), Left: "the new configuration counts", Do: "look at the state folder", Code: fault.Partial, Err: err}
		}
	}
	return nil
}

// Close removes the copy.
func (e *Edit) Close() error { return os.RemoveAll(e.dir) }
