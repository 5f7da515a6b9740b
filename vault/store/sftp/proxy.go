package sftp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runProxy runs a ProxyCommand as ssh does, by the user's shell, and gives
// what it reads and writes as a connection. Closing that ends it.
func runProxy(command string) (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "proxy"), os.NewFile(uintptr(fds[1]), "proxy")
	defer mine.Close() // FileConn has its own
	defer theirs.Close()
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.Command(shell, "-c", "exec "+command)
	cmd.Stdin, cmd.Stdout = theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to answer
	conn, err := net.FileConn(mine)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ProxyCommand: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its connection ends with it, and that is noticed
		close(ended)
	}()
	return &proxyConn{Conn: conn, pid: cmd.Process.Pid, ended: ended}, nil
}

type proxyConn struct {
	net.Conn
	pid   int
	ended chan struct{}
}

// RemoteAddr gives an address with a port, which host key checks split.
func (p *proxyConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// Close ends the command, too.
func (p *proxyConn) Close() error {
	err := p.Conn.Close()
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.pid, syscall.SIGTERM) // it may end this moment
	}
	return err
}

// watched notes when a connection last gave a byte.
type watched struct {
	net.Conn
	heard atomic.Int64 // nanoseconds since 1970
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// silence tells for how long nothing came.
func (w *watched) silence() time.Duration { return time.Since(time.Unix(0, w.heard.Load())) }
