package setup

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
	"pgvault/vault/archive"
)

func (s *steps) keys() guide.Step {
	isNew := func(v *guide.Values) bool { return v.Yes(keyNew) }
	how := func(want string) func(*guide.Values) bool {
		return func(v *guide.Values) bool { return v.Get(keyHold) == want }
	}
	return guide.Step{
		Key: "keys", Name: "Keys", Question: "Who will be able to open the backups?",
		Text: "This server needs only the public half. Keep the secret half somewhere else.",
		Why: "Archives are encrypted to these recipients before they touch a disk. Lose every secret key, and nobody can open them: so two people or safes, " +
			"and a small proof now that one of you really holds a key.",
		Fields: []guide.Field{
			{Key: keyRecipients, Label: "recipients", Kind: guide.Text, Lines: true, Optional: true, Hint: "age1..., ssh-ed25519 ..., or the path of a file of them", Valid: validRecipients},
			{Key: keyNew, Label: "make a new key pair", Kind: guide.YesNo},
			{Key: keyNewName, Label: "its name", Kind: guide.Text, Optional: true, Hint: "ops, safe", When: isNew},
			{Key: keyNewPath, Label: "save the secret in", Kind: guide.Path, Optional: true, Hint: "/media/usb/ops.txt (n makes it)", When: isNew},
			{Key: keyNewHere, Label: "even on this host", Kind: guide.YesNo, When: isNew},
			{Key: keyAllowOne, Label: "accept one recipient", Kind: guide.YesNo, When: s.oneRecipient},
			{Key: keyHold, Label: "show that you hold a key", Kind: guide.Choice, Options: holdWays},
			{Key: keyWords, Label: "the four words", Kind: guide.Text, Optional: true, When: how("words")},
			{Key: keyHoldFile, Label: "key file", Kind: guide.Path, Optional: true, Hint: "/media/usb/ops.txt", When: how("file")},
			{Key: keyHoldPaste, Label: "secret key", Kind: guide.Secret, Optional: true, Lines: true, Hint: "hidden, in memory only", When: how("paste"), Valid: validSecret},
		},
		Check: s.checkKeys,
		Body:  s.showKeys,
		Actions: []guide.Action{
			{Key: "n", Name: "make the pair", Help: "make a key pair, save its secret half where you said, add its public half to the recipients", Off: func(v *guide.Values) string {
				if !isNew(v) {
					return "answer yes to \"make a new key pair\" first"
				}
				return ""
			}, Do: s.makePair},
			{Key: "S", Name: "show secret", Help: "show the secret half of the new pair, once", Off: func(*guide.Values) string {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.made == nil {
					return "no pair was made in this session, or it was shown already"
				}
				return ""
			}, Do: s.showSecret},
			{Key: "c", Name: "copy text", Help: "copy the text that holds the four words", Off: func(v *guide.Values) string {
				if s.asked(v) == nil {
					return "name the recipients first"
				}
				return ""
			}, Do: func(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
				h := s.asked(v)
				if h == nil {
					return guide.Effect{Say: "name the recipients first"}, nil
				}
				return guide.Copied(h.Sealed, "the text: age -d -i KEY prints four words"), nil
			}},
		},
		Do: s.leaveKeys, Doing: "trying the key (an encrypted one takes about 1 s)",
	}
}

func holdWays(*guide.Values) []guide.Option {
	return []guide.Option{
		{Value: "words", Label: "on your own machine", Hint: "copy a text (c), run age -d -i KEY there, type the four words"},
		{Value: "file", Label: "a key file", Hint: "reachable from here: a USB stick, /mnt/..."},
		{Value: "paste", Label: "paste the key", Hint: "hidden, in memory only, wiped afterwards"},
		{Value: "later", Label: "not now", Hint: "until then nobody has shown that a key opens these backups"},
	}
}

// recipients reads what stands in the field.
// The same text is read once: a face asks for each frame, and each reading
// seals something to try.
func (s *steps) recipients(v *guide.Values) (*Recipients, error) {
	text := v.Get(keyRecipients)
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if !s.read || s.readText != text {
		s.readText, s.read = text, true
		s.readAs, s.readErr = ReadRecipients([]string{oneALine(text)}, "recipients")
	}
	return s.readAs, s.readErr
}

// keyStart is where a public key, or the name above one, begins. No key holds
// such a text inside: age's alphabet has no 1.
var keyStart = regexp.MustCompile(`age1[0-9a-z]{10}|ssh-(?:ed25519|rsa) AAAA|#`)

// oneALine puts each key on a line of its own: a field of one line has lost
// the line ends of what was pasted.
func oneALine(text string) string {
	if isPath(strings.TrimSpace(text)) {
		return text
	}
	return keyStart.ReplaceAllString(text, "\n$0")
}

func (s *steps) oneRecipient(v *guide.Values) bool {
	r, err := s.recipients(v)
	return err == nil && len(r.Public()) == 1
}

// validRecipients refuses a secret key at once. What else may be wrong is for
// Check: half a key is being typed.
func validRecipients(_ *guide.Values, value []byte) guide.Line {
	if archive.HoldsSecret(string(value)) {
		return guide.Line{State: "x", Text: "this is a secret key; this host must never hold one", Do: "empty the field (Ctrl-U) and give the public half"}
	}
	return guide.Line{}
}

func validSecret(_ *guide.Values, b []byte) guide.Line {
	d := archive.DescribeSecret(b)
	return guide.Line{State: d.State, Text: d.Text}
}

func (s *steps) checkKeys(_ context.Context, v *guide.Values) []guide.Line {
	var checks []vault.Check
	switch r, err := s.recipients(v); {
	case v.Get(keyRecipients) == "" && !v.Yes(keyNew):
		checks = append(checks, vault.Check{Text: "age-keygen makes a pair on any machine: the line that begins with age1 is the public half"})
	case v.Get(keyRecipients) == "":
	case err != nil:
		checks = append(checks, wrong(err))
	default:
		checks = append(checks, r.Check(v.Yes(keyAllowOne))...)
		if _, err := s.holdOf(r); err != nil {
			checks = append(checks, wrong(err))
		}
		switch {
		case held(v, r):
			checks = append(checks, ok("a key of these recipients was shown"))
		case v.Get(keyHold) == "later":
			checks = append(checks, note("hold-proof now, or at the latest in Rehearse", "nobody has shown yet that a key opens these backups"))
		}
	}
	if v.Yes(keyNew) && v.Get(keyNewPath) != "" && !s.pairMade() {
		checks = append(checks, CheckIdentityPath(v.Get(keyNewPath), v.Yes(keyNewHere), s.forbidden(v))...)
	}
	return lines(checks)
}

func (s *steps) pairMade() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made != nil
}

// showKeys lists the recipients, and the text with the words.
func (s *steps) showKeys(v *guide.Values) []guide.Section {
	r, err := s.recipients(v)
	if err != nil {
		return nil
	}
	t := &guide.Table{Titles: []string{"RECIPIENT", "NAME", "KIND"}}
	for _, p := range r.Public() {
		t.Rows = append(t.Rows, []string{p.Fingerprint, p.Name, p.Kind})
	}
	out := []guide.Section{{Table: t}}
	if h := s.asked(v); h != nil && v.Get(keyHold) == "words" {
		sec := guide.Section{Label: "text"}
		for l := range strings.Lines(h.Sealed) {
			sec.Lines = append(sec.Lines, guide.Line{Text: strings.TrimRight(l, "\n")})
		}
		out = append(out, sec)
	}
	return out
}

// makePair makes a pair, saves the secret half and adds the public one.
func (s *steps) makePair(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
	if err := Allowed(s.w.Access); err != nil {
		return guide.Effect{}, err
	}
	pq := false
	if r, err := s.recipients(v); err == nil {
		pq = r.Public()[0].Kind == archive.KindPQ // age refuses a mix
	}
	id, err := NewIdentity(strings.Join(strings.Fields(v.Get(keyNewName)), " "), pq)
	if err != nil {
		return guide.Effect{}, err
	}
	path, err := SaveIdentity(id, v.Get(keyNewPath), v.Yes(keyNewHere), s.forbidden(v))
	if err != nil {
		id.Wipe()
		return guide.Effect{}, err
	}
	v.Set(keyRecipients, strings.TrimSpace(v.Get(keyRecipients)+" "+strings.ReplaceAll(id.Lines(), "\n", " ")))
	v.Set(keyNew, "no")
	v.Set(keyNewPath, "")
	v.Set(keyNewName, "")
	s.mu.Lock()
	if s.made != nil {
		s.made.Wipe()
	}
	s.made = id
	s.mu.Unlock()
	return guide.Effect{Say: "saved in " + path + "; its public half is " + id.Recipient}, nil
}

// showSecret shows the new pair's secret half once, and forgets it.
func (s *steps) showSecret(context.Context, *guide.Values, guide.Talk) (guide.Effect, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		return guide.Effect{Say: "it was shown already"}, nil
	}
	secret := ""
	for l := range strings.Lines(s.made.Secret()) {
		if !strings.HasPrefix(l, "#") {
			secret = strings.TrimSpace(l)
		}
	}
	s.made.Wipe()
	s.made = nil
	return guide.Effect{Say: secret}, nil
}

// leaveKeys goes on only with recipients that can be used, and with the proof
// that was promised.
func (s *steps) leaveKeys(_ context.Context, v *guide.Values, t guide.Talk) error {
	s.readMu.Lock()
	s.read = false // a file that was named may have changed
	s.readMu.Unlock()
	r, err := s.recipients(v)
	if err != nil {
		return err
	}
	if err := stopAt(r.Check(v.Yes(keyAllowOne))); err != nil {
		return err
	}
	if !held(v, r) {
		h, err := s.holdOf(r)
		if err != nil {
			return err
		}
		if err := proveHold(h, v, t); err != nil {
			return err
		}
		if v.Get(keyHold) != "later" {
			v.Set(keyHeld, config.Digest(r.Text))
			v.Set(keyWords, "")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != nil {
		s.made.Wipe()
		s.made = nil
	}
	return nil
}

// held tells whether a key of these very recipients was shown before, also in
// a set-up that was left meanwhile.
func held(v *guide.Values, r *Recipients) bool { return v.Get(keyHeld) == config.Digest(r.Text) }

func proveHold(h *Hold, v *guide.Values, t guide.Talk) error {
	refuse := func(what, do string) error {
		return &fault.Error{Op: "keys", What: what, Why: "backups that nobody can open are worth nothing, and today is the day to find out", Left: "nothing was written", Do: do, Code: fault.NoKey}
	}
	switch v.Get(keyHold) {
	case "words":
		if strings.TrimSpace(v.Get(keyWords)) == "" {
			return refuse("the four words are missing", "copy the text (c), run  age -d -i KEY  where the key is, type the words; or choose another way")
		}
		if !h.Answer(v.Get(keyWords)) {
			return refuse("these are not the four words", "run  age -d -i KEY  on the text once more: it changes with the recipients")
		}
	case "file":
		if v.Get(keyHoldFile) == "" {
			return refuse("no key file was named", "name one, or choose another way")
		}
		_, err := h.TryFile(v.Get(keyHoldFile), t.Passphrase)
		return notMatching(err)
	case "paste":
		sec := v.SecretOf(keyHoldPaste)
		if sec.Len() == 0 {
			return refuse("no key was pasted", "paste one, or choose another way")
		}
		_, err := h.TryText(sec.Text(), t.Passphrase)
		if err == nil {
			sec.Wipe()
		}
		return notMatching(err)
	}
	return nil
}

// notMatching says of a key that opens nothing what it means here.
func notMatching(err error) error {
	if err == nil {
		return nil
	}
	f := fault.As(err)
	return &fault.Error{Op: "keys", What: "this key does not open what the recipients seal", Why: fmt.Sprint(f.What, ": ", f.Why), Left: "nothing was written",
		Do: "give the secret half of one of the recipients above, or correct the recipients", Code: fault.NoKey, Err: err}
}
