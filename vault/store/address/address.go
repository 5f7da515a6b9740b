// Package address is a place's URL as data. It knows no client of any kind
// of place, so that a configuration can be read strictly without them.
package address

import "time"

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
	Path       string // file: absolute; sftp: absolute, or below the home folder when it began with /~/
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
}
