package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tokenKeys is checkKeys as json's own tokens give it, slow and plain: what
// the one written by hand is held against.
func tokenKeys(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
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
		if err := tokenKeys(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

var strictCases = []string{
	`{}`, `[]`, `"a"`, `1`, `null`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"a":{"a":1}}`, `[{"a":1},{"a":1}]`, `{"a":[{"b":1,"c":2},{"b":1}],"b":"a"}`,
	`{"\u0061":1,"a":2}`, `{"a\"b":1,"a":"\"a\":1,"}`, `{"s":1,"\u017f":2}`, `{"ß":1,"SS":2}`, `{"k":1,"\u212a":2}`, `{"":1,"":2}`,
	`{"a":"x,\"a\":{}[]","b":["a","a"],"c":{"a":"}"}}`, ` {"a" : 1 , "b" : [ ] , "A" : 2 } `,
	strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat("[", 34) + strings.Repeat("]", 34),
	strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), strings.Repeat(`{"a":`, 34) + "1" + strings.Repeat("}", 34),
	"{\"\xff\":1,\"\xfe\":2}",
}

func sameKeys(t *testing.T, src []byte) {
	t.Helper()
	if !json.Valid(src) {
		return
	}
	want := tokenKeys(json.NewDecoder(bytes.NewReader(src)), 0)
	if got := checkKeys(src); (got == nil) != (want == nil) {
		t.Errorf("%.200q: %v, tokens say %v", src, got, want)
	}
}

func TestCheckKeys(t *testing.T) {
	refused := 0
	for _, c := range strictCases {
		sameKeys(t, []byte(c))
		if checkKeys([]byte(c)) != nil {
			refused++
		}
	}
	if refused < 8 || refused == len(strictCases) {
		t.Errorf("%d of %d are refused", refused, len(strictCases))
	}
}

// TestManyKeys: vault.json is read unsigned, so that a hostile one must not
// take long.
func TestManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	start := time.Now()
	if err := checkKeys([]byte("{" + b.String()[1:] + "}")); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("100 000 keys took %v", took)
	}
	if checkKeys([]byte("{"+b.String()[1:]+`,"99999":1}`)) == nil {
		t.Error("the last key is there twice, and nothing is said")
	}
}

func FuzzCheckKeys(f *testing.F) {
	for _, c := range strictCases {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, src []byte) { sameKeys(t, src) })
}
