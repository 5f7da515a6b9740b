package vault

// Proof is what is known of an archive, the highest rung reached.
type Proof string

// The ladder of proofs, lowest first.
const (
	ProofNone     Proof = ""
	ProofStored   Proof = "stored"   // pg_dump ended well; size and SHA-256 written
	ProofIntact   Proof = "intact"   // the stored bytes were read back and match
	ProofReadable Proof = "readable" // decrypted and parsed to the last byte
	ProofRestored Proof = "restored" // restored; every table's rows and SHA-256 equal
)

// ProofHeader is no rung: a person's key opened the headers of all parts,
// which tells of the key, and nothing of the bytes after them.
const ProofHeader Proof = "header"

// Rank orders proofs: 0 for none, 4 for restored.
func (p Proof) Rank() int {
	switch p {
	case ProofStored:
		return 1
	case ProofIntact:
		return 2
	case ProofReadable:
		return 3
	case ProofRestored:
		return 4
	}
	return 0
}
