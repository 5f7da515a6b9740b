package tell

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pgvault/safetext"
)

// maxReason bounds what is repeated of a server's answer, in bytes.
const maxReason = 300

// hidden stands where a part of an address was.
const hidden = "…"

// scrubber takes every part of an address out of a text: what a library or
// a server says may repeat it.
type scrubber struct{ parts []string } // longest first

// tooCommon are values of options that say nothing and are in many texts.
var tooCommon = []string{"yes", "no", "true", "false", "json", "post", "get", "none", "auto", "plain", "html", "http", "https", "default", "webhook", "hook", "telegram", "localhost"}

// newScrubber knows an address as a whole and in parts, each as it stands,
// unescaped, and as Go, HTTP and URLs write it. A host that Show gives is no
// secret, the others (Slack, Telegram) are parts like any.
func newScrubber(address string, u *url.URL) scrubber {
	seen := map[string]bool{}
	add := func(part string, least int) {
		for _, p := range []string{part, url.QueryEscape(part), url.PathEscape(part), strings.Trim(strconv.Quote(part), `"`)} {
			if len(p) >= least && !slices.Contains(tooCommon, strings.ToLower(p)) {
				seen[p] = true
			}
		}
	}
	add(address, 1)
	add(u.String(), 1)
	add(u.RequestURI(), 3)
	add(strings.Trim(u.EscapedPath(), "/"), 2)
	add(u.RawQuery, 3)
	for _, s := range strings.FieldsFunc(u.EscapedPath()+"/"+u.Path, func(r rune) bool { return r == '/' || r == '-' || r == ',' || r == ':' }) {
		add(s, 3)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(u.User.String(), 2)
		add(password, 1)
		add(u.User.Username(), 3)
		add(base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)), 2)
		add(base64.StdEncoding.EncodeToString([]byte("\x00"+u.User.Username()+"\x00"+password)), 2)
		for _, s := range strings.FieldsFunc(password, func(r rune) bool { return r == '-' || r == '/' || r == ',' }) {
			add(s, 3)
		}
	}
	if scheme := strings.ToLower(u.Scheme); scheme == "slack" || scheme == "telegram" {
		add(u.Host, 3)
		add(u.Hostname(), 3)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			add(v, 3)
			for _, s := range strings.Split(v, ",") {
				add(s, 3)
			}
		}
	}
	add(u.Fragment, 3)
	out := scrubber{}
	for p := range seen {
		out.parts = append(out.parts, p)
	}
	slices.SortFunc(out.parts, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return out
}

// line gives a text on one safe line, short, without any part of the
// address.
func (s scrubber) line(text string) string {
	text = s.text(text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + hidden
	}
	return safetext.Line(text)
}

func (s scrubber) text(text string) string {
	for _, p := range s.parts {
		text = strings.ReplaceAll(text, p, hidden)
	}
	return text
}
