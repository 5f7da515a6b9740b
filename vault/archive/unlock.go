package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"

	"pgvault/fault"
)

// The three texts of an unlocking, docs/FORMAT.md: a request, the answer to
// it, and what an answer comes to once it is opened.
const (
	requestPrefix  = "pgvault-unlock-1:"
	answerPrefix   = "pgvault-key-1:"
	unlockedPrefix = "pgvault-opened-1:"
)

// maxHeader bounds the age header of one part: 100 post-quantum recipients.
const maxHeader = 256 << 10

// requestDoc is what a request holds: public facts, the age header of each
// part, and the recipient that the answer is sealed to.
type requestDoc struct {
	Vault    string      `json:"vault"`
	VaultID  string      `json:"vault_id"`
	ID       string      `json:"id"`
	Database string      `json:"database"`
	Started  time.Time   `json:"started"`
	Host     string      `json:"host,omitempty"`
	To       string      `json:"to"`
	Parts    []headerDoc `json:"parts"`
}

type headerDoc struct {
	Name   string `json:"name"`
	Header string `json:"header"` // as age writes it: text
}

// unlockedDoc is what opens one archive: secret.
type unlockedDoc struct {
	VaultID string            `json:"vault_id"`
	ID      string            `json:"id"`
	Names   string            `json:"names"` // of the identity that opened it
	Keys    map[string][]byte `json:"keys"`  // age file key by part
}

// Unlocked opens one archive and nothing else: it holds the age file key of
// each of its parts.
type Unlocked struct{ doc unlockedDoc }

// ID is the archive that it opens.
func (u *Unlocked) ID() string { return u.doc.ID }

// Names tells which identity opened the archive.
func (u *Unlocked) Names() string { return u.doc.Names }

// Text gives it as one line, which is a secret: for the pipe to a runner.
func (u *Unlocked) Text() (string, error) { return encodeText(unlockedPrefix, u.doc) }

// Wipe overwrites the keys.
func (u *Unlocked) Wipe() {
	for _, k := range u.doc.Keys {
		clear(k)
	}
}

// IsUnlocked tells whether text claims to be what Unlocked.Text gives.
func IsUnlocked(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), unlockedPrefix)
}

// ParseUnlocked reads what Unlocked.Text gave.
func ParseUnlocked(text string) (*Unlocked, error) {
	var u Unlocked
	if err := decodeText(unlockedPrefix, text, &u.doc); err != nil {
		return nil, err
	}
	return &u, u.check()
}

func (u *Unlocked) check() error {
	ok := ValidID(u.doc.ID) && len(u.doc.Keys) > 0
	for _, k := range u.doc.Keys {
		ok = ok && len(k) == 16
	}
	if !ok {
		return badText("what should open an archive cannot be understood", "it lacks what it should hold", "ask for it again")
	}
	return nil
}

// identity opens one part.
func (u *Unlocked) identity(part string) (age.Identity, bool) {
	k, ok := u.doc.Keys[part]
	if !ok {
		return nil, false
	}
	return age.NewInjectedFileKeyIdentity(bytes.Clone(k)), true
}

// header reads a part's age header.
func (o *Opened) header(ctx context.Context, name string) ([]byte, error) {
	r, err := o.place.Open(ctx, o.folder+name, 0, maxHeader)
	if err != nil {
		return nil, missing(o.Manifest.ID, name, err)
	}
	defer r.Close()
	src := &endReader{r: r}
	h, err := age.ExtractHeader(src)
	switch {
	case err != nil && src.err != nil && src.err != io.EOF:
		return nil, src.err // the place failed
	case err != nil:
		return nil, damaged(o.label(name), "it does not begin as an age file does", err)
	}
	return h, nil
}

// headers reads the age header of every part.
func (o *Opened) headers(ctx context.Context) ([]headerDoc, error) {
	var out []headerDoc
	for _, p := range o.Manifest.Parts {
		h, err := o.header(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, headerDoc{p.Name, string(h)})
	}
	return out, nil
}

// Try tells by the header of the contents part alone which identity opens
// the archive; it reads some hundred bytes.
func (o *Opened) Try(ctx context.Context, keys *Keys) (name string, err error) {
	ids, err := keys.forPart(o.Manifest.ID, ContentsPart)
	if err != nil {
		return "", err
	}
	h, err := o.header(ctx, ContentsPart)
	if err != nil {
		return "", err
	}
	key, name, err := openHeader(o.label(ContentsPart), h, ids)
	clear(key)
	if err != nil {
		return "", o.noMatch(ctx, ContentsPart, keys, err)
	}
	return name, nil
}

// Unlock gives what opens this archive alone.
func (o *Opened) Unlock(ctx context.Context, keys *Keys) (*Unlocked, error) {
	parts, err := o.headers(ctx)
	if err != nil {
		return nil, err
	}
	doc := unlockedDoc{VaultID: o.Manifest.Vault, ID: o.Manifest.ID, Keys: map[string][]byte{}}
	for _, p := range parts {
		ids, err := keys.forPart(o.Manifest.ID, p.Name)
		if err != nil {
			return nil, err
		}
		key, name, err := openHeader(o.label(p.Name), []byte(p.Header), ids)
		if err != nil {
			return nil, o.noMatch(ctx, p.Name, keys, err)
		}
		doc.Keys[p.Name], doc.Names = key, name
	}
	return &Unlocked{doc}, nil
}

// openHeader gives the file key in a header, and the name of the identity
// that opened it.
func openHeader(label string, header []byte, ids []namedIdentity) ([]byte, string, error) {
	var none *age.NoIdentityMatchError
	var failed error
	for _, id := range ids {
		key, err := age.DecryptHeader(header, id.Identity)
		if err == nil {
			return key, id.name, nil
		}
		if failed == nil || !errors.As(err, &none) {
			failed = err
		}
	}
	if failed == nil {
		return nil, "", noIdentity()
	}
	return nil, "", opening(label, failed)
}

// UnlockRequest asks somebody else, who holds an identity, to open one
// archive. The identity that its answer is sealed to exists in this
// process's memory only.
type UnlockRequest struct {
	Text string // one line, public
	ID   string // of the archive
	once *OneTime
}

// NewRequest makes a request for this archive. vault and host are names for
// the person who is asked.
func (o *Opened) NewRequest(ctx context.Context, vault, host string) (*UnlockRequest, error) {
	m := o.Manifest
	parts, err := o.headers(ctx)
	if err != nil {
		return nil, err
	}
	// What crosses the terminal is sealed as well as the archive is.
	to := &Recipients{}
	for _, r := range m.Recipients {
		to.pq = to.pq || r.Kind == KindPQ
	}
	once, err := NewOneTime(to)
	if err != nil {
		return nil, err
	}
	text, err := encodeText(requestPrefix, requestDoc{Vault: vault, VaultID: m.Vault, ID: m.ID, Database: m.Database,
		Started: m.Started, Host: host, To: fmt.Sprint(once.recipient), Parts: parts})
	return &UnlockRequest{Text: text, ID: m.ID, once: once}, err
}

// Open opens the answer to this request.
func (r *UnlockRequest) Open(answer string) (*Unlocked, error) {
	sealed, err := unpackText(answerPrefix, answer)
	if err != nil {
		return nil, err
	}
	plain, err := openFile(sealed, r.once.identity)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, otherRequest()
	}
	var src []byte
	if err == nil {
		src, err = io.ReadAll(io.LimitReader(plain, maxText))
	}
	defer clear(src)
	var u Unlocked
	if err == nil {
		err = decodeStrict(src, &u.doc)
	}
	if err != nil {
		return nil, badText("the answer cannot be opened", "it is whole, but what it holds is not an answer", "make a new request and answer that")
	}
	if err := u.check(); err != nil {
		return nil, err
	}
	if u.doc.ID != r.ID {
		return nil, otherArchive(u.doc.ID, r.ID)
	}
	return &u, nil
}

// ErrOtherRequest marks an answer that was sealed to another request;
// errors.Is finds it.
var ErrOtherRequest = errors.New("sealed to another request")

// NoRequest is the error for an answer to none of the requests that are
// known: what is wrong with the text, or that its request is gone.
func NoRequest(answer string) error {
	if _, err := unpackText(answerPrefix, answer); err != nil {
		return err
	}
	return otherRequest()
}

func otherRequest() *fault.Error {
	f := badText("the answer belongs to another request",
		"each request has a key of its own in the memory of the process that made it; this answer was sealed to another",
		"copy the request that is shown now, run pgvault unlock with it, and paste that answer")
	f.Err = ErrOtherRequest
	return f
}

func otherArchive(got, want string) *fault.Error {
	return badText("the answer opens another archive", "it opens "+got+" and nothing else; this is "+want, "ask for "+want+" again, or choose "+got)
}

// badText is an error of a text of the three.
func badText(what, why, do string) *fault.Error {
	return &fault.Error{Op: "unlock", What: what, Why: why, Left: "nothing was opened or written", Do: do, Code: fault.NoKey}
}
