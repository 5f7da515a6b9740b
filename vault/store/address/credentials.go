package address

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pgvault/fault"
)

// credentialsOf says where credentials of each kind of place may come from.
var credentialsOf = map[string][]string{
	File:  nil,
	S3:    {"profile:NAME", "file:PATH", "systemd:NAME", "instance"},
	GCS:   {"file:PATH", "systemd:NAME", "instance"},
	Azure: {"file:PATH", "systemd:NAME", "instance"},
	SFTP:  {"file:PATH", "systemd:NAME"},
}

var credentialName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_. -]{0,62}$`)

// CheckCredentials refuses what does not say where credentials of this kind
// of place come from; "" is right for all. Nothing of it is repeated: a person
// may have written the credential itself. Errors are *fault.Error with the
// code Usage.
func CheckCredentials(scheme, credentials string) error {
	forms := credentialsOf[scheme]
	kind, name, named := strings.Cut(credentials, ":")
	known := slices.ContainsFunc(forms, func(f string) bool {
		k, _, takesName := strings.Cut(f, ":")
		return k == kind && takesName == named
	})
	why := ""
	switch {
	case credentials == "":
		return nil
	case len(forms) == 0:
		why = fmt.Sprintf("%s: takes none", scheme)
	case !known:
		why = fmt.Sprintf("for %s: they are %s; never a secret itself", scheme, strings.Join(forms, " or "))
	case kind == "file" && (name == "" || strings.ContainsRune(name, 0)):
		why = "file: needs the path of a file"
	case named && kind != "file" && !credentialName.MatchString(name):
		why = kind + ": needs a name of letters, digits, dots, _ and -"
	default:
		return nil
	}
	return &fault.Error{Op: "place", What: "credentials cannot be used as they are given", Why: why, Left: "Nothing was sent.", Do: "Correct them, or leave them out.", Code: fault.Usage}
}
