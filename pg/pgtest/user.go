package pgtest

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"pgvault/fault"
)

// serverUser is the user who runs the server: nil for the caller itself; for
// root the user postgres, else nobody.
func serverUser() (*syscall.Credential, string, error) {
	if os.Geteuid() != 0 {
		return nil, "", nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name, nil
		}
	}
	return nil, "", &fault.Error{Op: "cluster", What: "no user can run the private server",
		Why: "PostgreSQL does not run as root, and there is neither a user postgres nor nobody", Code: fault.Refused,
		Left: "Nothing was started.", Do: "Call this as an ordinary user."}
}

// closedParent gives the first directory above dir that others may not enter,
// "" if there is none.
func closedParent(dir string) string {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if st, err := os.Stat(up); err != nil || st.Mode().Perm()&0o001 == 0 {
			return up
		}
		if up == filepath.Dir(up) {
			return ""
		}
	}
}
