package pg

import (
	"errors"
	"net/url"
	"strings"
)

// envOf is the environment variable of each libpq connection keyword that has
// one, for libpq 13 to 18. Source: "Environment Variables" in the libpq
// chapter of the PostgreSQL manual.
var envOf = map[string]string{
	"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER",
	"password": "PGPASSWORD", "passfile": "PGPASSFILE", "require_auth": "PGREQUIREAUTH",
	"channel_binding": "PGCHANNELBINDING", "service": "PGSERVICE", "options": "PGOPTIONS",
	"application_name": "PGAPPNAME", "sslmode": "PGSSLMODE", "sslcompression": "PGSSLCOMPRESSION",
	"sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcertmode": "PGSSLCERTMODE",
	"sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR",
	"sslsni": "PGSSLSNI", "requirepeer": "PGREQUIREPEER", "sslnegotiation": "PGSSLNEGOTIATION",
	"ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
	"ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
	"gssencmode":               "PGGSSENCMODE", "krbsrvname": "PGKRBSRVNAME", "gsslib": "PGGSSLIB",
	"gssdelegation": "PGGSSDELEGATION", "connect_timeout": "PGCONNECT_TIMEOUT",
	"target_session_attrs": "PGTARGETSESSIONATTRS", "load_balance_hosts": "PGLOADBALANCEHOSTS",
	"min_protocol_version": "PGMINPROTOCOLVERSION", "max_protocol_version": "PGMAXPROTOCOLVERSION",
}

// isConninfo tells whether libpq takes text for a connection string rather
// than for a database's name (recognized_connection_string in fe-connect.c).
func isConninfo(text string) bool {
	return isURI(text) || strings.Contains(text, "=")
}

func isURI(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// parseConninfo reads a connection string as libpq does: a URI, key=value
// pairs, or else the bare name of a database. Errors never repeat any of the
// text, which may hold a password in a place where none belongs.
func parseConninfo(text string) (map[string]string, error) {
	switch {
	case strings.ContainsRune(text, 0):
		return nil, errors.New("it contains a NUL byte")
	case isURI(text):
		return parseURI(text)
	case strings.Contains(text, "="):
		return parsePairs(text)
	case text == "":
		return map[string]string{}, nil
	}
	return map[string]string{"dbname": text}, nil
}

const spaces = " \t\n\r\v\f"

// parsePairs reads key=value pairs: spaces may surround the equals sign, a
// value may be in single quotes, a backslash escapes the next byte.
func parsePairs(s string) (map[string]string, error) {
	kv := map[string]string{}
	for s = strings.TrimLeft(s, spaces); s != ""; s = strings.TrimLeft(s, spaces) {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.Trim(key, spaces)
		if !ok || key == "" || strings.ContainsAny(key, spaces+"'\\") {
			return nil, errors.New(`a key without "=", or a stray character before one`)
		}
		var value strings.Builder
		rest = strings.TrimLeft(rest, spaces)
		quoted := strings.HasPrefix(rest, "'")
		if quoted {
			rest = rest[1:]
		}
		i, closed := 0, false
		for ; i < len(rest); i++ {
			c := rest[i]
			if quoted && c == '\'' || !quoted && strings.IndexByte(spaces, c) >= 0 {
				closed = true
				break
			}
			if c == '\\' {
				if i++; i == len(rest) {
					break
				}
				c = rest[i]
			}
			value.WriteByte(c)
		}
		if quoted && !closed {
			return nil, errors.New("a quoted value that does not end")
		}
		if quoted {
			i++
		}
		kv[key] = value.String()
		s = rest[min(i, len(rest)):]
	}
	return kv, nil
}

// parseURI reads postgresql://user:password@host:port,host:port/db?key=value.
func parseURI(s string) (map[string]string, error) {
	_, s, _ = strings.Cut(s, "://")
	s, query, _ := strings.Cut(s, "?")
	authority, name, _ := strings.Cut(s, "/")
	kv := map[string]string{}
	put := func(key, raw string) error {
		v, err := url.PathUnescape(raw)
		if err != nil || strings.ContainsRune(v, 0) {
			return errors.New("a percent sign that begins no valid escape")
		}
		if v != "" {
			kv[key] = v
		}
		return nil
	}
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		hosts = authority[i+1:]
		if err := errors.Join(put("user", user), put("password", password)); err != nil {
			return nil, err
		}
	}
	host, port, err := splitHosts(hosts)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(put("host", host), put("port", port), put("dbname", name)); err != nil {
		return nil, err
	}
	for _, p := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return nil, errors.New("a parameter after ? without a value")
		}
		k, err := url.PathUnescape(k)
		if err != nil {
			return nil, errors.New("a percent sign that begins no valid escape")
		}
		if k == "ssl" && v == "true" {
			k, v = "sslmode", "require"
		}
		if err := put(k, v); err != nil {
			return nil, err
		}
	}
	return kv, nil
}

// splitHosts takes host:port,[v6]:port,… apart into libpq's two lists; the
// list of ports is empty where no host has one.
func splitHosts(s string) (hosts, ports string, err error) {
	var hs, ps []string
	for h := range strings.SplitSeq(s, ",") {
		var port string
		if strings.HasPrefix(h, "[") {
			end := strings.IndexByte(h, ']')
			if end < 0 || end+1 < len(h) && h[end+1] != ':' {
				return "", "", errors.New("an IPv6 address without its brackets")
			}
			port = strings.TrimPrefix(h[end+1:], ":")
			h = h[1:end]
		} else {
			h, port, _ = strings.Cut(h, ":")
		}
		if strings.Trim(port, "0123456789") != "" {
			return "", "", errors.New("a port that is no number (a special character of a password must be percent-encoded)")
		}
		hs, ps = append(hs, h), append(ps, port)
	}
	hosts, ports = strings.Join(hs, ","), strings.Join(ps, ",")
	if strings.Trim(ports, ",") == "" {
		ports = ""
	}
	return hosts, ports, nil
}

// quoteConninfo gives value as one value of a key=value connection string.
func quoteConninfo(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
