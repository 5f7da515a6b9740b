package setup

import (
	"fmt"
	"os"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault/archive"
)

// RecipientsChange is a change of the recipients file, as data: what is shown
// is what Apply writes.
type RecipientsChange struct {
	File    string
	Who     archive.Recipient // who is added or retired
	After   []archive.Recipient
	Diff    []config.DiffLine
	Refused string // why it may not be made, empty when it may
	Notes   []string

	digest string // of the file it began with
	text   []byte
}

// PlanAddRecipient tells what adding a recipient would change: given is a
// public key, or the path of a file that holds exactly one. Nothing is
// changed.
func PlanAddRecipient(conf *config.Config, given, name string) (*RecipientsChange, error) {
	c, err := beginRecipients(conf)
	if err != nil {
		return nil, err
	}
	one, err := ReadRecipients([]string{given}, "the recipient")
	if err != nil {
		return nil, err
	}
	if len(one.Parsed.Public) != 1 {
		return nil, &fault.Error{Op: "recipients", What: fmt.Sprintf("%d recipients were given", len(one.Parsed.Public)), Why: "one is added at a time, with its name", Left: "nothing was changed",
			Do: "give one public key, or a file that holds one", Code: fault.Usage}
	}
	if name == "" {
		name = one.Parsed.Public[0].Name
	}
	text, after, err := archive.AddRecipient(c.text, one.Parsed.Line(0), name, c.File)
	if err != nil {
		return nil, err
	}
	c.Who = after.Public[len(after.Public)-1]
	return c.become(conf, text, after), nil
}

// PlanRetireRecipient tells what taking a recipient out would change. who is
// its name, fingerprint or public key. Nothing is changed.
func PlanRetireRecipient(conf *config.Config, who string, now time.Time) (*RecipientsChange, error) {
	c, err := beginRecipients(conf)
	if err != nil {
		return nil, err
	}
	before, err := archive.ParseRecipients(c.text, c.File)
	if err != nil {
		return nil, err
	}
	i, err := before.Find(who)
	if err != nil {
		return nil, err
	}
	c.Who = before.Public[i]
	if len(before.Public) == 1 {
		c.Refused = "it is the only recipient: nobody could open a new archive"
		return c, nil
	}
	text, after, err := before.RetireRecipient(c.text, i, now, c.File)
	if err != nil {
		return nil, err
	}
	return c.become(conf, text, after), nil
}

func beginRecipients(conf *config.Config) (*RecipientsChange, error) {
	c := &RecipientsChange{File: conf.Keys.RecipientsFile}
	if c.File == "" {
		return nil, &fault.Error{Op: "recipients", What: "no recipients are configured", Why: "keys.recipients_file is not set", Left: "nothing was changed", Do: "set it, or run pgvault init", Code: fault.Usage}
	}
	src, err := os.ReadFile(c.File)
	if err != nil {
		return nil, &fault.Error{Op: "recipients", What: c.File + " cannot be read", Why: fileReason(err), Left: "nothing was changed", Do: "see that this user may read it", Code: fault.Usage, Err: err}
	}
	c.text, c.digest = src, config.Digest(src)
	return c, nil
}

// become makes text what is written, and says what a person should know.
func (c *RecipientsChange) become(conf *config.Config, text []byte, after *archive.Recipients) *RecipientsChange {
	c.Diff = config.Diff(c.text, text)
	c.text, c.After = text, after.Public
	switch {
	case len(after.Public) > 1:
	case conf.Keys.AllowOneRecipient:
		c.Notes = append(c.Notes, "only one recipient is left: lose its key, and every archive made from now on is lost")
	default:
		c.Refused = "fewer than two recipients would be left, and no backup is made with one: lose its key, and every archive is lost"
	}
	return c
}

// Apply writes the change. The file must be what it was when it was planned;
// errors.Is finds config.ErrChanged where it is not. Comments, mode and owner
// stay.
func (c *RecipientsChange) Apply() error {
	if c.Refused != "" {
		return &fault.Error{Op: "recipients", What: c.Who.Name + " is not retired", Why: c.Refused, Left: c.File + " is as it was",
			Do: "add another recipient first: pgvault key add; or set keys.allow_one_recipient = true", Code: fault.Refused}
	}
	return config.Replace(c.File, c.digest, c.text)
}
