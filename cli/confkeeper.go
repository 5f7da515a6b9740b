package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
)

// In system mode the configuration is root's and the vault is not. A screen
// that root opens becomes the vault's owner for good, and could not save what
// is edited in it. So before that it starts a process that stays root and can
// do one thing: put a text that is a sound configuration in the place of this
// one file, readable by root and the vault's group alone. It ends with the
// screen, and only the screen holds the other end of its socket.

// confKeeper is the screen's end.
type confKeeper struct {
	mu   sync.Mutex
	conn *os.File
}

// keptText is what it is asked, keptReply what it answers: Code 0 is done.
type keptText struct {
	Digest string `json:"digest"`
	Text   []byte `json:"text"`
}

type keptReply struct {
	Code    fault.Code `json:"code"`
	Changed bool       `json:"changed"` // config.ErrChanged
	What    string     `json:"what"`
	Why     string     `json:"why"`
	Left    string     `json:"left"`
	Do      string     `json:"do"`
}

// keepConfig starts it where this process is root and about to become another
// user. Where it cannot be started, saving is refused as for anybody.
func (p *program) keepConfig(path, state string) {
	uid, _, ok := vault.StateOwner(state)
	if p.keeper != nil || p.readOnly || path == "" || os.Geteuid() != 0 || !ok || uid == 0 {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	mine, its := os.NewFile(uintptr(pair[0]), "config keeper"), os.NewFile(uintptr(pair[1]), "screen")
	defer its.Close()
	c := exec.Command(self, "-c", path, "config", "keep")
	c.Dir, c.ExtraFiles = "/", []*os.File{its}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no key of the terminal ends or stops it
	if err := c.Start(); err != nil {
		mine.Close()
		return
	}
	go func() { _ = c.Wait() }() // it ends when the screen's end is closed
	p.keeper = &confKeeper{conn: mine}
}

// replace is config.Replace by it.
func (k *confKeeper) replace(path, digest string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var r keptReply
	err := json.NewEncoder(k.conn).Encode(keptText{digest, data})
	if err == nil {
		err = json.NewDecoder(k.conn).Decode(&r)
	}
	if err != nil {
		return &fault.Error{Op: "config", What: path + " could not be written", Why: "the process that stayed root for it has ended", Left: "It is as it was.", Do: "leave the screen and open it again", Err: err}
	}
	if r.Code == fault.OK {
		return nil
	}
	f := &fault.Error{Op: "config", What: r.What, Why: r.Why, Left: r.Left, Do: r.Do, Code: r.Code}
	if r.Changed {
		f.Err = config.ErrChanged
	}
	return f
}

// configKeepCmd is the process itself; nobody calls it by hand.
func (p *program) configKeepCmd() *cobra.Command {
	return &cobra.Command{
		Use: "keep", Hidden: true, Args: usageArgs(cobra.NoArgs),
		Short: "Save the configuration for a screen that root has opened",
		RunE: func(*cobra.Command, []string) error {
			if kind, err := unix.GetsockoptInt(3, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM || p.config == "" {
				return usage("it is started by the screen, never by hand")
			}
			unix.CloseOnExec(3)
			return p.serveConfig(os.NewFile(3, "screen"))
		},
	}
}

// serveConfig answers until the screen has ended.
func (p *program) serveConfig(conn *os.File) error {
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var t keptText
		if err := in.Decode(&t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var r keptReply
		if err := p.saveConfig(t); err != nil {
			f := fault.As(err)
			r = keptReply{Code: fault.CodeOf(err), Changed: errors.Is(err, config.ErrChanged), What: f.What, Why: f.Why, Left: f.Left, Do: f.Do}
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// saveConfig writes one text for root and the vault's group.
func (p *program) saveConfig(t keptText) error {
	if _, err := config.Parse(t.Text, p.config, os.LookupEnv); err != nil {
		return err
	}
	_, gid, ok := vault.StateOwner(config.StateDir(p.config))
	if !ok {
		return &fault.Error{Op: "config", What: "the state folder is gone", Left: "The configuration is as it was.", Do: "run scripts/system-mode.sh again", Code: fault.Refused}
	}
	return config.ReplaceFor(p.config, t.Digest, t.Text, config.Owner{UID: os.Geteuid(), GID: gid, Mode: 0o640})
}
