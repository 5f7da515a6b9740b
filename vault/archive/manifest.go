package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"pgvault/fault"
)

// Format is the version of the format that this package writes and reads.
const Format = 1

// Bounds of what a reader believes. A manifest is small; sizes are far
// below 2^63 so that sums cannot overflow.
const (
	MaxManifest = 1 << 20
	maxParts    = 1000
	maxSize     = 1 << 50 // 1 PiB
	maxTOC      = 2 << 30
)

// Manifest is the public description of an archive: no table names, no row
// digests. It is written last, with a detached signature beside it.
type Manifest struct {
	Format      int         `json:"format"`
	Vault       string      `json:"vault_id"`
	ID          string      `json:"id"`
	Database    string      `json:"database"`
	Sequence    int64       `json:"sequence"` // 1, 2, … per database
	Previous    string      `json:"previous"` // SHA-256 of the manifest before, hex; empty for the first
	Server      string      `json:"server_version"`
	DumpVersion string      `json:"pg_dump_version"`
	Pgvault     string      `json:"pgvault_version"`
	Started     time.Time   `json:"started"`
	Finished    time.Time   `json:"finished"`
	Scope       string      `json:"scope"` // whole, or partial: rows were left out on purpose
	Tables      int         `json:"tables"`
	Rows        int64       `json:"rows"`
	Bytes       int64       `json:"bytes"` // length of the uncompressed dump
	Warnings    int         `json:"warnings"`
	Tags        []string    `json:"tags"`
	Imported    *Imported   `json:"imported,omitempty"` // nil: a backup
	Resealed    *Resealed   `json:"resealed,omitempty"` // of an archive made from another one's bytes for other recipients
	Recipients  []Recipient `json:"recipients"`
	Parts       []Part      `json:"parts"`
}

// Imported marks an archive that was made of a dump from elsewhere. Started
// and Finished are then the date of that dump.
type Imported struct {
	At   time.Time `json:"at"`   // when it was taken in
	Mark string    `json:"mark"` // ImportMark of the original, hex
}

// ImportMark tells an original among those of a vault, without telling what
// is in it to whoever does not hold it: the SHA-256 of a text with the vault's
// id and the original's SHA-256, hex.
func ImportMark(vaultID, sha256hex string) string {
	sum := sha256.Sum256([]byte("pgvault-imported@v1\n" + vaultID + "\n" + sha256hex + "\n"))
	return hex.EncodeToString(sum[:])
}

// Part is one object of an archive as its manifest names it.
type Part struct {
	SHA256 string `json:"sha256"` // of the stored bytes, hex
	Size   int64  `json:"size"`   // of the stored bytes
	Name   string `json:"name"`
}

// Recipient is who can open an archive, by public facts only.
type Recipient struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`        // X25519, SSH, post-quantum, plugin, one-time
	Fingerprint string `json:"fingerprint"` // SHA256:… of the recipient's text, base64 without padding
}

// Part finds a part by its name.
func (m *Manifest) Part(name string) (Part, bool) {
	for _, p := range m.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// Stored is the size of all parts together, in bytes.
func (m *Manifest) Stored() int64 {
	var n int64
	for _, p := range m.Parts {
		n += p.Size
	}
	return n
}

// Encode writes the manifest as indented JSON with one part a line, so that
// sed can turn it into input for sha256sum -c.
func (m *Manifest) Encode() ([]byte, error) {
	outer := *m
	outer.Parts = nil
	src, err := json.MarshalIndent(outer, "", "  ")
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, p := range m.Parts {
		line, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		lines = append(lines, "    "+string(line))
	}
	parts := "\"parts\": [\n" + strings.Join(lines, ",\n") + "\n  ]"
	src = bytes.Replace(src, []byte(`"parts": null`), []byte(parts), 1)
	return append(src, '\n'), nil
}

// Digest is the SHA-256 of a manifest's bytes, hex: what the next manifest
// of the database names as Previous.
func Digest(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:])
}

// ErrNewer marks a manifest of a format that is newer than this one: what
// cannot be read is then not damaged. errors.Is finds it.
var ErrNewer = errors.New("of a newer format")

// ParseManifest reads a manifest's bytes strictly. It does not look at the
// signature: see Open for the way in.
func ParseManifest(src []byte) (*Manifest, error) {
	if len(src) > MaxManifest {
		return nil, badManifest("it is larger than 1 MiB")
	}
	var m Manifest
	err := decodeStrict(src, &m)
	if err != nil || m.Format != Format { // another format may have other types: that is what to say first
		var probe struct {
			Format int `json:"format"`
		}
		if perr := json.Unmarshal(src, &probe); perr != nil {
			return nil, badManifest(perr.Error())
		}
		if probe.Format != Format {
			e := badManifest(fmt.Sprintf("its format is %d, this pgvault reads %d", probe.Format, Format))
			e.Do = "use the pgvault that wrote it, or a newer one"
			if probe.Format > Format {
				e.Err = ErrNewer
			}
			return nil, e
		}
	}
	if err != nil {
		return nil, badManifest(err.Error())
	}
	if err := m.check(); err != nil {
		return nil, badManifest(err.Error())
	}
	return &m, nil
}

func (m *Manifest) check() error {
	if !ValidID(m.ID) {
		return fmt.Errorf("%q is not an archive id", m.ID)
	}
	if m.Database == "" || len(m.Database) > 63*4 || strings.ContainsRune(m.Database, 0) || !utf8.ValidString(m.Database) {
		return fmt.Errorf("the database's name is empty, too long or not UTF-8")
	}
	if m.Scope != "whole" && m.Scope != "partial" {
		return fmt.Errorf("unknown scope %q", m.Scope)
	}
	if m.Imported != nil && !isDigest(m.Imported.Mark) {
		return fmt.Errorf("imported.mark is not a SHA-256")
	}
	if m.Previous != "" && !isDigest(m.Previous) {
		return fmt.Errorf("previous is not a SHA-256")
	}
	for name, n := range map[string]int64{"sequence": m.Sequence, "tables": int64(m.Tables), "rows": m.Rows, "bytes": m.Bytes, "warnings": int64(m.Warnings)} {
		if n < 0 || n > maxSize {
			return fmt.Errorf("%s is %d, which cannot be", name, n)
		}
	}
	if m.Sequence == 0 || len(m.Parts) == 0 || len(m.Parts) > maxParts {
		return fmt.Errorf("no sequence number, or an absurd number of parts (%d)", len(m.Parts))
	}
	if err := m.Resealed.check(m.ID); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range m.Parts {
		if !validPart(p.Name) || seen[p.Name] {
			return fmt.Errorf("%q cannot be the name of a part", p.Name)
		}
		seen[p.Name] = true
		if p.Size <= 0 || p.Size > maxSize || !isDigest(p.SHA256) {
			return fmt.Errorf("part %s: size %d or SHA-256 cannot be", p.Name, p.Size)
		}
	}
	for _, need := range []string{MainPart, ContentsPart} {
		if !seen[need] {
			return fmt.Errorf("part %s is not named", need)
		}
	}
	return nil
}

// validPart accepts the part names of this format only, which leaves no
// room for a path.
func validPart(name string) bool {
	return name == MainPart || name == GlobalsPart || name == ContentsPart
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && strings.ToLower(s) == s
}

func badManifest(why string) *fault.Error {
	return &fault.Error{
		Op:   "read manifest",
		What: ManifestName + " cannot be trusted",
		Why:  why,
		Left: "nothing of this archive was used",
		Do:   "take another copy or another archive; keep this one for a closer look",
		Code: fault.Differs,
	}
}
