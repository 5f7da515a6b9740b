package guide

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// keyStep asks for what opens the archive; best is what never comes here.
func (r *restore) keyStep() Step {
	how := func(what string) func(v *Values) bool { return func(v *Values) bool { return v.Get(keyHow) == what } }
	return Step{
		Key: "key", Name: "Key", Question: "What opens this backup?", Loading: "reading the archive's headers",
		Text: "Best is a key that never comes to this host.",
		Why: "The archive is encrypted to its recipients, and no key of theirs is on this host. With the first way the key stays on your own machine: " +
			"it opens three headers of some hundred bytes, and what comes back opens this one archive only. The job never gets a key in any of the three ways, only what opens this archive.",
		Fields: []Field{
			{Key: keyHow, Label: "way", Kind: Choice, Options: r.ways},
			{Key: keyAnswer, Label: "answer", Kind: Secret, When: how("elsewhere"), Valid: onlyAnswer, Hint: "the line that pgvault unlock printed", Lines: true},
			{Key: keyFile, Label: "path", Kind: Path, When: how("file"), Hint: "/mnt/usb/key.txt", Valid: nil},
			{Key: keyPasted, Label: "key", Kind: Secret, When: how("paste"), Valid: OnlyIdentity, Hint: "AGE-SECRET-KEY-1..., or an SSH private key", Lines: true},
		},
		Load:  r.loadKey,
		Check: r.checkKey,
		Body: func(v *Values) []Section {
			if v.Get(keyHow) != "elsewhere" {
				return nil
			}
			req := FactOf[request](v, factRequest).text
			return []Section{
				{Label: "1", Lines: []Line{{Text: fmt.Sprintf("c copies the request (%d characters, not secret)", len(req))}}},
				{Label: "2", Lines: []Line{{Text: "on your own machine:  pgvault unlock -i KEYFILE   and paste it there"}}},
				{Label: "3", Lines: []Line{{Text: "paste the line that it prints into the field above"}}},
				{Label: "request", Lines: []Line{{Text: req}}},
			}
		},
		Actions: []Action{{Key: "c", Name: "copy request", Help: "copy the request for pgvault unlock", Off: func(v *Values) string {
			if v.Get(keyHow) != "elsewhere" {
				return "there is a request only with the first way"
			}
			return ""
		}, Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
			req := FactOf[request](v, factRequest).text
			return Copied(req, fmt.Sprintf("the request, %d characters: paste it into pgvault unlock", len(req))), nil
		}}},
		Do:    r.open,
		Doing: "opening the headers",
	}
}

func (r *restore) ways(*Values) []Option {
	var out []Option
	if len(r.Files) > 0 {
		out = append(out, Option{Value: "given", Label: "the identity named with -i", Hint: strings.Join(r.Files, ", ")})
	}
	return append(out,
		Option{Value: "elsewhere", Label: "unlock elsewhere", Hint: "the key stays on your machine, also in a token"},
		Option{Value: "file", Label: "a key file", Hint: "its path, for example on a USB stick"},
		Option{Value: "paste", Label: "paste the key", Hint: "hidden, in memory only, wiped afterwards"})
}

// stateOf shows what a secret is, as far as it may be shown.
func stateOf(b []byte) Line {
	s := archive.DescribeSecret(b)
	return Line{State: s.State, Text: s.Text}
}

func onlyAnswer(_ *Values, b []byte) Line {
	l := stateOf(b)
	if l.State == "ok" && !isAnswer(b) {
		return Line{State: "x", Text: "this is a key, not the answer of pgvault unlock; choose \"paste the key\" for it"}
	}
	return l
}

// OnlyIdentity is the Valid of a hidden field for a secret key: it says what
// was pasted as far as that may be shown, and refuses all else.
func OnlyIdentity(_ *Values, b []byte) Line {
	if isAnswer(b) {
		return Line{State: "x", Text: "this is an answer of pgvault unlock; choose \"unlock elsewhere\" for it"}
	}
	return stateOf(b)
}

func isAnswer(b []byte) bool {
	return strings.HasPrefix(strings.TrimSpace(string(b[:min(len(b), 40)])), "pgvault-key-")
}

// request is a request and the archive it is for.
type request struct{ id, text string }

func (r *restore) loadKey(ctx context.Context, v *Values, _ Talk) error {
	id := v.Get(keyArchive)
	if FactOf[request](v, factRequest).id != id {
		text, err := r.Vault.UnlockRequest(ctx, id)
		if err != nil {
			return err
		}
		v.Put(factRequest, request{id, text})
	}
	if v.Fact(factPlaces) == nil {
		var dirs []string
		if h, err := r.Vault.Health(ctx); err == nil { // for a warning only
			for _, p := range h.Places {
				if dir, ok := strings.CutPrefix(p.URL, "file:"); ok {
					dirs = append(dirs, dir)
				}
			}
		}
		v.Put(factPlaces, dirs)
	}
	return nil
}

// files are the identity files that were named, home expanded.
func (r *restore) files(v *Values) []string {
	switch v.Get(keyHow) {
	case "given":
		return r.Files
	case "file":
		return []string{r.expand(v.Get(keyFile))}
	}
	return nil
}

func (r *restore) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && r.Home != "" {
		return filepath.Join(r.Home, rest)
	}
	return path
}

// checkKey looks at a key file without reading it.
func (r *restore) checkKey(_ context.Context, v *Values) []Line {
	if v.Get(keyHow) != "file" || v.Get(keyFile) == "" {
		return nil
	}
	return LookAtKey(r.expand(v.Get(keyFile)), FactOf[[]string](v, factPlaces))
}

// LookAtKey says what there is to say of an identity file at path that is not
// read yet: who else may read it, and whether it lies on the same disk as one
// of the folders of archives.
func LookAtKey(path string, archives []string) []Line {
	info, err := os.Stat(path)
	switch {
	case err != nil && os.IsNotExist(err):
		return []Line{{Text: "there is no such file"}}
	case err != nil:
		return []Line{{State: "x", Text: "it cannot be looked at: " + err.Error()}}
	case info.IsDir():
		return []Line{{Text: "a folder; go on to the file in it"}}
	}
	lines := []Line{{State: "ok", Text: fmt.Sprintf("a file of %d bytes", info.Size())}}
	if info.Mode().Perm()&0o077 != 0 {
		lines = append(lines, Line{State: "!", Text: fmt.Sprintf("others on this host can read it (mode %04o)", info.Mode().Perm()), Do: "chmod 600 " + Quoted(path)})
	}
	for _, dir := range archives {
		if sameDisk(info, dir) {
			lines = append(lines, Line{State: "!", Text: "it lies on the same disk as the backups: whoever takes the disk has both", Do: "keep it elsewhere"})
			break
		}
	}
	return lines
}

func sameDisk(info os.FileInfo, dir string) bool {
	other, err := os.Stat(dir)
	if err != nil {
		return false
	}
	a, ok := info.Sys().(*syscall.Stat_t)
	b, ok2 := other.Sys().(*syscall.Stat_t)
	return ok && ok2 && a.Dev == b.Dev
}

// opened is what was opened by what: the same is not opened twice, so that a
// passphrase is asked for once.
type opened struct {
	id, name string
	by       [32]byte
}

// open finds what opens this archive alone, and keeps only that.
func (r *restore) open(ctx context.Context, v *Values, t Talk) error {
	id, how := v.Get(keyArchive), v.Get(keyHow)
	ids := vault.Identities{Files: r.files(v)}
	switch how {
	case "elsewhere":
		ids.Unlocked = []string{v.SecretOf(keyAnswer).Text()}
	case "paste":
		ids.Texts = []string{v.SecretOf(keyPasted).Text()}
	}
	by := sha256.Sum256([]byte(strings.Join(append(append(append([]string{how}, ids.Files...), ids.Texts...), ids.Unlocked...), "\x00")))
	if o := FactOf[opened](v, factOpened); o.id == id && o.by == by && v.SecretOf(keyOpen).Len() > 0 {
		return nil
	}
	if t.Passphrase != nil {
		ids.Passphrase = func(prompt string) (string, error) {
			pass, err := t.Passphrase(prompt)
			t.Tell("deriving (about 1 s)")
			return pass, err
		}
	}
	line, name, err := r.Vault.Unlock(ctx, id, ids)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s := v.SecretOf(keyOpen)
	s.Wipe()
	if !s.Insert(0, []byte(line)) {
		return &fault.Error{What: "what opens the archive is too long to be kept", Why: fmt.Sprintf("%d bytes", len(line)), Left: "nothing was changed", Do: "use the command line with -i", Code: fault.Failed}
	}
	v.Put(factOpened, opened{id, name, by})
	v.Put(factPlan, nil)
	return nil
}
