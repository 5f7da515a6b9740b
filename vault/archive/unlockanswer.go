package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"pgvault/fault"
)

// Request is an UnlockRequest as it arrives where the identity is. What it
// says of vault, database and time is the word of the host that asks; what
// it opens is the archive whose headers are in it.
type Request struct {
	Vault, Database, ID, Host string
	Started                   time.Time
	doc                       requestDoc
	to                        age.Recipient
}

// ParseRequest reads the one line of an UnlockRequest; line breaks and spaces
// that came into it on the way do not matter.
func ParseRequest(text string) (*Request, error) {
	q := &Request{}
	if err := decodeText(requestPrefix, text, &q.doc); err != nil {
		return nil, err
	}
	d := q.doc
	q.Vault, q.Database, q.ID, q.Host, q.Started = d.Vault, d.Database, d.ID, d.Host, d.Started
	var err error
	if len(d.To) > 100 {
		q.to, err = age.ParseHybridRecipient(d.To)
	} else {
		q.to, err = age.ParseX25519Recipient(d.To)
	}
	if err != nil || !ValidID(d.ID) || len(d.Parts) == 0 {
		return nil, badText("the request cannot be understood", "it is whole, but lacks what a request holds", "make it again with the pgvault that asks")
	}
	if err := oneArchive(d.Parts); err != nil {
		return nil, err
	}
	return q, nil
}

// oneArchive refuses a request for more than the parts of one archive: a
// host that lies could else have every archive that it holds opened by one
// answer.
func oneArchive(parts []headerDoc) error {
	seen := map[string]bool{}
	for _, p := range parts {
		if seen[p.Name] || p.Name != ContentsPart && p.Name != GlobalsPart && p.Name != MainPart {
			return badText("the request asks for more than one archive", fmt.Sprintf("%d files are in it, and not each is another part of one archive", len(parts)),
				"do not answer it, and look who asks; no pgvault makes such a request")
		}
		seen[p.Name] = true
	}
	return nil
}

// Files is how many files the answer opens: the parts of the archive.
func (q *Request) Files() int { return len(q.doc.Parts) }

// Answer opens the headers with keys and gives one line that opens this
// archive only, and only in the process that asked; and the name of the
// identity that did it.
func (q *Request) Answer(keys *Keys) (text, name string, err error) {
	doc := unlockedDoc{VaultID: q.doc.VaultID, ID: q.ID, Keys: map[string][]byte{}}
	u := Unlocked{doc}
	defer u.Wipe()
	for _, p := range q.doc.Parts {
		key, name, err := openHeader("archive "+q.ID, []byte(p.Header), keys.ids)
		if err != nil {
			return "", "", unlocking(err)
		}
		u.doc.Keys[p.Name], u.doc.Names = key, name
	}
	src, err := json.Marshal(u.doc)
	if err != nil {
		return "", "", err
	}
	defer clear(src)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, q.to)
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", "", err
	}
	return packText(answerPrefix, sealed.Bytes()), u.doc.Names, nil
}

// unlocking tells a header that is no header from keys that do not fit:
// here are no other bytes of the archive that could be checked.
func unlocking(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Differs {
		return badText("the request cannot be opened", f.Why, "make it again with the pgvault that asks; if that gives the same, verify the archive there")
	}
	return err
}
