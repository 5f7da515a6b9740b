package archive

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// maxText bounds a text of an unlocking, unpacked, in bytes.
const maxText = 4 << 20

// checkLen is how many bytes of SHA-256 are the checksum of a text.
const checkLen = 6

// encodeText gives doc as one line: prefix, then deflated JSON as packText
// writes it.
func encodeText(prefix string, doc any) (string, error) {
	src, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	defer clear(src)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	defer clear(out.Bytes())
	return packText(prefix, out.Bytes()), err
}

// packText gives prefix and then base64url (without padding) of src followed
// by its checksum: the first checkLen bytes of the SHA-256 of prefix and src.
func packText(prefix string, src []byte) string {
	whole := append(bytes.Clone(src), checkOf(prefix, src)...)
	defer clear(whole)
	return prefix + base64.RawURLEncoding.EncodeToString(whole)
}

func checkOf(prefix string, deflated []byte) []byte {
	sum := sha256.Sum256(append([]byte(prefix), deflated...))
	return sum[:checkLen]
}

// unpackText is the inverse of packText; spaces and line breaks within the
// text do not matter. Nothing of the text is in its errors: it may be a
// secret that was pasted by mistake.
func unpackText(prefix, text string) ([]byte, error) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	body, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, wrongText(prefix, text)
	}
	src, err := base64.RawURLEncoding.Strict().DecodeString(body)
	n := len(src) - checkLen
	if err != nil || n < 1 || !bytes.Equal(checkOf(prefix, src[:n]), src[n:]) {
		return nil, badText(nameOf(prefix)+" is cut or was altered", fmt.Sprintf("its checksum does not fit; %d characters arrived", len(text)),
			"copy it again, whole: one line from "+prefix+" to its end")
	}
	return src[:n], nil
}

// decodeText is the inverse of encodeText.
func decodeText(prefix, text string, doc any) error {
	src, err := unpackText(prefix, text)
	defer clear(src)
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(src)), maxText+1))
	defer clear(plain)
	if err == nil && len(plain) > maxText {
		err = errors.New("larger than any that this pgvault makes")
	}
	if err == nil {
		err = decodeStrict(plain, doc)
	}
	if err != nil {
		return badText(nameOf(prefix)+" cannot be understood", "its checksum fits, but not what it holds", "use the same version of pgvault on both sides")
	}
	return nil
}

func nameOf(prefix string) string {
	switch prefix {
	case requestPrefix:
		return "the request"
	case answerPrefix:
		return "the answer"
	}
	return "what should open an archive"
}

// wrongText says what a text without the right prefix is, as far as that can
// be told.
func wrongText(prefix, text string) error {
	what, why, do := nameOf(prefix)+" cannot be understood", "it does not begin with "+prefix, "copy it whole, from "+prefix+" on"
	upper := strings.ToUpper(text)
	switch {
	case strings.Contains(upper, "AGE-SECRET-KEY-"), strings.Contains(upper, "-----BEGIN"), strings.Contains(upper, "AGE-PLUGIN-"):
		why, do = "this is a secret key", "keep it to yourself: it goes into a file that -i names, never here"
	case strings.HasPrefix(text, requestPrefix):
		why, do = "this is the request itself", "paste the line that pgvault unlock printed, which begins with "+answerPrefix
	case strings.HasPrefix(text, answerPrefix):
		why, do = "this is an answer", "paste the request, which begins with "+requestPrefix
	case strings.HasPrefix(text, "pgvault-unlock-"), strings.HasPrefix(text, "pgvault-key-"), strings.HasPrefix(text, "pgvault-opened-"):
		why, do = "another version of pgvault made it", "use the same version on both sides"
	}
	return badText(what, why, do)
}
