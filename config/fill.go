package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/nearest"
	"pgvault/vault/retention"
	"pgvault/vault/store/address"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	policyType   = reflect.TypeFor[retention.Policy]()
	sizeType     = reflect.TypeFor[Size]()
	rateType     = reflect.TypeFor[Rate]()
)

// maxDuration bounds durations at a hundred years.
const maxDuration = 36525 * 24 * time.Hour

// options gives the tagged fields of a struct by key.
func options(t reflect.Type) map[string]int {
	out := map[string]int{}
	for i := range t.NumField() {
		if k := t.Field(i).Tag.Get("toml"); k != "" && k != "-" {
			out[k] = i
		}
	}
	return out
}

// fillStruct sets the fields that tree names and leaves the others. Every
// key must be known, in exactly this spelling.
func (l *loader) fillStruct(dst reflect.Value, tree map[string]any, path string) {
	fields := options(dst.Type())
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		p := sub(path, key)
		if i, ok := fields[key]; ok {
			l.fill(dst.Field(i), tree[key], p)
			continue
		}
		l.at(p, "unknown key %.60q; %s", key, nearest.Hint(key, slices.Sorted(maps.Keys(fields))))
	}
}

// fill sets one value, of the types that options have.
func (l *loader) fill(dst reflect.Value, v any, path string) {
	switch {
	case dst.Type() == durationType:
		l.fillDuration(dst, v, path)
	case dst.Type() == sizeType:
		l.fillBytes(dst, v, path, `a size in quotes, such as "50GiB"`, address.ParseSize)
	case dst.Type() == rateType:
		l.fillBytes(dst, v, path, `a rate in quotes, such as "40MiB/s"`, address.ParseRate)
	case dst.Kind() == reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		l.fill(dst.Elem(), v, path)
	case dst.Kind() == reflect.Struct:
		l.fillTable(dst, v, path)
	case dst.Kind() == reflect.Slice:
		l.fillSlice(dst, v, path)
	case dst.Kind() == reflect.Bool:
		if b, ok := v.(bool); ok {
			dst.SetBool(b)
			return
		}
		l.wrongType(path, "true or false", v)
	case dst.Kind() == reflect.Int:
		l.fillInt(dst, v, path)
	case dst.Kind() == reflect.String:
		if s, ok := l.text(v, path); ok {
			dst.SetString(s)
		}
	default:
		panic("config: no option can have the type " + dst.Type().String())
	}
}

func (l *loader) fillTable(dst reflect.Value, v any, path string) {
	tree, ok := v.(map[string]any)
	if !ok {
		l.wrongType(path, "a table", v)
		return
	}
	before := len(l.problems)
	if dst.Type() == policyType {
		dst.SetZero() // a policy replaces the default one as a whole
	}
	l.fillStruct(dst, tree, path)
	if dst.Type() == policyType && len(l.problems) == before {
		if err := dst.Interface().(retention.Policy).Validate(); err != nil {
			l.at(path, "%s: %v", last(path), err)
		}
	}
}

func (l *loader) fillSlice(dst reflect.Value, v any, path string) {
	var items []any
	switch v := v.(type) {
	case []any:
		items = v
	case []map[string]any:
		for _, t := range v {
			items = append(items, t)
		}
	default:
		if dst.Type().Elem().Kind() == reflect.Struct {
			l.wrongType(path, "a list of tables, each under [["+last(path)+"]]", v)
		} else {
			l.wrongType(path, `a list of texts, such as ["a", "b"]`, v)
		}
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	for i, item := range items {
		l.fill(dst.Index(i), item, index(path, i))
	}
}

func (l *loader) fillInt(dst reflect.Value, v any, path string) {
	n, ok := v.(int64)
	switch {
	case !ok:
		l.wrongType(path, "a whole number", v)
	case n < 0 || n > retention.MaxCount:
		l.at(path, "%s = %d: it must be from 0 to %d", last(path), n, retention.MaxCount)
	default:
		dst.SetInt(n)
	}
}

func (l *loader) fillDuration(dst reflect.Value, v any, path string) {
	s, ok := v.(string)
	if !ok {
		l.wrongType(path, `a duration in quotes, such as "36h" or "7d"`, v)
		return
	}
	text, ok := l.text(s, path)
	if !ok {
		return
	}
	d, err := parseDuration(text)
	if err != nil {
		l.at(path, "%s = %.60q: %v", last(path), s, err)
		return
	}
	dst.SetInt(int64(d))
}

func (l *loader) fillBytes(dst reflect.Value, v any, path, want string, parse func(string) (int64, error)) {
	s, ok := v.(string)
	if !ok {
		l.wrongType(path, want, v)
		return
	}
	text, ok := l.text(s, path)
	if !ok {
		return
	}
	n, err := parse(text)
	if err != nil {
		l.at(path, "%s = %.60q: %v", last(path), s, err)
		return
	}
	dst.SetInt(n)
}

// text gives a string with ${…} replaced.
func (l *loader) text(v any, path string) (string, bool) {
	raw, ok := v.(string)
	if !ok {
		l.wrongType(path, "a text in quotes", v)
		return "", false
	}
	l.raw[path] = raw
	out := variable.ReplaceAllStringFunc(raw, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		name, closed := strings.CutSuffix(m[2:], "}")
		switch value, set := l.environ(name); {
		case !closed || !variableName.MatchString(name):
			l.at(path, "%s: %.60q is not of the form ${NAME} (write $${ for a plain ${)", last(path), m)
			ok = false
		case !set:
			l.at(path, "%s: the environment variable %s is not set", last(path), name)
			ok = false
		default:
			return value
		}
		return ""
	})
	if ok && strings.ContainsRune(out, 0) {
		l.at(path, "%s holds a NUL byte", last(path))
		ok = false
	}
	return out, ok
}

var (
	variable     = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// wrongType never shows the value: it may have come from a template that
// holds a secret.
func (l *loader) wrongType(path, want string, v any) {
	got := "something else"
	switch v.(type) {
	case string:
		got = "a text"
	case bool:
		got = "true or false"
	case int64:
		got = "a whole number"
	case float64:
		got = "a number with a fraction"
	case []any, []map[string]any:
		got = "a list"
	case map[string]any:
		got = "a table"
	case time.Time:
		got = "a date"
	}
	l.at(path, "%s must be %s, not %s", last(path), want, got)
}

// last is the end of a path as a person wrote it: max_age, or database 2.
func last(path string) string {
	i := strings.LastIndexAny(path, pathMarks)
	if i < 0 {
		return path
	}
	if path[i] == 0 {
		return path[i+1:]
	}
	n, err := strconv.Atoi(path[i+1:])
	if err != nil {
		return path[i+1:]
	}
	return fmt.Sprintf("%s number %d", last(path[:i]), n+1)
}

var durationPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(w|d|h|ms|m|s)`)

// parseDuration reads "1d12h": Go's units from ms to h, and d and w. It must
// be above zero and at most a hundred years.
func parseDuration(s string) (time.Duration, error) {
	units := map[string]time.Duration{
		"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second, "ms": time.Millisecond,
	}
	sum := 0.0
	for rest := s; rest != ""; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf(`not a duration such as "90m", "36h", "7d" or "2w"`)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			n = float64(maxDuration) // out of range
		}
		sum += n * float64(units[m[2]])
		rest = rest[len(m[0]):]
	}
	switch {
	case sum > float64(maxDuration):
		return 0, fmt.Errorf("more than a hundred years")
	case sum < 1:
		return 0, fmt.Errorf("it must be above zero")
	}
	return time.Duration(sum), nil
}
