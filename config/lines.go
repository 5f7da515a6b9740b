package config

import (
	"strconv"
	"strings"
)

// pathMarks separate the elements of a path: a key follows \x00, an index
// follows \x01. Keys with such characters only miss their line.
const pathMarks = "\x00\x01"

// maxPath bounds paths. What is nested deeper has the line of what it is in.
const maxPath = 1 << 10

// sub is the path of key inside the table at path.
func sub(path, key string) string { return grow(path, "\x00"+key) }

// index is the path of element i of the array at path.
func index(path string, i int) string { return grow(path, "\x01"+strconv.Itoa(i)) }

func grow(path, more string) string {
	if len(path)+len(more) > maxPath {
		return path
	}
	return path + more
}

// lineNumbers gives the line of every value, table and array element of a
// TOML source that is known to be valid. The TOML library tells lines only in
// its own errors, and confuses those of [[tables]] with one another.
func lineNumbers(src string) map[string]int {
	s := &scanner{src: src, line: 1, lines: map[string]int{}, count: map[string]int{}}
	table := ""
	for s.space(true); s.pos < len(s.src); s.space(true) {
		start := s.pos
		if s.take("[[") {
			table = s.header(true)
			s.take("]]")
		} else if s.take("[") {
			table = s.header(false)
			s.take("]")
		} else {
			s.pair(table)
		}
		if s.pos == start {
			break // not TOML after all
		}
	}
	return s.lines
}

type scanner struct {
	src   string
	pos   int
	line  int
	lines map[string]int
	count map[string]int // elements so far of an array of tables
}

// note keeps the first line seen for a path.
func (s *scanner) note(path string) {
	if s.lines[path] == 0 {
		s.lines[path] = s.line
	}
}

func (s *scanner) take(text string) bool {
	if !strings.HasPrefix(s.src[s.pos:], text) {
		return false
	}
	s.pos += len(text)
	return true
}

// space skips blanks, and with lines also comments and line ends.
func (s *scanner) space(lines bool) {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
		case c == '\n' && lines:
			s.line++
		case c == '#' && lines:
			for s.pos+1 < len(s.src) && s.src[s.pos+1] != '\n' {
				s.pos++
			}
		default:
			return
		}
		s.pos++
	}
}

// header reads the name in [a.b] or [[a.b]] and gives the table's path.
func (s *scanner) header(array bool) string {
	path := ""
	keys := s.keys()
	for i, k := range keys {
		path = sub(path, k)
		s.note(path)
		switch n := s.count[path]; {
		case array && i == len(keys)-1:
			s.count[path] = n + 1
			path = index(path, n)
		case n > 0:
			path = index(path, n-1)
		}
		s.note(path)
	}
	return path
}

// pair reads key = value inside the table at path.
func (s *scanner) pair(path string) {
	for _, k := range s.keys() {
		path = sub(path, k)
		s.note(path)
	}
	s.space(false)
	s.take("=")
	s.space(false)
	s.value(path)
}

// keys reads a dotted key.
func (s *scanner) keys() (keys []string) {
	for {
		s.space(false)
		if s.pos < len(s.src) && (s.src[s.pos] == '"' || s.src[s.pos] == '\'') {
			keys = append(keys, s.text())
		} else {
			start := s.pos
			for s.pos < len(s.src) && !strings.ContainsRune(".=] \t\r\n", rune(s.src[s.pos])) {
				s.pos++
			}
			keys = append(keys, s.src[start:s.pos])
		}
		s.space(false)
		if !s.take(".") {
			return keys
		}
	}
}

// value passes over a value and notes what is inside it.
func (s *scanner) value(path string) {
	if s.pos >= len(s.src) {
		return
	}
	switch s.src[s.pos] {
	case '"', '\'':
		s.text()
	case '[':
		s.pos++
		for i := 0; ; i++ {
			s.space(true)
			start := s.pos
			if s.take("]") {
				return
			}
			s.note(index(path, i))
			s.value(index(path, i))
			s.space(true)
			s.take(",")
			if s.pos == start {
				return
			}
		}
	case '{':
		s.pos++
		for {
			s.space(true)
			start := s.pos
			if s.take("}") {
				return
			}
			s.pair(path)
			s.space(true)
			s.take(",")
			if s.pos == start {
				return
			}
		}
	default:
		for s.pos < len(s.src) && !strings.ContainsRune(",]}#\r\n", rune(s.src[s.pos])) {
			s.pos++
		}
	}
}

// text passes over a string of any of the four kinds and gives what it
// means; a multi-line one gives its source.
func (s *scanner) text() string {
	quote := s.src[s.pos : s.pos+1]
	if long := strings.Repeat(quote, 3); s.take(long) {
		start := s.pos
		for s.pos < len(s.src) && !strings.HasPrefix(s.src[s.pos:], long) {
			s.skip(quote == `"`)
		}
		text := s.src[start:s.pos]
		s.take(long)
		for s.take(quote) { // a text may end in one or two quotes of its own
		}
		return text
	}
	start := s.pos
	s.pos++
	for s.pos < len(s.src) && s.src[s.pos:s.pos+1] != quote {
		s.skip(quote == `"`)
	}
	s.take(quote)
	text := s.src[start:s.pos]
	if quote == `"` {
		if plain, err := strconv.Unquote(text); err == nil {
			return plain
		}
	}
	return strings.Trim(text, quote)
}

// skip passes one byte of a string, or an escape as a whole.
func (s *scanner) skip(escapes bool) {
	if escapes && s.src[s.pos] == '\\' && s.pos+1 < len(s.src) {
		s.pos++
	}
	if s.src[s.pos] == '\n' {
		s.line++
	}
	s.pos++
}
