package address

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/nearest"
	"pgvault/vault/store"
)

// Forms says how an address of each kind is written, for usage texts.
const Forms = "file:/path, s3://bucket/prefix, gs://bucket/prefix, azblob://account/container/prefix or sftp://user@host/path"

// The limits of an address.
const (
	maxAddress = 4096
	maxPrefix  = 512            // bytes: leaves half of a key to the objects' own names
	minPart    = 5 << 20        // S3: the smallest piece that is not the last
	maxPart    = int64(5) << 30 // S3: the largest piece
	mostParts  = 10_000         // S3: of one object
	maxUser    = 64             // bytes of a user's name
	formOfFile = "file:/path/to/folder"
)

var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)

// HasScheme tells whether text begins as a URL does; what does not is a path.
func HasScheme(text string) bool { return scheme.MatchString(text) }

// kinds are how each is written, and its parser.
var kinds = map[string]struct {
	form  string
	parse func(*parser, *url.URL) Address
}{
	File:  {formOfFile, (*parser).file},
	S3:    {"s3://bucket/prefix?region=REGION", (*parser).s3},
	GCS:   {"gs://bucket/prefix", (*parser).gcs},
	Azure: {"azblob://account/container/prefix", (*parser).azure},
	SFTP:  {"sftp://user@host/path", (*parser).sftp},
}

// Parse reads the address of a place. Every option must be known to its
// kind, come once and have a sensible value. What may be a credential is
// refused. Errors are *fault.Error with the code Usage, and repeat nothing
// of an address that may hold a secret.
func Parse(text string) (Address, error) {
	p := &parser{text: text}
	m := scheme.FindStringSubmatch(text)
	switch {
	case text == "":
		return p.end(Address{}, "it is missing", "write "+Forms)
	case len(text) > maxAddress:
		return p.end(Address{}, fmt.Sprintf("it has more than %d bytes", maxAddress), "write "+Forms)
	case m == nil:
		return p.end(Address{}, "it does not begin with the kind of place", "write "+Forms)
	}
	name := strings.ToLower(m[1])
	kind, known := kinds[name]
	if !known {
		// A word that is no kind may be anything, a key of somebody's too.
		if len(name) > 8 {
			name = "…"
		}
		return p.end(Address{}, fmt.Sprintf("there is no kind of place %q; %s", name, nearest.Hint(name, slices.Sorted(maps.Keys(kinds)))), "write "+Forms)
	}
	p.kind, p.form = name, "write it as "+kind.form
	u, err := url.Parse(text)
	switch {
	case err != nil: // its words may repeat a password
		p.bad("it is not a URL", "%s, with %%XX for odd characters", p.form)
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		p.bad("a # begins no part of an address", "in a name write it as %%23")
	case u.ForceQuery:
		p.bad("it ends in ? without an option", "leave the ? out, or write it as %%3F in a name")
	case strings.ContainsRune(u.Path, 0):
		p.bad("it holds a NUL byte", "%s", p.form)
	}
	if p.err != nil {
		return Address{}, p.err
	}
	a := kind.parse(p, u)
	if p.err != nil {
		return Address{}, p.err
	}
	return a, nil
}

// parser keeps the first thing that is wrong.
type parser struct {
	text, kind, form string
	err              error
}

// end is a parse that has failed.
func (p *parser) end(a Address, why, do string) (Address, error) {
	p.bad(why, "%s", do)
	return a, p.err
}

// bad notes what is wrong and the remedy.
func (p *parser) bad(why, do string, args ...any) {
	if p.err != nil {
		return
	}
	p.err = &fault.Error{
		Op: "place", Code: fault.Usage, What: fmt.Sprintf("the place %q cannot be used", p.shown()), Why: why,
		Left: "Nothing was changed.", Do: upper(fmt.Sprintf(do, args...)) + ".",
	}
}

// shown is what of the address cannot hold a secret.
func (p *parser) shown() string {
	kind, rest, _ := strings.Cut(p.text, ":")
	switch {
	case p.kind == "" && strings.ContainsAny(p.text, ":@?"):
		return "…"
	case p.kind != "" && p.kind != File && strings.ContainsAny(rest, ":@?%#"), p.kind == File && strings.ContainsAny(rest, "@?"):
		return kind + ":…"
	}
	r := []rune(p.text)
	if len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return p.text
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// file reads a folder of this machine.
func (p *parser) file(u *url.URL) Address {
	switch {
	case u.User != nil:
		p.bad("file: takes no user", "%s", p.form)
	case u.Host != "" && u.Host != "localhost":
		p.bad("file: names a folder on this machine, not on another", "%s", p.form)
	case u.RawQuery != "":
		p.bad("file: has no options", "in a folder's name write ? as %%3F and # as %%23")
	case !strings.HasPrefix(u.Path, "/"):
		p.bad("the path is not absolute", "%s", p.form)
	}
	return Address{Scheme: File, Path: path.Clean(u.Path)}
}

func (p *parser) s3(u *url.URL) Address {
	a := Address{Scheme: S3, Bucket: p.service(u, "bucket"), Prefix: p.prefix(u.Path)}
	p.rule(a.Bucket, "bucket", bucketS3)
	o := p.options(u.RawQuery, "region", "endpoint", "path_style", "part_size", "max_parts")
	a.Region, a.Endpoint = p.region(o), p.endpoint(o)
	if v, ok := o["path_style"]; ok {
		a.PathStyle = v == "true"
		if v != "true" && v != "false" {
			p.bad("path_style is neither true nor false", "write path_style=true, or leave it out")
		}
	}
	if v, ok := o["part_size"]; ok {
		n, err := ParseSize(v)
		if err != nil || n < minPart || n > maxPart {
			p.bad("part_size is not a size from 5MiB to 5GiB", "write it like part_size=64MiB, or leave it out")
		}
		a.PartSize = n
	}
	if v, ok := o["max_parts"]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > mostParts {
			p.bad(fmt.Sprintf("max_parts is not a number from 1 to %d", mostParts), "write it like max_parts=1000, or leave it out")
		}
		a.MaxParts = n
	}
	return a
}

func (p *parser) gcs(u *url.URL) Address {
	a := Address{Scheme: GCS, Bucket: p.service(u, "bucket"), Prefix: p.prefix(u.Path)}
	p.rule(a.Bucket, "bucket", bucketGCS)
	a.Endpoint = p.endpoint(p.options(u.RawQuery, "endpoint"))
	return a
}

func (p *parser) azure(u *url.URL) Address {
	container, prefix, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	a := Address{Scheme: Azure, Account: p.service(u, "account"), Bucket: container}
	p.rule(a.Account, "account", accountAzure)
	if container == "" {
		p.bad("the container is missing", "%s", p.form)
	}
	p.rule(a.Bucket, "container", containerAzure)
	a.Prefix = p.prefix("/" + prefix)
	a.Endpoint = p.endpoint(p.options(u.RawQuery, "endpoint"))
	return a
}

// service reads the host's place of a URL: a bucket or an account.
func (p *parser) service(u *url.URL, what string) string {
	switch {
	case u.User != nil:
		p.secret()
	case u.Opaque != "" || u.Host == "":
		p.bad("the "+what+" is missing", "%s", p.form)
	case u.Port() != "" || strings.HasSuffix(u.Host, ":"):
		p.bad("a "+what+" has no port", "name another service with ?endpoint=https://host:port")
	}
	return u.Host
}

// secret refuses a credential, and tells where it belongs.
func (p *parser) secret() {
	do := `put it where credentials = "profile:NAME", "file:PATH" or "systemd:NAME" of the place's section finds it`
	if p.kind == SFTP {
		do = `use an SSH agent, an IdentityFile of ~/.ssh/config, or credentials = "file:/path/of/the/key" in the place's section`
	}
	p.bad("an address holds no password and no key: it is shown on screens and in logs", "%s; if this one was real, replace it", do)
}

// prefix reads what comes before every object's name.
func (p *parser) prefix(of string) string {
	if of = strings.TrimPrefix(of, "/"); of == "" {
		return ""
	}
	if of != "/" {
		of = strings.TrimSuffix(of, "/")
	}
	if len(of) > maxPrefix {
		p.bad(fmt.Sprintf("its prefix has more than %d bytes", maxPrefix), "choose a shorter one")
	} else if store.ValidName(of) != nil {
		p.bad("its prefix has an element that is empty, . or .., or an odd character", "%s, or leave the prefix out", p.form)
	}
	return of
}

// sftp reads a folder of another machine.
func (p *parser) sftp(u *url.URL) Address {
	a := Address{Scheme: SFTP, User: u.User.Username(), Host: u.Hostname()}
	if _, password := u.User.Password(); password {
		p.secret()
	}
	switch {
	case u.Opaque != "" || a.Host == "":
		p.bad("the host is missing", "%s", p.form)
	case !plainHost(a.Host, strings.HasPrefix(u.Host, "[")):
		p.bad("the host's name has an odd character", "%s, with the name of a host or of a Host section of ~/.ssh/config", p.form)
	case u.User != nil && (a.User == "" || len(a.User) > maxUser || !plainUser.MatchString(a.User)):
		p.bad("the user's name is empty, too long, or has an odd character", "%s", p.form)
	case strings.HasSuffix(u.Host, ":"):
		p.bad("the port is missing", "write its number, or leave the colon out")
	case path.Clean("/"+u.Path) == "/":
		p.bad("the path is missing", "write sftp://host/path, or sftp://host/~/path below the home folder")
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			p.bad("the port is not a number from 1 to 65535", "%s", p.form)
		}
		a.Port = int(n)
	}
	p.options(u.RawQuery)
	a.Path = path.Clean(u.Path)
	if rest, home := strings.CutPrefix(a.Path+"/", "/~/"); home {
		a.Path = path.Clean(rest)
	}
	return a
}
