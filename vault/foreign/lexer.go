package foreign

import (
	"bytes"
	"strings"
)

// The modes of the lexer.
const (
	inText = iota
	inLine // a comment to the end of the line
	inBlock
	inQuote
	inIdent
	inDollar
)

// maxStatement is how much of a statement is kept to look at; what matters
// stands at its beginning, or it is short.
const maxStatement = 64 << 10

// lexer divides a script into statements as psql does (psqlscan.l): it must
// know where a quote ends to know what is a command and what are rows.
type lexer struct {
	p       *scriptReader
	mode    int
	depth   int    // of block comments
	parens  int    // of round brackets
	tag     string // of a dollar quote, with both dollars
	escapes bool   // a backslash escapes within this quote
	lax     bool   // standard_conforming_strings is off
	last    byte   // the byte before, in the text
	stmt    []byte

	path      string // the first schema of search_path
	pending   *copyRows
	sawCreate bool // CREATE DATABASE
	roles     map[string]bool
}

func (l *lexer) init(p *scriptReader) {
	l.p, l.path, l.roles = p, "public", map[string]bool{}
}

// outside tells whether a new statement could begin here.
func (l *lexer) outside() bool {
	return l.mode == inText && len(bytes.TrimSpace(l.stmt)) == 0 && len(l.p.rest) == 0
}

func (l *lexer) keep(b ...byte) {
	if len(l.stmt)+len(b) <= maxStatement {
		l.stmt = append(l.stmt, b...)
	}
	l.last = b[len(b)-1]
}

// lex goes over the first n bytes of b and gives how many it took: a token
// that begins there may end behind.
func (l *lexer) lex(b []byte, n int) int {
	i := 0
	for i < n {
		if l.mode == inText {
			i += l.text(b[i:])
		} else {
			i += l.within(b[i:])
		}
	}
	return i
}

// within reads on in a quote or comment, and gives how many bytes it took.
func (l *lexer) within(b []byte) int {
	c, next := b[0], byte(0)
	if len(b) > 1 {
		next = b[1]
	}
	switch l.mode {
	case inLine:
		n := bytes.IndexByte(b, '\n')
		if n < 0 {
			return len(b)
		}
		l.mode = inText
		return n + 1
	case inBlock:
		switch {
		case c == '*' && next == '/':
			if l.depth--; l.depth == 0 {
				l.mode = inText
			}
			return 2
		case c == '/' && next == '*':
			l.depth++
			return 2
		}
		return 1
	case inDollar:
		if c == '$' && bytes.HasPrefix(b, []byte(l.tag)) {
			l.mode = inText
			l.keep([]byte(l.tag)...)
			return len(l.tag)
		}
	case inQuote:
		if l.escapes && c == '\\' && len(b) > 1 {
			l.keep(c, next)
			return 2
		}
		if c == '\'' {
			l.mode = inText
		}
	case inIdent:
		if c == '"' {
			l.mode = inText
		}
	}
	l.keep(c)
	return 1
}

// text reads on outside of quotes.
func (l *lexer) text(b []byte) int {
	c, next := b[0], byte(0)
	if len(b) > 1 {
		next = b[1]
	}
	switch {
	case c == '-' && next == '-':
		l.mode = inLine
		return 2
	case c == '/' && next == '*':
		l.mode, l.depth = inBlock, 1
		l.keep(' ')
		return 2
	case c == '\\':
		return l.command(b)
	case c == '$' && !identByte(l.last):
		if tag := dollarTag(b); tag != "" {
			l.mode, l.tag = inDollar, tag
			l.keep([]byte(tag)...)
			return len(tag)
		}
	case c == '\'':
		l.mode = inQuote
		l.escapes = l.lax || (l.last == 'E' || l.last == 'e') && (len(l.stmt) < 2 || !identByte(l.stmt[len(l.stmt)-2]))
	case c == '"':
		l.mode = inIdent
	case c == '(':
		l.parens++
	case c == ')':
		l.parens = max(0, l.parens-1)
	case c == ';' && l.parens == 0:
		l.statement(string(l.stmt))
		l.stmt, l.last = l.stmt[:0], 0
		return 1
	}
	l.keep(c)
	return 1
}

func identByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// dollarTag gives the opening of a dollar quote, "" if it is none. A tag has
// at most 63 bytes, as an identifier.
func dollarTag(b []byte) string {
	for i := 1; i < len(b) && i < 66; i++ {
		switch c := b[i]; {
		case c == '$':
			return string(b[:i+1])
		case !identByte(c), i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}

// command notes a command for psql. It takes the rest of the line.
func (l *lexer) command(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		n = len(b)
		l.mode = inLine
	}
	if s := l.p.s; len(s.Commands) < 20 {
		s.Commands = append(s.Commands, Command{s.Lines, strings.TrimSpace(string(b[:min(n, 200)]))})
	}
	return n
}
