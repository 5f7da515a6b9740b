// Package address is a place's URL as data. It knows no client of any kind
// of place, so that a configuration can be read strictly without them.
//
//	file:/path
//	s3://bucket/prefix?region=R&endpoint=URL&path_style=true&part_size=64MiB&max_parts=1000
//	gs://bucket/prefix?endpoint=URL
//	azblob://account/container/prefix?endpoint=URL
//	sftp://user@host:port/path          sftp://host/~/path below the home folder
//
// Everything but the names of bucket, account, container and host may be
// left out. Odd bytes of a path are written as %XX.
package address

import (
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// The kinds of place, as the scheme of their address.
const (
	File  = "file"
	S3    = "s3"
	GCS   = "gs"
	Azure = "azblob"
	SFTP  = "sftp"
)

// Address is where a place lies. A credential is never part of it.
type Address struct {
	Scheme string // one of the kinds

	Account string // azblob: the storage account
	Bucket  string // s3, gs: the bucket; azblob: the container
	Prefix  string // s3, gs, azblob: what comes before every object's name, without a slash at either end; may be empty

	Region    string // s3: "" lets the client's own settings decide
	Endpoint  string // s3, gs, azblob: URL of the service; "" is the public one
	PathStyle bool   // s3: the bucket is part of the path, not of the host name
	PartSize  int64  // s3: bytes of every piece but the last, for services that want them equal; 0 lets pgvault choose
	MaxParts  int    // s3: how many pieces the service takes; 0 means 10 000

	User, Host string // sftp; an empty user lets ~/.ssh/config decide
	Port       int    // sftp: 0 lets ~/.ssh/config decide
	Path       string // file: absolute; sftp: absolute, or relative ("pg" of /~/pg, "." of /~) to the home folder
}

// Options are what the configuration says of a place beside its address.
type Options struct {
	// Credentials is where they come from: "" what the service's own
	// clients look at, "profile:NAME", "file:PATH", "systemd:NAME" (a file
	// in $CREDENTIALS_DIRECTORY), "instance" (the machine's own identity).
	Credentials string
	ObjectLock  time.Duration            // objects are locked for so long from when they are made; 0: not
	Getenv      func(name string) string // of the environment
	TempDir     string                   // for pieces too large for memory; they are encrypted, and never have a name
	Now         func() time.Time

	// Owner is whose folder a file: is, where it is opened to look only; nil:
	// the one's who runs pgvault.
	Owner *int
}

// String gives the address as Parse reads it.
func (a Address) String() string {
	switch a.Scheme {
	case File:
		return "file:" + escape(a.Path)
	case SFTP:
		return a.sftpString()
	}
	u := url.URL{Scheme: a.Scheme, Host: a.Bucket, Path: join(a.Prefix)}
	if a.Scheme == Azure {
		u.Host, u.Path = a.Account, join(a.Bucket, a.Prefix)
	}
	u.RawQuery = a.options()
	return u.String()
}

// options writes what is not left to its default.
func (a Address) options() string {
	var out []string
	add := func(key, value string) {
		if value != "" {
			// An endpoint stays readable; of a value, only what would end it is escaped.
			out = append(out, key+"="+strings.NewReplacer("%3A", ":", "%2F", "/", "%5B", "[", "%5D", "]").Replace(url.QueryEscape(value)))
		}
	}
	add("region", a.Region)
	add("endpoint", a.Endpoint)
	if a.PathStyle {
		add("path_style", "true")
	}
	if a.PartSize > 0 {
		add("part_size", FormatSize(a.PartSize))
	}
	if a.MaxParts > 0 {
		add("max_parts", strconv.Itoa(a.MaxParts))
	}
	return strings.Join(out, "&")
}

func (a Address) sftpString() string {
	u := url.URL{Scheme: SFTP, Host: a.Host, Path: a.Path}
	if strings.Contains(a.Host, ":") {
		u.Host = "[" + a.Host + "]"
	}
	if a.Port > 0 {
		u.Host = net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	}
	if a.User != "" {
		u.User = url.User(a.User)
	}
	if !path.IsAbs(a.Path) {
		u.Path = path.Join("/~", a.Path)
	}
	return u.String()
}

func escape(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// join gives a path that begins with a slash, or nothing.
func join(elements ...string) string {
	out := ""
	for _, e := range elements {
		if e != "" {
			out += "/" + e
		}
	}
	return out
}

// Same tells whether two addresses mean the same place. How it is spoken to
// (region, path style, sizes of pieces) does not make it another one. Two
// names of one host or one folder are not known to be the same.
func Same(a, b Address) bool { return a.identity() == b.identity() }

// identity keeps what makes a place another one.
func (a Address) identity() Address {
	id := Address{Scheme: a.Scheme, Account: a.Account, Bucket: a.Bucket, Prefix: a.Prefix, User: a.User, Path: a.Path}
	switch a.Scheme {
	case SFTP:
		id.Host, id.Port = strings.ToLower(a.Host), a.Port
		if id.Port == 0 {
			id.Port = 22
		}
	case S3, GCS, Azure:
		id.Endpoint = service(a)
	}
	return id
}

// service is the host and path of an endpoint, "" for the public service.
func service(a Address) string {
	u, err := url.Parse(a.Endpoint)
	if a.Endpoint == "" || err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	public := map[string]string{S3: ".amazonaws.com", GCS: ".googleapis.com", Azure: ".blob.core.windows.net"}[a.Scheme]
	if strings.HasSuffix(host, public) {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(host, port) + strings.TrimRight(u.Path, "/")
}
