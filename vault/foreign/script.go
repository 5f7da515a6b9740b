package foreign

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// Name is a table's name as the server knows it, without quotes.
type Name struct{ Schema, Table string }

// Rows is what the original holds of one table, as docs/FORMAT.md counts and
// digests them.
type Rows struct {
	Rows, Bytes int64
	SHA256      string // hex; empty: they are not comparable, Why says why
	Why         string
}

// Extension is one that the dump makes.
type Extension struct{ Name, Schema string }

// Command is a command for psql itself.
type Command struct {
	Line int64
	Text string // its first 200 bytes, as they are
}

// Script is what a script for psql holds.
type Script struct {
	Server, Dump string    // versions, as pg_dump's header names them
	Started      time.Time // from a header of pg_dump --verbose
	Encoding     string    // of SET client_encoding; empty: not said
	Database     string    // of \connect
	Made         Database  // what CREATE DATABASE says
	Cluster      bool      // it is of pg_dumpall, or connects more than once
	Tables       map[Name]Rows
	Roles        []string // that own something or are granted something, sorted
	Extensions   []Extension
	Commands     []Command // other ones than pg_dump writes; at most 20
	Inserts      int64     // statements
	LargeObjects int64
	Lines        int64
	Bytes        int64
	Cut          string // how the script ends too early, empty when it does not

	connect int64 // the line of \connect, 0: none
	makes   bool  // CREATE DATABASE comes before it
	started bool  // it begins as pg_dump's output
	whole   bool  // and ends so
}

// Filter says what is left out when a script is passed on. A line that is
// left out becomes an empty one, so that the server's line numbers are those
// of the original.
type Filter struct {
	Script    *Script // what an earlier reading found, nil: nothing
	OldServer bool    // the server does not know transaction_timeout
}

// chunk is how much of a line is looked at at once, and carry how much is
// kept for the next look: longer than any token whose beginning decides.
const (
	chunk = 1 << 20
	carry = 256
)

// scriptReader reads one script.
type scriptReader struct {
	lexer
	s    *Script
	in   *bufio.Reader
	out  io.Writer
	f    Filter
	copy *copyRows // nil outside of COPY data
	rest []byte    // end of the last piece of a long line
}

type copyRows struct {
	name Name
	odd  string
	hash hash.Hash
	rows Rows
}

// ReadScript reads a script to its end. out, which may be nil, gets it
// without what the filter leaves out. Memory is bounded whatever the script
// holds. An error is one of r or out; what is wrong with the script is in it.
func ReadScript(r io.Reader, out io.Writer, f Filter) (*Script, error) {
	s := &Script{Tables: map[Name]Rows{}}
	p := &scriptReader{s: s, in: bufio.NewReaderSize(r, chunk), out: out, f: f}
	p.lexer.init(p)
	begins := true
	for {
		piece, err := p.in.ReadSlice('\n')
		if len(piece) > 0 {
			if begins {
				s.Lines++
			}
			s.Bytes += int64(len(piece))
			if werr := p.piece(piece, begins); werr != nil {
				return s, werr
			}
			begins = piece[len(piece)-1] == '\n'
		}
		if err == io.EOF {
			p.end()
			return s, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return s, err
		}
	}
}

// piece takes a line, or a part of a long one.
func (p *scriptReader) piece(b []byte, begins bool) error {
	if p.copy != nil {
		if begins && isEnd(b) {
			p.endCopy()
		} else {
			p.copy.hash.Write(b)
			p.copy.rows.Bytes += int64(len(b))
			if b[len(b)-1] == '\n' {
				p.copy.rows.Rows++
			}
		}
		return p.pass(b, true)
	}
	keep := !begins || !p.dropped(b)
	if err := p.pass(b, keep && !p.f.Script.before(p.s.Lines)); err != nil || !keep {
		return err
	}
	if p.s.Lines == 1 && begins {
		b = bytes.TrimPrefix(b, []byte("\ufeff"))
	}
	if len(p.rest) > 0 {
		b = append(p.rest, b...)
	}
	whole := b[len(b)-1] == '\n'
	n := len(b)
	if !whole {
		n = max(0, n-carry)
	}
	n = p.lex(b, n)
	p.rest = append([]byte(nil), b[n:]...)
	if p.pending != nil && whole { // the rows begin on the next line
		p.copy, p.pending = p.pending, nil
	}
	return nil
}

// before tells whether a line stands before the \connect of a script that
// makes its database: it is made already, under settings of its own.
func (s *Script) before(line int64) bool { return s != nil && s.makes && line < s.connect }

func isEnd(b []byte) bool { return string(bytes.TrimRight(b, "\r\n")) == `\.` }

func (p *scriptReader) pass(b []byte, keep bool) error {
	if p.out == nil {
		return nil
	}
	if !keep {
		b = []byte("\n")
	}
	_, err := p.out.Write(b)
	return err
}

// dropped notes a line that is a statement or command of its own and is not
// passed on, and tells so.
func (p *scriptReader) dropped(b []byte) bool {
	if !p.outside() {
		return false
	}
	line := strings.TrimRight(string(b[:min(len(b), 2048)]), "\r\n ")
	if rest, ok := strings.CutPrefix(line, "--"); ok {
		p.comment(strings.TrimSpace(rest))
		return false
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case `\restrict`, `\unrestrict`:
		return plain(rest)
	case `\connect`, `\c`:
		if name, ok := connects(rest); ok {
			p.s.Cluster = p.s.Cluster || p.s.connect > 0
			p.s.Database, p.s.connect, p.s.makes = name, p.s.Lines, p.s.makes || p.sawCreate
			return true
		}
	}
	switch {
	case strings.HasPrefix(line, "SET default_tablespace = "):
		return strings.HasSuffix(line, ";") && strings.Count(line, ";") == 1
	case p.f.OldServer && line == "SET transaction_timeout = 0;":
		return true
	}
	return false
}

// plain tells an argument without anything that psql would look into.
func plain(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// connects reads the argument of pg_dump's \connect.
func connects(arg string) (string, bool) {
	if rest, ok := strings.CutPrefix(arg, "-reuse-previous=on "); ok {
		rest, ok = strings.CutPrefix(strings.Trim(rest, `"`), "dbname='")
		name, ok2 := strings.CutSuffix(rest, "'")
		return strings.NewReplacer(`\'`, `'`, `\\`, `\`, `""`, `"`).Replace(name), ok && ok2 && !strings.ContainsAny(name, "`")
	}
	if strings.HasPrefix(arg, `"`) && strings.HasSuffix(arg, `"`) && len(arg) > 2 {
		return strings.ReplaceAll(arg[1:len(arg)-1], `""`, `"`), true
	}
	return arg, arg != "" && !strings.ContainsAny(arg, " `'\"\\:|")
}

// comment reads what pg_dump writes of itself.
func (p *scriptReader) comment(text string) {
	s := p.s
	switch {
	case strings.HasPrefix(text, "PostgreSQL database cluster dump"):
		s.Cluster = true
	case text == "PostgreSQL database dump":
		s.started = true
	case text == "PostgreSQL database dump complete":
		s.whole = true
	case strings.HasPrefix(text, "Dumped from database version "):
		s.Server = version(text[len("Dumped from database version "):])
	case strings.HasPrefix(text, "Dumped by pg_dump version "):
		s.Dump = version(text[len("Dumped by pg_dump version "):])
	case strings.HasPrefix(text, "Started on ") && s.Started.IsZero():
		s.Started, _ = time.Parse("2006-01-02 15:04:05 MST", text[len("Started on "):])
	}
}

// version is the number at the beginning: "15.4" of "15.4 (Debian 15.4-1)".
func version(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if len(word) > 20 {
		return ""
	}
	return word
}

func (p *scriptReader) endCopy() {
	c := p.copy
	p.copy = nil
	c.rows.SHA256 = hex.EncodeToString(c.hash.Sum(nil))
	if _, twice := p.s.Tables[c.name]; twice {
		c.odd = "its rows come in several pieces"
	}
	if c.odd != "" {
		c.rows.SHA256, c.rows.Why = "", c.odd
	}
	p.s.Tables[c.name] = c.rows
}

// end says what is missing at the script's end.
func (p *scriptReader) end() {
	if len(p.rest) > 0 {
		p.lex(p.rest, len(p.rest))
	}
	s := p.s
	switch {
	case p.copy != nil || p.pending != nil:
		c := p.copy
		if c == nil {
			c = p.pending
		}
		s.Cut = fmt.Sprintf("it ends within the rows of %s.%s, after line %d", c.name.Schema, c.name.Table, s.Lines)
	case p.mode != inText || len(bytes.TrimSpace(p.stmt)) > 0:
		s.Cut = fmt.Sprintf("it ends within a statement, after line %d", s.Lines)
	case s.started && !s.whole:
		s.Cut = "pg_dump's last line is not there"
	}
	s.Roles = p.roleNames()
}

func newCopy(name Name, odd string) *copyRows {
	return &copyRows{name: name, odd: odd, hash: sha256.New()}
}
