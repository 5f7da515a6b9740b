package sshconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// keyword splits a line into the option in lower case and the rest. Between
// them stand blanks, one equals sign, or both.
func keyword(line string) (key, rest string) {
	line = strings.Trim(line, " \t\r\f")
	if line == "" || line[0] == '#' {
		return "", ""
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), ""
	}
	rest = strings.TrimLeft(line[end:], " \t")
	if after, ok := strings.CutPrefix(rest, "="); ok {
		rest = strings.TrimLeft(after, " \t")
	}
	return strings.ToLower(line[:end]), rest
}

// split gives the words of a line: blanks part them, quotes (" and ') keep
// blanks, a backslash keeps a quote, a backslash and outside of quotes a
// blank; a word that begins with # ends the line.
func split(s string) (words []string, err error) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == '#' {
			return words, nil
		}
		var word strings.Builder
		var quote byte
		i := 0
		for ; i < len(s); i++ {
			c := s[i]
			switch {
			case c == '\\' && i+1 < len(s) && (strings.IndexByte(`"'\`, s[i+1]) >= 0 || quote == 0 && s[i+1] == ' '):
				i++
				word.WriteByte(s[i])
			case quote == 0 && (c == ' ' || c == '\t'):
				goto done
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				word.WriteByte(c)
			}
		}
	done:
		if quote != 0 {
			return nil, errors.New("a quote is not closed")
		}
		words = append(words, word.String())
		s = s[i:]
	}
}

// matchHosts judges the patterns of a Host line: one has to match, and none
// that begins with ! may.
func matchHosts(host string, patterns []string) bool {
	found := false
	for _, p := range patterns {
		not := strings.HasPrefix(p, "!")
		if glob(strings.TrimPrefix(p, "!"), host) {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}

// match judges a Match line. Criteria are taken one after the other and the
// first that fails decides.
func (r *reader) match(words []string) (bool, error) {
	if len(words) == 0 {
		return false, errors.New("without a criterion: Match")
	}
	if strings.EqualFold(words[0], "all") && len(words) == 1 {
		return true, nil
	}
	for len(words) > 0 {
		name, not := strings.CutPrefix(strings.ToLower(words[0]), "!")
		words = words[1:]
		value, err := r.criterion(name)
		if err != nil {
			return false, err
		}
		if len(words) == 0 {
			return false, fmt.Errorf("without a pattern: Match %s", name)
		}
		if matchHosts(value, strings.Split(words[0], ",")) == not {
			return false, nil
		}
		words = words[1:]
	}
	return true, nil
}

// criterion gives what a criterion of Match looks at.
func (r *reader) criterion(name string) (string, error) {
	switch name {
	case "host":
		if h := r.out.Get("HostName"); h != "" {
			return strings.ToLower(strings.ReplaceAll(h, "%h", r.host)), nil
		}
		return strings.ToLower(r.host), nil
	case "originalhost":
		return r.host, nil
	case "localuser":
		return r.src.Local, nil
	case "user":
		switch {
		case r.user != "":
			return r.user, nil
		case r.out.Get("User") != "":
			return r.out.Get("User"), nil
		}
		return r.src.Local, nil
	}
	return "", fmt.Errorf("pgvault cannot judge Match %s; write the options that this host needs before that line", name)
}

// glob matches with * and ? alone.
func glob(pattern, s string) bool {
	quoted := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, "/", "\x00").Replace(pattern)
	ok, err := path.Match(quoted, strings.ReplaceAll(s, "/", "\x00"))
	return err == nil && ok
}

func ownerOf(fi fs.FileInfo) (uid int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
