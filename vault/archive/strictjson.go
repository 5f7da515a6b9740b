package archive

import "encoding/json"

// decodeStrict reads exactly one JSON object into v: a key that appears
// twice, nesting deeper than maxDepth and anything behind the object are
// errors, after which v is not to be used. Keys that v does not know are
// passed over, so that a later pgvault may add some; a change of meaning
// raises the format number.
func decodeStrict(src []byte, v any) error {
	if err := json.Unmarshal(src, v); err != nil {
		return err
	}
	return checkKeys(src)
}

const maxDepth = 32
