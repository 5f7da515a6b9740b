package vault

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"pgvault/fault"
)

// Access tells what this process may do. The state folder's owner decides:
// who owns it acts, everybody else who can read it looks. Where there is no
// state folder yet, whoever comes first makes it.
func (v *Vault) Access() Access { return AccessTo(v.c.StateDir, os.Geteuid()) }

// AccessTo is the rule behind Access, for the state folder dir and a user
// id.
func AccessTo(dir string, uid int) Access {
	a := Access{User: userName(uid), Act: true}
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.Owner = a.User
		return a
	case err != nil:
		a.Act = false
		a.Why = "You are " + a.User + "; the vault's state in " + dir + " cannot be read. Ask to be put in its group, or run pgvault as its owner"
		return a
	}
	owner := int(fi.Sys().(*syscall.Stat_t).Uid)
	a.Owner, a.System = userName(owner), shared(fi.Mode())
	if owner != uid {
		a.Act = false
		a.Why = "You are " + a.User + "; the vault belongs to " + a.Owner + ". sudo -u " + a.Owner + " pgvault"
	}
	return a
}

// StateOwner gives the user id that owns the state folder, and its group;
// false where there is none yet.
func StateOwner(dir string) (uid, gid int, ok bool) {
	fi, err := os.Stat(dir)
	if err != nil {
		return 0, 0, false
	}
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid), true
}

// userName is a user's name, or its number where it has none.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// writable refuses what changes or starts something where this process may
// only look.
func (v *Vault) writable() error {
	if v.c.ReadOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was started", Do: "start it without --read-only", Code: fault.Refused}
	}
	if a := v.Access(); !a.Act {
		return &fault.Error{What: "you may look, and not change anything", Why: a.Why, Left: "nothing was started or changed", Do: a.remedy(), Code: fault.Refused}
	}
	return nil
}

func (a Access) remedy() string {
	if a.Owner == "" {
		return "ask whoever runs this vault"
	}
	return "run it as the owner: sudo -u " + a.Owner + " pgvault"
}
