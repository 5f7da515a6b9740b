package foreign

import (
	"slices"
	"strings"
)

// token is a word, a name in quotes, a text, or one other byte.
type token struct {
	text string
	kind byte // w word in capitals, q name in quotes, s text, else the byte
	raw  string
}

// name is the token as the name of something.
func (t token) name() string {
	if t.kind == 'w' {
		return strings.ToLower(t.raw)
	}
	return t.text
}

func (t token) isName() bool { return t.kind == 'w' || t.kind == 'q' }

// maxTokens is how much of a statement is looked at.
const maxTokens = 4000

func tokens(s string) []token {
	var out []token
	for i := 0; i < len(s) && len(out) < maxTokens; {
		c := s[i]
		switch {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		case c == '"' || c == '\'':
			text, n := quoted(s[i:], c)
			out = append(out, token{text: text, kind: map[byte]byte{'"': 'q', '\'': 's'}[c]})
			i += n
		case identByte(c):
			n := i
			for n < len(s) && identByte(s[n]) {
				n++
			}
			out = append(out, token{text: strings.ToUpper(s[i:n]), kind: 'w', raw: s[i:n]})
			i = n
		default:
			out = append(out, token{text: string(c), kind: c})
			i++
		}
	}
	return out
}

func quoted(s string, q byte) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == q {
			if i+1 == len(s) || s[i+1] != q {
				return b.String(), i + 1
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), len(s)
}

// begins tells whether the statement begins with these words.
func begins(t []token, words ...string) bool {
	if len(t) < len(words) {
		return false
	}
	for i, w := range words {
		if t[i].kind != 'w' || t[i].text != w {
			return false
		}
	}
	return true
}

// statement notes what matters of a statement.
func (l *lexer) statement(text string) {
	t := tokens(text)
	s := l.p.s
	switch {
	case len(t) == 0:
	case begins(t, "COPY"):
		l.copyStatement(t)
	case begins(t, "SET"):
		l.set(t)
	case begins(t, "INSERT"):
		s.Inserts++
	case begins(t, "CREATE", "DATABASE"):
		l.sawCreate = true
		s.Made.read(t)
	case begins(t, "CREATE", "EXTENSION"):
		l.extension(t[2:])
	case begins(t, "SELECT"):
		l.selects(t)
	case begins(t, "GRANT"), begins(t, "REVOKE"), begins(t, "ALTER"), begins(t, "CREATE", "POLICY"), begins(t, "CREATE", "USER", "MAPPING"), begins(t, "CREATE", "SCHEMA"):
		l.rolesIn(t)
	}
}

// copyStatement begins the rows of a table.
func (l *lexer) copyStatement(t []token) {
	name, n := qualified(t[1:], l.path)
	i := 1 + n
	if i < len(t) && t[i].kind == '(' {
		for i < len(t) && t[i].kind != ')' {
			i++
		}
		i++
	}
	if n == 0 || i+1 >= len(t) || !begins(t[i:], "FROM", "STDIN") {
		return // COPY TO, or from a file or program: the server decides
	}
	odd := ""
	if len(t) > i+2 {
		odd = "its rows are not in COPY's text format"
	}
	l.pending = newCopy(name, odd)
}

// qualified reads a name with or without a schema, and gives how many tokens
// it has; 0: there is none.
func qualified(t []token, path string) (Name, int) {
	switch {
	case len(t) >= 3 && t[0].isName() && t[1].kind == '.' && t[2].isName():
		return Name{t[0].name(), t[2].name()}, 3
	case len(t) >= 1 && t[0].isName():
		return Name{path, t[0].name()}, 1
	}
	return Name{}, 0
}

func (l *lexer) set(t []token) {
	if len(t) > 1 && t[1].kind == 'w' && (t[1].text == "LOCAL" || t[1].text == "SESSION") {
		if begins(t[1:], "SESSION", "AUTHORIZATION") && len(t) > 3 {
			l.role(t[3])
			return
		}
		t = t[1:]
	}
	if len(t) < 4 || t[2].kind != '=' && !begins(t[2:], "TO") {
		return
	}
	value := t[3].text
	switch t[1].text {
	case "CLIENT_ENCODING":
		if l.p.s.Encoding == "" {
			l.p.s.Encoding = value
		}
	case "STANDARD_CONFORMING_STRINGS":
		l.lax = strings.EqualFold(value, "off")
	case "SEARCH_PATH":
		if t[3].isName() {
			l.path = t[3].name()
		}
	}
}

// selects reads what pg_dump does by functions.
func (l *lexer) selects(t []token) {
	for i := 1; i+2 < len(t) && i < 4; i++ {
		if t[i].kind != 'w' || t[i+1].kind != '(' {
			continue
		}
		switch t[i].text {
		case "SET_CONFIG":
			if t[i+2].text == "search_path" && len(t) > i+4 {
				if first, _, _ := strings.Cut(t[i+4].text, ","); first != "" {
					l.path = strings.Trim(first, `" `)
				}
			}
		case "LO_OPEN":
			l.p.s.LargeObjects++
		}
	}
}

func (l *lexer) extension(t []token) {
	if begins(t, "IF", "NOT", "EXISTS") {
		t = t[3:]
	}
	if len(t) == 0 || !t[0].isName() || len(l.p.s.Extensions) >= 1000 {
		return
	}
	e := Extension{Name: t[0].name()}
	for i := 1; i+1 < len(t); i++ {
		if begins(t[i:], "SCHEMA") && t[i+1].isName() {
			e.Schema = t[i+1].name()
		}
	}
	if !slices.Contains(l.p.s.Extensions, e) {
		l.p.s.Extensions = append(l.p.s.Extensions, e)
	}
}

// rolesIn gathers the names that may be of roles: more than there are do no
// harm, fewer would make a statement fail.
func (l *lexer) rolesIn(t []token) {
	depth := 0
	for i := 0; i+1 < len(t); i++ {
		switch t[i].kind {
		case '(':
			depth++
		case ')':
			depth--
		case 'w':
			if depth != 0 {
				continue
			}
			switch t[i].text {
			case "TO", "FROM", "ROLE", "AUTHORIZATION", "BY", "FOR":
				for j := i + 1; j < len(t) && t[j].isName(); j += 2 {
					l.role(t[j])
					if j+1 >= len(t) || t[j+1].kind != ',' {
						break
					}
				}
			}
		}
	}
}

// notRoles are words that stand where a role would.
var notRoles = []string{"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "ROLE", "USER", "NONE", "DEFAULT", "VALUES", "SELECT", "INSERT", "UPDATE", "DELETE", "ALL"}

// maxRoles is more than anybody has.
const maxRoles = 10000

func (l *lexer) role(t token) {
	if !t.isName() || t.kind == 'w' && slices.Contains(notRoles, t.text) || len(l.roles) >= maxRoles {
		return
	}
	if name := t.name(); name != "" && !strings.HasPrefix(name, "pg_") && len(name) < 64 {
		l.roles[name] = true
	}
}

func (l *lexer) roleNames() []string {
	out := make([]string, 0, len(l.roles))
	for r := range l.roles {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
