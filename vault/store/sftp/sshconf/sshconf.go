// Package sshconf reads the client configuration of OpenSSH, ssh_config(5):
// what applies to one host, with Host, Match and Include.
//
// As in ssh, the first value of an option wins and IdentityFile collects all.
// A Match criterion that cannot be judged here (exec, canonical, final and
// the like) is an error that names its line wherever it would decide: nothing
// is ever passed over in silence.
package sshconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Source is where configuration comes from.
type Source struct {
	User   string // ~/.ssh/config, "" none
	System string // /etc/ssh/ssh_config, "" none
	Home   string // for ~ and for what a file of the user includes
	Local  string // name of the user on this machine
}

// Value is one setting with where it stands.
type Value struct {
	Text string
	Args []string
	File string
	Line int
	nth  int // settings are counted in the order in which they apply
}

// At gives the file and line.
func (v Value) At() string { return fmt.Sprintf("%s:%d", v.File, v.Line) }

// Settings is what applies to one host.
type Settings struct {
	values map[string][]Value
	n      int
}

// maxInclude is how deep files may include each other, as in ssh.
const maxInclude = 16

// Read gives what applies to host, as it was typed; user is the one to log in
// as when the address names one, else "".
func (s Source) Read(host, user string) (*Settings, error) {
	r := &reader{src: s, host: host, user: user, out: &Settings{values: map[string][]Value{}}}
	for _, file := range []string{s.User, s.System} {
		if file == "" {
			continue
		}
		r.system = file == s.System
		if err := r.file(file, true, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return r.out, nil
}

// Get gives the value of an option, "" when it is not set. Options are named
// in any case.
func (s *Settings) Get(option string) string {
	v, _ := s.First(option)
	return v.Text
}

// First gives the value that applies and whether there is one.
func (s *Settings) First(option string) (Value, bool) {
	all := s.values[strings.ToLower(option)]
	if len(all) == 0 {
		return Value{}, false
	}
	return all[0], true
}

// All gives every value, in order.
func (s *Settings) All(option string) []Value { return s.values[strings.ToLower(option)] }

// Proxy gives what a connection goes through: hosts to jump over or a command,
// whichever of both is set first; neither when that says none.
func (s *Settings) Proxy() (jump []string, command Value) {
	j, jumps := s.First("ProxyJump")
	c, commands := s.First("ProxyCommand")
	switch {
	case jumps && (!commands || j.nth < c.nth):
		if !strings.EqualFold(j.Text, "none") {
			jump = strings.Split(j.Text, ",")
		}
	case commands && !strings.EqualFold(c.Text, "none"):
		command = c
	}
	return jump, command
}

// reader evaluates files for one host.
type reader struct {
	src        Source
	host, user string
	system     bool
	out        *Settings
}

// file reads one; active tells whether what stands before its first Host or
// Match applies.
func (r *reader) file(name string, active bool, depth int) error {
	text, err := readTrusted(name)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(text), "\n") {
		at := Value{File: name, Line: i + 1}
		key, rest := keyword(line)
		if key == "" {
			continue
		}
		if at.Args, err = split(rest); err != nil && active {
			return fmt.Errorf("%s: %w", at.At(), err)
		}
		at.Text = strings.Join(at.Args, " ")
		switch key {
		case "host":
			active = matchHosts(r.host, at.Args)
		case "match":
			if active, err = r.match(at.Args); err != nil {
				return fmt.Errorf("%s: %w", at.At(), err)
			}
		case "include":
			if !active {
				continue
			}
			if err := r.include(at, depth); err != nil {
				return err
			}
		default:
			if key == "proxycommand" || key == "knownhostscommand" || key == "localcommand" {
				at.Text = strings.TrimSpace(rest) // ssh takes the line as it is
			}
			if active && at.Text != "" {
				at.nth = r.out.n
				r.out.n++
				r.out.values[key] = append(r.out.values[key], at)
			}
		}
	}
	return nil
}

func (r *reader) include(at Value, depth int) error {
	if depth >= maxInclude {
		return fmt.Errorf("%s: files include each other more than %d deep", at.At(), maxInclude)
	}
	for _, pattern := range at.Args {
		switch {
		case strings.HasPrefix(pattern, "~/"):
			pattern = filepath.Join(r.src.Home, pattern[2:])
		case filepath.IsAbs(pattern):
		case r.system:
			pattern = filepath.Join(filepath.Dir(r.src.System), pattern)
		default:
			pattern = filepath.Join(r.src.Home, ".ssh", pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("%s: %w", at.At(), err)
		}
		for _, f := range files {
			if err := r.file(f, true, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// readTrusted reads a file that others cannot have written: it can name a
// program that is run.
func readTrusted(name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s can be written by others (mode %04o); ssh does not read it either: chmod go-w it", name, fi.Mode().Perm())
	}
	if owner, ok := ownerOf(fi); ok && owner != 0 && owner != os.Getuid() {
		return nil, fmt.Errorf("%s belongs to another user (uid %d); ssh does not read it either", name, owner)
	}
	return os.ReadFile(name)
}
