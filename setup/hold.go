package setup

import (
	"crypto/subtle"
	"io"
	"strings"

	"pgvault/vault/archive"
)

// Hold is the question whether a person really holds an identity that opens
// what the recipients seal: four words, readable to that identity only.
type Hold struct {
	// Sealed is the armored text to take to the key: `age -d -i KEY` there
	// prints the words.
	Sealed string
	words  string
}

// holdWords is how many words there are; with 256 to choose from, a guess hits
// once in four thousand million.
const holdWords = 4

// NewHold seals four random words to the recipients.
func NewHold(r *Recipients, random io.Reader) (*Hold, error) {
	pick := make([]byte, holdWords)
	if _, err := io.ReadFull(random, pick); err != nil {
		return nil, err
	}
	chosen := make([]string, holdWords)
	for i, b := range pick {
		chosen[i] = wordList[b]
	}
	h := &Hold{words: strings.Join(chosen, " ")}
	var err error
	h.Sealed, err = archive.SealText(r.Parsed, h.words+"\n")
	return h, err
}

// Answer tells whether these are the four words, whatever their case and the
// spaces between them.
func (h *Hold) Answer(words string) bool {
	given := strings.Join(strings.Fields(strings.ToLower(words)), " ")
	return subtle.ConstantTimeCompare([]byte(given), []byte(h.words)) == 1
}

// TryFile opens the question with an identity file that is reachable from
// here, and gives the name of the identity. An error with the code NoKey: it is
// none of the recipients'. The identity is forgotten afterwards.
func (h *Hold) TryFile(path string, passphrase func(prompt string) (string, error)) (string, error) {
	keys, err := archive.LoadKeys([]string{expandHome(path)}, passphrase)
	if err != nil {
		return "", err
	}
	return h.try(keys)
}

// TryText is TryFile with the identity itself.
func (h *Hold) TryText(text string, passphrase func(prompt string) (string, error)) (string, error) {
	keys, err := archive.Load(archive.Source{Texts: []string{text}, Passphrase: passphrase})
	if err != nil {
		return "", err
	}
	return h.try(keys)
}

func (h *Hold) try(keys *archive.Keys) (string, error) {
	if _, err := archive.OpenText(keys, h.Sealed); err != nil {
		return "", err
	}
	return keys.Names(), nil
}
