package archive

import (
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// The objects of an archive. A part is an object named in its manifest.
const (
	MainPart      = "main.dump.zst.age"
	GlobalsPart   = "globals.sql.zst.age"
	ContentsPart  = "contents.json.zst.age"
	ManifestName  = "manifest.json"
	SignatureName = "manifest.json.sig"
	VaultName     = "vault.json"
	PinName       = "pin.json"
	DeletedName   = "deleted.json"
	ExpiresName   = "expires.json"
)

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$`)

// NewID makes an archive id, sortable by time: 20261122T213000Z-7f3a.
func NewID(now time.Time, random io.Reader) (string, error) {
	var b [2]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:]), nil
}

// ValidID tells whether s has the form of an archive id.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// EncodeName turns a database's name into one folder name: bytes outside
// [A-Za-z0-9_-] become %XX.
func EncodeName(database string) string {
	var b strings.Builder
	for i := 0; i < len(database); i++ {
		c := database[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// DecodeName is the inverse of EncodeName; a folder that EncodeName cannot
// have made is an error.
func DecodeName(folder string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(folder); i++ {
		if folder[i] != '%' {
			b.WriteByte(folder[i])
			continue
		}
		if i+2 >= len(folder) {
			return "", fmt.Errorf("folder name %q ends inside an escape", folder)
		}
		c, err := hex.DecodeString(folder[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("folder name %q has a bad escape", folder)
		}
		b.WriteByte(c[0])
		i += 2
	}
	if name := b.String(); name != "" && EncodeName(name) == folder {
		return name, nil
	}
	return "", fmt.Errorf("folder name %q is not an encoded database name", folder)
}

// Folder is where an archive's objects lie: vault/database/id/.
func Folder(vault, database, id string) string {
	return vault + "/" + EncodeName(database) + "/" + id + "/"
}

// proofPattern: proof-<utc>-<random>.json beside its signature; told- instead
// where the proof was brought from another place.
var proofPattern = regexp.MustCompile(`^(?:proof|told)-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}\.json$`)

const (
	proofPrefix = "proof-"
	toldPrefix  = "told-"
)

// IsProof tells whether an object of an archive's folder is a proof.
func IsProof(name string) bool {
	return (strings.HasPrefix(name, proofPrefix) || IsTold(name)) && proofPattern.MatchString(name) // most objects are none
}

// IsTold tells whether a proof, by its name in the archive's folder, was
// brought here from another place: it speaks of the archive, and never of
// the bytes that it lies beside.
func IsTold(name string) bool { return strings.HasPrefix(name, toldPrefix) }

// ToldName is the name that a proof has in the places that it is brought to.
func ToldName(proof string) string {
	if rest, ok := strings.CutPrefix(proof, proofPrefix); ok {
		return toldPrefix + rest
	}
	return proof
}

// HomeName is the name that a proof has beside the copy that was read for it.
func HomeName(proof string) string {
	if rest, ok := strings.CutPrefix(proof, toldPrefix); ok {
		return proofPrefix + rest
	}
	return proof
}
