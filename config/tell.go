package config

import (
	"regexp"
	"strings"

	"pgvault/nearest"
	"pgvault/vault/tell"
)

// checkTell says what is wrong with an address without repeating any of it.
func (l *loader) checkTell(t Tell, base string) {
	for i, to := range t.OnFailure {
		p := index(sub(base, "on_failure"), i)
		scheme, known := tell.Scheme(to)
		if !known && scheme != "" && strings.HasPrefix(strings.ToLower(l.raw[p]), scheme+"://") {
			l.at(p, "%s: there is no kind of sink %.20q; %s", last(p), scheme, nearest.Hint(scheme, tell.Schemes()))
			continue
		}
		if err := tell.Check(to); err != nil {
			l.at(p, "%s: %v", last(p), err)
		}
	}
	if p := sub(base, "metrics_file"); t.MetricsFile != "" && !strings.HasSuffix(t.MetricsFile, ".prom") {
		l.at(p, "metrics_file %.80q: node_exporter reads only files whose name ends in .prom", l.raw[p])
	}
}

var (
	quoted = regexp.MustCompile(`"(?:\\.|[^"\\\n])*"|'[^'\n]*'`)
	sink   = regexp.MustCompile(`(?i)\b(?:smtp|slack|telegram|ntfy|generic(?:\+https?)?|https?)://`)
	bare   = regexp.MustCompile(sink.String() + `[^\s"']*`)
)

// Hide gives a configuration's text for people to see: of every address of
// the kinds that sinks have there is the scheme and the host only.
func Hide(src []byte) []byte {
	text := quoted.ReplaceAllStringFunc(string(src), func(q string) string {
		at := sink.FindStringIndex(q)
		if at == nil {
			return q
		}
		return q[:at[0]] + shown(q[at[0]:len(q)-1]) + q[len(q)-1:]
	})
	return []byte(bare.ReplaceAllStringFunc(text, shown))
}

// shown is an address of which only what is no secret is left.
func shown(text string) string {
	out := tell.Show(text)
	switch strings.ToLower(text) {
	case out, out + "/", out + "/…": // as it is, or hidden before
		return text
	}
	return strings.TrimSuffix(out, "/…") + "/…"
}
