package archive

import (
	"bytes"
	"errors"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// maxChallenge bounds the text of a challenge.
const maxChallenge = 4 << 10

// SealText encrypts a short text to the recipients, armored, so that it can be
// copied by hand to where the identities are: `age -d -i KEY` opens it there.
func SealText(r *Recipients, text string) (string, error) {
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, r.age...)
	if err != nil {
		return "", badRecipients("nothing can be sealed to the recipients", err, "correct them; a plugin must be installed on this host")
	}
	if _, err := io.WriteString(w, text); err != nil {
		return "", err
	}
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// OpenText opens what SealText gave. An identity that is none of the
// recipients' is an error with the code NoKey.
func OpenText(k *Keys, sealed string) (string, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader([]byte(sealed))), plain(k.ids)...)
	if err != nil {
		return "", opening("the text", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxChallenge))
	if err != nil {
		return "", damaged("the text", err.Error(), err)
	}
	return string(text), nil
}
