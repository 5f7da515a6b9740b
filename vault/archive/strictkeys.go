package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// checkKeys walks one valid JSON value and refuses a key that appears twice
// in an object, also where the two differ only in case, and nesting deeper
// than maxDepth. json.Unmarshal would silently take the last of two equal
// keys, and also ID for id; two readers could then see two manifests. It is
// written by hand because a listing reads tens of thousands of objects:
// json's own tokens take ten times as long.
func checkKeys(src []byte) error {
	var stack []level
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case '{', '[':
			if len(stack) >= maxDepth {
				return fmt.Errorf("nested deeper than %d", maxDepth)
			}
			stack = append(stack, level{object: c == '{', key: c == '{'})
		case '}', ']':
			stack = stack[:len(stack)-1]
		case ',':
			top := &stack[len(stack)-1]
			top.key = top.object
		case '"':
			end := stringEnd(src, i)
			if len(stack) > 0 && stack[len(stack)-1].key {
				top := &stack[len(stack)-1]
				name, err := foldedKey(src[i:end])
				if err != nil {
					return err
				}
				if top.add(name) {
					return fmt.Errorf("key %.80q appears twice", name)
				}
				top.key = false
			}
			i = end - 1
		}
	}
	return nil
}

// level is one object or list that is open.
type level struct {
	object bool
	key    bool // the next string is a key
	few    [][]byte
	many   map[string]bool // from fewKeys on: a list of them takes too long
}

const fewKeys = 24

// add notes a key and tells whether it was there.
func (l *level) add(name []byte) bool {
	if slices.ContainsFunc(l.few, func(k []byte) bool { return bytes.Equal(k, name) }) || l.many[string(name)] {
		return true
	}
	if len(l.few) < fewKeys {
		l.few = append(l.few, name)
		return false
	}
	if l.many == nil {
		l.many = map[string]bool{}
	}
	l.many[string(name)] = true
	return false
}

// stringEnd gives the position behind the string that begins at i.
func stringEnd(src []byte, i int) int {
	for i++; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(src)
}

// foldedKey reads a key with its quotes, and makes one of all that differ
// only in case. A plain one, as all of this format are, is a piece of quoted.
func foldedKey(quoted []byte) ([]byte, error) {
	plain := true
	for _, c := range quoted[1:] {
		plain = plain && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '"')
	}
	if plain {
		return quoted[1 : len(quoted)-1], nil
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return []byte(strings.ToLower(strings.ToUpper(s))), err
}
