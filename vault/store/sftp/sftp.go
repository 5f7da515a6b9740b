// Package sftp is the place kind "sftp:": a folder on a server that speaks
// SSH, reached with the user's own keys and configuration.
//
// # Connection
//
// ~/.ssh/config and /etc/ssh/ssh_config say how a server is reached, as ssh
// reads them: HostName, Port, User, IdentityFile, IdentitiesOnly,
// IdentityAgent, UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias,
// HostKeyAlgorithms, ProxyJump, ProxyCommand, ConnectTimeout,
// ServerAliveInterval, Host, Match and Include. Host keys have to be in the
// known_hosts files: StrictHostKeyChecking is never relaxed, and an unknown,
// changed or revoked key is refused with its fingerprint before any key of
// the user is offered. There are no passwords.
//
// One connection serves everything. It is made at the first call, kept alive,
// and made again when it breaks; what can be done twice without harm is then
// done again.
//
// # Layout
//
// As in package disk: an object is a file of its name below the place's
// folder, mode 0600, folders 0700. Symbolic links below it are not followed.
//
// # Publishing
//
// A file .partial-<random> is created in the object's folder, written with
// many requests in flight, synced (fsync@openssh.com), closed, and compared:
// only when its SHA-256 is that of what was written does it get its name. Of
// large files the server's own openssl or sha256sum is asked, where the user
// may run commands there; whatever that does not confirm is read back. A
// hard link (hardlink@openssh.com) does that without ever replacing; a server
// without it has to show, on two files of ours, that its rename does not
// replace a taken name, else it is refused. Then the folder and new folders
// above it are synced, too.
//
// When an answer is lost on the way, the name is looked at: if it holds our
// bytes, it was published, else it is tried again or taken.
//
// # Trust
//
// The place's folder must not be writable by the server's other users.
package sftp

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// SFTP is one folder on a server. It implements store.Store and, of its
// optional interfaces, RandomAccess, FolderReader, Unfinished, Promising,
// Capacity and Clock.
type SFTP struct {
	addr   address.Address
	target *target
	only   string // file of the only key to use, or ""
	retry  remote.Retry
	time   timing

	dialing chan struct{} // holds one token: who has it may dial

	mu     sync.Mutex
	now    *session
	closed bool
}

var (
	_ store.Store        = (*SFTP)(nil)
	_ store.RandomAccess = (*SFTP)(nil)
	_ store.FolderReader = (*SFTP)(nil)
	_ store.Unfinished   = (*SFTP)(nil)
	_ store.Promising    = (*SFTP)(nil)
	_ store.Capacity     = (*SFTP)(nil)
	_ store.Clock        = (*SFTP)(nil)
)

// Open checks address, options and ssh configuration, and connects at the
// first call. Errors are *fault.Error.
func Open(_ context.Context, a address.Address, o address.Options) (*SFTP, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	here, err := thisMachine(o.Getenv)
	if err != nil {
		return nil, err
	}
	return open(a, o, here)
}

func open(a address.Address, o address.Options, here *local) (*SFTP, error) {
	bad := func(why, do string) error {
		return &fault.Error{Op: "place", What: "the address of the sftp place cannot be used", Why: why, Left: "Nothing was sent.", Do: do, Code: fault.Usage}
	}
	switch {
	case a.Host == "" || strings.HasPrefix(a.Host, "-"):
		return nil, bad("it names no host", "Write sftp://user@host/path.")
	case a.Path == "":
		return nil, bad("it names no folder", "Write sftp://user@host/path, or sftp://user@host/~/path for one below the home folder.")
	case strings.ContainsRune(a.Path, 0):
		return nil, bad("its path holds a NUL byte", "Write another one.")
	case o.ObjectLock != 0:
		return nil, bad("SFTP has no object lock", "Leave object_lock out, or lock the files on the server (chattr +a, snapshots).")
	}
	only, err := chosenKey(o.Credentials, o.Getenv)
	if err != nil {
		return nil, err
	}
	t, err := here.target(a.Host, a.User, a.Port)
	if err != nil {
		return nil, err
	}
	s := &SFTP{addr: a, target: t, only: only, time: usualTiming, dialing: make(chan struct{}, 1)}
	if t.alive > 0 && t.alive < s.time.alive {
		s.time.alive = t.alive
	}
	s.dialing <- struct{}{}
	return s, nil
}

// String gives the place as a URL.
func (s *SFTP) String() string { return s.addr.String() }

// Close ends the connection. Readers and writers that are open fail.
func (s *SFTP) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.now != nil {
		s.now.kill(errors.New("the place was closed"))
		s.now = nil
	}
	return nil
}

// session gives the connection, a new one where there is none that lives.
func (s *SFTP) session(ctx context.Context) (*session, error) {
	if now, err := s.current(); now != nil || err != nil {
		return now, err
	}
	select {
	case <-s.dialing:
		defer func() { s.dialing <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if now, err := s.current(); now != nil || err != nil {
		return now, err
	}
	next, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		next.kill(errors.New("the place was closed"))
		return nil, remote.Permanent(store.ErrClosed)
	}
	s.now = next
	return next, nil
}

func (s *SFTP) current() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, remote.Permanent(store.ErrClosed)
	case s.now == nil || s.now.gone():
		return nil, nil
	}
	return s.now, nil
}

// dial connects and looks at the place's folder.
func (s *SFTP) dial(ctx context.Context) (*session, error) {
	l, err := s.target.connect(ctx, s.only, 0)
	if err != nil {
		return nil, err
	}
	next, err := start(ctx, l, s.time)
	if err != nil {
		return nil, err
	}
	if err := s.findRoot(ctx, next); err != nil {
		next.kill(err)
		return nil, err
	}
	return next, nil
}

// with does op on a connection, and again on another one when it breaks.
// again tells op that an earlier try was cut off: it may have been done.
func (s *SFTP) with(ctx context.Context, op func(ctx context.Context, c *session, again bool) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	again := false
	return s.retry.Do(ctx, func(ctx context.Context) error {
		c, err := s.session(ctx)
		if err != nil {
			return err
		}
		err = op(ctx, c, again)
		if errors.Is(err, errLost) {
			again = true
			return err
		}
		return remote.Permanent(err)
	})
}
