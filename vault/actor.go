package vault

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ActAs says which face asks from now on: "tui". Without it an actor's By
// is found out: timer, cron or cli.
func (v *Vault) ActAs(face string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by = face
}

// actor is who runs this process, and from where.
func (v *Vault) actor() Actor {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := thisProcess().actor()
	if v.by != "" {
		a.By = v.by
	}
	return a
}

// proc is what is known of the process that acts. Tests make up their own.
type proc struct {
	getenv    func(string) string
	uid       int
	login     string // name by the kernel's loginuid, empty where nobody logged in
	name      string // of uid
	tty       string // "pts/3", empty for none
	ancestors []ancestor
}

// ancestor is one process above, nearest first.
type ancestor struct {
	name string // comm
	ssh  string // address in its SSH_CONNECTION, where that may be read: root sees it behind sudo
}

// actor tells who acts. The kernel's loginuid is worth more than SUDO_USER,
// which anybody may set; both only count where they name another user.
func (p proc) actor() Actor {
	a := Actor{User: p.name, From: p.from(), By: p.by()}
	human := p.login
	if human == "" && p.uid == 0 {
		human = p.getenv("SUDO_USER")
	}
	if human != "" && human != p.name {
		a.User, a.As = human, p.name
	}
	return a
}

func (p proc) from() string {
	for _, name := range []string{"SSH_CONNECTION", "SSH_CLIENT"} {
		if address, _, _ := strings.Cut(p.getenv(name), " "); address != "" {
			return address
		}
	}
	if p.tty == "" {
		return ""
	}
	for _, a := range p.ancestors {
		if a.ssh != "" {
			return a.ssh
		}
	}
	return p.tty
}

// by tells a timer's and cron's runs from a person's: they have no terminal.
// INVOCATION_ID alone says nothing, it is inherited by every program of a
// desktop that systemd started.
func (p proc) by() string {
	switch {
	case p.tty != "":
		return "cli"
	case slices.ContainsFunc(p.ancestors, func(a ancestor) bool {
		return a.name == "cron" || a.name == "crond" || a.name == "anacron" || a.name == "fcron"
	}):
		return "cron"
	case p.getenv("INVOCATION_ID") != "":
		return "timer"
	}
	return "cli"
}

// thisProcess looks at this very process.
func thisProcess() proc {
	p := proc{getenv: os.Getenv, uid: os.Getuid(), name: userName(os.Getuid()), tty: ttyName(), ancestors: ancestors()}
	src, err := os.ReadFile("/proc/self/loginuid")
	if id, perr := strconv.ParseUint(strings.TrimSpace(string(src)), 10, 32); err == nil && perr == nil && id != 1<<32-1 {
		p.login = userName(int(id))
	}
	return p
}

// ttyName is the terminal that standard input, output or error is.
func ttyName() string {
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			continue
		}
		if path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			return strings.TrimPrefix(path, "/dev/")
		}
		return "tty"
	}
	return ""
}

// ancestors follows the parents up, as far as they can be seen.
func ancestors() []ancestor {
	var out []ancestor
	for pid := os.Getppid(); pid > 1 && len(out) < 16; {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		if err != nil || open < 0 || end < open {
			break
		}
		a := ancestor{name: string(stat[open+1 : end])}
		if env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ")); err == nil {
			a.ssh = sshAddress(env)
		}
		out = append(out, a)
		f := strings.Fields(string(stat[end+1:]))
		if len(f) < 2 {
			break
		}
		if pid, err = strconv.Atoi(f[1]); err != nil {
			break
		}
	}
	return out
}

func sshAddress(environ []byte) string {
	for _, e := range bytes.Split(environ, []byte{0}) {
		if v, ok := bytes.CutPrefix(e, []byte("SSH_CONNECTION=")); ok {
			address, _, _ := strings.Cut(string(v), " ")
			return address
		}
	}
	return ""
}
