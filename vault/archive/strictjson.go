package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// decodeStrict reads exactly one JSON object into v: a key that appears
// twice, nesting deeper than maxDepth and anything behind the object are
// errors. Keys that v does not know are passed over, so that a later
// pgvault may add some; a change of meaning raises the format number.
func decodeStrict(src []byte, v any) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(src)), 0); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON object")
	}
	return nil
}

const maxDepth = 32

// checkKeys walks one JSON value. json.Unmarshal would silently take the
// last of two equal keys, and also ID for id; two readers could then see two
// manifests.
func checkKeys(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			folded := strings.ToLower(strings.ToUpper(name))
			if seen[folded] {
				return fmt.Errorf("key %.80q appears twice", name)
			}
			seen[folded] = true
		}
		if err := checkKeys(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
