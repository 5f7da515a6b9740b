package pg

import (
	"strings"
)

// QuoteName gives schema.name as SQL reads it: each part in double quotes
// where it needs them. A part that is all lower case, digits and underscores
// and no keyword stays as it is. An empty schema is left out.
func QuoteName(schema, name string) string {
	if schema == "" {
		return quotePart(name)
	}
	return quotePart(schema) + "." + quotePart(name)
}

func quotePart(s string) string {
	if isPlain(s) && !keywords[s] {
		return s
	}
	return quoteIdent(s)
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// QuoteIdent writes one identifier as SQL takes it, always quoted.
func QuoteIdent(s string) string { return quoteIdent(s) }

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteLiteral gives s as an SQL string constant that means the same whatever
// standard_conforming_strings says.
func quoteLiteral(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// quoteShown is a name inside a message to a person.
func quoteShown(s string) string { return "»" + s + "«" }

// keywords are all that PostgreSQL 13 to 18 quotes in identifiers: reserved
// words and those that are not allowed as a name of a function, a type or a
// column (quote_identifier: every keyword that is not "unreserved"). Source:
// pg_get_keywords() where catcode <> 'U'.
var keywords = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(keywordList) {
		keywords[w] = true
	}
}
