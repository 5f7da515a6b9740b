package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store/remote"
)

const (
	connectWithin = 15 * time.Second // TCP, where ssh_config sets no ConnectTimeout
	loginWithin   = 60 * time.Second // all that comes before the first answer of SFTP
	agentAnswers  = 5 * time.Second
	maxHops       = 8
)

// ciphers that Go has; those that processors do by themselves come first.
func ciphers() []string {
	all := ssh.SupportedAlgorithms().Ciphers
	first := []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305}
	return append(first, slices.DeleteFunc(all, func(c string) bool { return slices.Contains(first, c) })...)
}

// line is a connection to one server, through others where ssh_config says so.
type line struct {
	client *ssh.Client
	last   *watched
	below  []io.Closer // what carries it, the first to be closed first
}

func (l *line) close() error {
	errs := []error{l.client.Close()}
	for _, c := range l.below {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// connect logs in. only is the file of the only key, or "". Errors that
// trying again cannot change are remote.Permanent.
func (t *target) connect(ctx context.Context, only string, hops int) (*line, error) {
	if hops > maxHops {
		return nil, remote.Permanent(fmt.Errorf("more than %d ProxyJump: do they go in a circle?", maxHops))
	}
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	conn, below, err := t.carrier(ctx, hops)
	if err != nil {
		return nil, err
	}
	return t.login(ctx, conn, below, only)
}

// carrier makes what the connection runs on.
func (t *target) carrier(ctx context.Context, hops int) (net.Conn, []io.Closer, error) {
	timeout := t.timeout
	if timeout <= 0 {
		timeout = connectWithin
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case t.command != "":
		conn, err := runProxy(t.command)
		return conn, nil, err
	case len(t.jump) == 0:
		conn, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", t.addr())
		return conn, nil, err
	}
	var on *line
	for i, j := range t.jump {
		hop, err := t.local.hop(j)
		if err != nil {
			return nil, nil, errors.Join(remote.Permanent(err), closeLine(on))
		}
		next := on
		if on == nil {
			next, err = hop.connect(ctx, "", hops+1+i)
		} else {
			var conn net.Conn
			if conn, err = on.client.DialContext(ctx, "tcp", hop.addr()); err == nil {
				next, err = hop.login(ctx, conn, []io.Closer{closer(on.close)}, "")
			}
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("ProxyJump %s: %w", hop.addr(), err), closeLine(on))
		}
		on = next
	}
	conn, err := on.client.DialContext(ctx, "tcp", t.addr())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("through ProxyJump: %w", err), on.close())
	}
	return conn, []io.Closer{closer(on.close)}, nil
}

type closer func() error

func (c closer) Close() error { return c() }

func closeLine(l *line) error {
	if l == nil {
		return nil
	}
	return l.close()
}

// hop resolves [user@]host[:port], or ssh://[user@]host[:port], of ProxyJump.
func (l *local) hop(s string) (*target, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "ssh://"), "/")
	asUser, host := "", s
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		asUser, host = s[:at], s[at+1:]
	}
	port := 0
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, perr := strconv.Atoi(p)
		if perr != nil {
			return nil, fmt.Errorf("ProxyJump %s: no port", s)
		}
		host, port = h, n
	}
	if host == "" {
		return nil, fmt.Errorf("ProxyJump %q names no host", s)
	}
	return l.target(strings.Trim(host, "[]"), asUser, port)
}

// login speaks SSH on conn until the user is known to the server. It closes
// conn and below when that fails.
func (t *target) login(ctx context.Context, conn net.Conn, below []io.Closer, only string) (_ *line, err error) {
	w := &watched{Conn: conn}
	w.heard.Store(time.Now().UnixNano())
	defer func() {
		if err != nil {
			_ = conn.Close() // the first error is the one that counts
			for _, c := range below {
				_ = c.Close()
			}
		}
	}()
	keys, err := newHostKeys(t)
	if err != nil {
		return nil, remote.Permanent(err)
	}
	ring, err := t.keys(only)
	if err != nil {
		return nil, remote.Permanent(err)
	}
	defer ring.close()
	var refused error
	var banner banner
	config := &ssh.ClientConfig{
		User: t.user, ClientVersion: "SSH-2.0-pgvault", HostKeyAlgorithms: keys.algorithms(),
		Auth:           []ssh.AuthMethod{ssh.PublicKeys(ring.signers...)},
		BannerCallback: banner.keep,
		HostKeyCallback: func(name string, remote net.Addr, key ssh.PublicKey) error {
			refused = keys.check(name, remote, key)
			return refused
		},
	}
	config.Ciphers = ciphers()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(w, t.addr(), config)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	switch {
	case refused != nil:
		return nil, remote.Permanent(refused)
	case err != nil && (strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "Too many authentication failures")):
		return nil, remote.Permanent(t.denied(ring, banner.text(), err))
	case err != nil:
		return nil, err
	}
	return &line{client: ssh.NewClient(c, channels, requests), last: w, below: below}, nil
}

// denied says which keys the server did not take.
func (t *target) denied(ring *keyring, banner string, err error) error {
	why := "it takes none of these keys: " + strings.Join(ring.names, ", ")
	if len(ring.names) == 0 {
		why = "there is no key to offer"
	}
	if strings.Contains(err.Error(), "Too many") {
		why += " (and gave up; IdentityFile with IdentitiesOnly yes offers the right one alone)"
	}
	if len(ring.left) > 0 {
		why += "; not used: " + strings.Join(ring.left, "; ")
	}
	if banner != "" {
		why += "; it says: " + banner
	}
	return &fault.Error{Op: "place", What: fmt.Sprintf("%s does not let %s in", t.addr(), safetext.Line(t.user)), Why: why, Left: "Nothing was changed there.",
		Do:   "Add the public half of a key to that user's authorized_keys, or name the key in ~/.ssh/config (IdentityFile) or in the place's section (credentials = \"file:PATH\").",
		Code: fault.PlaceUnreachable, Err: err}
}

// banner keeps the start of what a server says before the login.
type banner struct {
	mu   sync.Mutex
	said string
}

func (b *banner) keep(text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.said) < 4<<10 {
		b.said += text[:min(len(text), 4<<10)]
	}
	return nil
}

func (b *banner) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return remote.Words(strings.TrimSpace(b.said))
}
