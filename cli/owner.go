package cli

import (
	"io"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/vault"
)

// becomeOwner makes root the user who owns the state folder, for good, as
// sudo -u would: what root made there, its owner could not use. Identity
// files are read before, because they are root's. Nobody else is changed.
func (p *program) becomeOwner(state string) error {
	uid, gid, ok := vault.StateOwner(state)
	if os.Geteuid() != 0 || !ok || uid == 0 {
		return nil
	}
	if err := p.readIdentities(); err != nil {
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

// maxIdentity bounds an identity file, as age does.
const maxIdentity = 16 << 20

// readIdentities turns the files of -i into texts in memory. Standard input
// stays open and is left to who reads it.
func (p *program) readIdentities() error {
	var left []string
	for _, name := range p.identities {
		if name == "-" {
			left = append(left, name)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return badIdentity(name, err)
		}
		src, err := io.ReadAll(io.LimitReader(f, maxIdentity))
		_ = f.Close()
		if err != nil {
			return badIdentity(name, err)
		}
		p.texts = append(p.texts, string(src))
	}
	p.identities = left
	return nil
}

func badIdentity(name string, err error) error {
	return &fault.Error{Op: "identity", What: "the identity file " + name + " cannot be read", Left: "nothing was decrypted or written", Do: "check the path and its rights", Code: fault.NoKey, Err: err}
}
