package remote

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"pgvault/fault"
	"pgvault/safetext"
)

// maxSecret bounds what is read of a file of credentials.
const maxSecret = 256 << 10

// CredentialsFile reads the file that credentials = "file:PATH" or
// "systemd:NAME" means: NAME is a file in $CREDENTIALS_DIRECTORY. A file that
// other users can read is refused, but systemd's own, whose group bits are
// the mask of an access list. found is false for every other form.
func CredentialsFile(place, credentials string, getenv func(string) string) (secret []byte, found bool, err error) {
	form, name, _ := strings.Cut(credentials, ":")
	path, open := name, fs.FileMode(0o077)
	switch form {
	case "file":
	case "systemd":
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, true, CredentialsFault(place, "systemd gave this process no credentials ($CREDENTIALS_DIRECTORY is not set)",
				"Run it from its unit, with LoadCredential="+safetext.Word(name)+":… in it.", nil)
		}
		if name == "" || name != filepath.Base(name) || name == ".." || name == "." {
			return nil, true, CredentialsFault(place, "systemd:NAME takes the name of one credential", "Write it as in LoadCredential=NAME:…", nil)
		}
		path, open = filepath.Join(dir, name), 0o007
	default:
		return nil, false, nil
	}
	secret, err = ReadSecret(place, path, open)
	return secret, true, err
}

// ReadSecret reads a file of credentials. One of whose mode a bit of open is
// set is refused.
func ReadSecret(place, path string, open fs.FileMode) ([]byte, error) {
	if path == "" {
		return nil, CredentialsFault(place, "no file is named", "Write it as file:/path.", nil)
	}
	// O_NONBLOCK: should it be a pipe, do not wait on it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, CredentialsFault(place, Words(err.Error()), "Make the file, or name another one.", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, CredentialsFault(place, Words(err.Error()), "Name another file.", err)
	}
	switch mode := fi.Mode(); {
	case !mode.IsRegular():
		return nil, CredentialsFault(place, safetext.Line(path)+" is no file", "Name a file.", nil)
	case mode.Perm()&open != 0:
		return nil, CredentialsFault(place, fmt.Sprintf("others can read %s (mode %04o)", safetext.Line(path), mode.Perm()),
			"Take that right away: chmod 600 "+safetext.Word(path), nil)
	}
	secret, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(secret) > maxSecret {
		err = errors.New("it is too large for credentials")
	}
	if err != nil {
		return nil, CredentialsFault(place, safetext.Line(path)+": "+Words(err.Error()), "Name another file.", err)
	}
	return secret, nil
}

// CredentialsFault is an error of what the configuration says of credentials.
func CredentialsFault(place, why, do string, err error) error {
	return &fault.Error{Op: "place", Code: fault.Refused, What: "the credentials of " + place + " cannot be used", Why: why,
		Left: "Nothing was sent.", Do: do, Err: err}
}
