package cli

import (
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// becomeOwner makes root the user who owns the state folder, for good, as
// sudo -u would: what root made there, its owner could not use. Identity
// files are read before, because they are root's. Nobody else is changed.
func (p *program) becomeOwner(state string) error {
	uid, gid, ok := vault.StateOwner(state)
	if os.Geteuid() != 0 || !ok || uid == 0 {
		return nil
	}
	if err := p.readIdentities(func(name string) bool { return name != "-" }); err != nil { // that is no file of root's
		return err
	}
	groups := []int{gid}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err == nil {
		if ids, gerr := u.GroupIds(); gerr == nil {
			groups = numbers(ids, groups)
		}
		gid = numbers([]string{u.Gid}, []int{gid})[0]
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := step(); err != nil {
			return &fault.Error{What: "root could not become the vault's owner, user " + strconv.Itoa(uid), Why: err.Error(), Left: "nothing was started", Do: "start it as that user: sudo -u", Code: fault.Refused, Err: err}
		}
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // a change of user may have set it again
	if u != nil {
		for name, value := range map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username} {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbers reads ids; with one that is no number, other counts.
func numbers(ids []string, other []int) []int {
	var out []int
	for _, s := range ids {
		n, err := strconv.Atoi(s)
		if err != nil {
			return other
		}
		out = append(out, n)
	}
	return out
}

// readIdentities turns those of -i that which names into texts in memory.
func (p *program) readIdentities(which func(name string) bool) error {
	var left []string
	for _, name := range p.identities {
		if !which(name) {
			left = append(left, name)
			continue
		}
		src, err := archive.ReadIdentity(name)
		if err != nil {
			return err
		}
		p.texts = append(p.texts, string(src))
		clear(src)
	}
	p.identities = left
	return nil
}
