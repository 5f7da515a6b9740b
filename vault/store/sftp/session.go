package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"pgvault/vault/store/remote"
)

const (
	// safePacket is what every server takes in one request; largePacket is
	// for those that speak limits@openssh.com (OpenSSH 8.5, 2021): a whole
	// number of pages below their 255 KiB.
	safePacket  = 32 << 10
	largePacket = 252 << 10

	// inFlight is how many bytes are asked for, or sent, ahead of answers:
	// twice the window of an SSH channel.
	inFlight = 4 << 20
)

// timing says when a connection is taken for dead.
type timing struct {
	alive  time.Duration // between signs of life
	silent time.Duration // without one byte from the server
	answer time.Duration // for one request, though the server is alive
	sync   time.Duration // for one fsync, which may have gigabytes to write
}

var usualTiming = timing{alive: 15 * time.Second, silent: remote.StallAfter, answer: 3 * time.Minute, sync: 30 * time.Minute}

// session is one connection with SFTP on it. When it is dead all that waits
// on it is told, and another one is made.
type session struct {
	line   *line
	ftp    *sftp.Client
	time   timing
	packet int    // bytes in one request
	root   string // the place's folder, absolute, without a slash at the end

	dead chan struct{} // closed when the connection is gone
	once sync.Once
	why  error // of that

	folders sync.Map // name of a folder below root that was seen to be one -> true

	mu    sync.Mutex
	mute  bool // it gave no sum when it was asked for one
	known bool // way was found out
	way   publishing
}

// errLost says that a connection broke: what was asked last may or may not
// have been done.
var errLost = errors.New("the connection broke")

// start begins SFTP on a connection.
func start(ctx context.Context, l *line, t timing) (*session, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.close() })
	defer stop()
	client, err := sftp.NewClient(l.client, sftp.MaxConcurrentRequestsPerFile(inFlight/safePacket))
	if err != nil {
		_ = l.close()
		if strings.Contains(err.Error(), "subsystem request failed") {
			err = remote.Permanent(errors.New("the server has no SFTP (Subsystem sftp in sshd_config)"))
		}
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("starting SFTP: %w", err))
	}
	s := &session{line: l, ftp: client, time: t, packet: safePacket, dead: make(chan struct{})}
	if s.has("limits@openssh.com") {
		s.packet = largePacket
	}
	if err := sftp.MaxPacketUnchecked(s.packet)(client); err != nil {
		return nil, errors.Join(err, l.close())
	}
	go func() { s.kill(client.Wait()) }()
	go func() { s.kill(l.client.Wait()) }()
	go s.keepAlive()
	return s, nil
}

// has tells whether the server offers an extension.
func (c *session) has(extension string) bool {
	_, ok := c.ftp.HasExtension(extension)
	return ok
}

// kill declares the connection dead.
func (c *session) kill(err error) {
	c.once.Do(func() {
		c.why = errLost
		if err != nil && err != io.EOF {
			c.why = fmt.Errorf("%w: %w", errLost, err)
		}
		close(c.dead)
		_ = c.line.close() // it is dead already
	})
}

// gone tells whether the connection is dead.
func (c *session) gone() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// keepAlive asks for a sign of life now and then, and ends a connection that
// gives none.
func (c *session) keepAlive() {
	tick := time.NewTicker(c.time.alive)
	defer tick.Stop()
	asking := make(chan struct{}, 1)
	for {
		select {
		case <-c.dead:
			return
		case <-tick.C:
		}
		if d := c.line.last.silence(); d >= c.time.silent {
			c.kill(fmt.Errorf("no byte came for %s", d.Round(time.Second)))
			return
		}
		select {
		case asking <- struct{}{}:
			go func() {
				_, _, _ = c.line.client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do
				<-asking
			}()
		default: // the last one is still under way
		}
	}
}

// ask does one request and waits for it no longer than ctx, the connection
// and limit allow. late cleans up after an answer that nobody waited for; it
// may be nil.
func ask[T any](ctx context.Context, c *session, limit time.Duration, request func() (T, error), late func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if c.gone() {
		return none, c.why
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := request()
		answered <- answer{v, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case a := <-answered:
		return a.value, c.judge(a.err)
	case <-c.dead:
		err = c.why
	case <-timer.C:
		c.kill(fmt.Errorf("a request was not answered for %s", limit))
		err = c.why
	case <-ctx.Done():
		err = ctx.Err()
	}
	if late != nil {
		go func() {
			if a := <-answered; a.err == nil {
				late(a.value)
			}
		}()
	}
	return none, err
}

// do is ask for what gives nothing.
func (c *session) do(ctx context.Context, request func() error) error {
	_, err := ask(ctx, c, c.time.answer, func() (struct{}, error) { return struct{}{}, request() }, nil)
	return err
}

// judge tells an answer of the server from a connection that broke.
func (c *session) judge(err error) error {
	if err == nil || err == io.EOF || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	var status *sftp.StatusError
	if errors.As(err, &status) && status.FxCode() != sftp.ErrSSHFxConnectionLost && status.FxCode() != sftp.ErrSSHFxNoConnection {
		return err
	}
	c.kill(err)
	return fmt.Errorf("%w: %w", errLost, err)
}

// open opens a file. A handle that comes too late is closed.
func (c *session) open(ctx context.Context, path string, flags int) (*sftp.File, error) {
	return ask(ctx, c, c.time.answer, func() (*sftp.File, error) { return c.ftp.OpenFile(path, flags) },
		func(f *sftp.File) { _ = f.Close() })
}

// lstat looks at a name and follows no symbolic link.
func (c *session) lstat(ctx context.Context, path string) (fs.FileInfo, error) {
	return ask(ctx, c, c.time.answer, func() (fs.FileInfo, error) { return c.ftp.Lstat(path) }, nil)
}

// fsync makes a file or a folder durable. Without the extension it does
// nothing: Promises tells.
func (c *session) fsync(ctx context.Context, f *sftp.File) error {
	if !c.has("fsync@openssh.com") {
		return nil
	}
	_, err := ask(ctx, c, c.time.sync, func() (struct{}, error) { return struct{}{}, f.Sync() }, nil)
	return err
}

// syncFolder makes the names in a folder durable. OpenSSH opens a folder as a
// file and gives its handle to fsync(2).
func (c *session) syncFolder(ctx context.Context, path string) error {
	if !c.has("fsync@openssh.com") {
		return nil
	}
	f, err := c.open(ctx, path, 0)
	if err != nil {
		return err
	}
	err = c.fsync(ctx, f)
	return errors.Join(err, c.do(ctx, f.Close))
}
