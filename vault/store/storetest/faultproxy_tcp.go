package storetest

import (
	"io"
	"net"
	"sync"
)

// CutFault says what happens to connections through a CutProxy.
type CutFault struct {
	Nth   int   // the first connection that it happens to, from 1; 0 means 1
	Times int   // to so many from there on; 0 means 1, less than 0 all
	Up    bool  // bytes to the server are counted, else those to the client
	After int64 // bytes that pass before
	Stall bool  // no byte passes any more, in either direction; else the connection is reset
}

// CutProxy passes TCP connections to a server, whatever they carry, and cuts
// or stalls them as it is told.
type CutProxy struct {
	Addr string // host:port for clients

	target string
	ended  chan struct{}

	mu    sync.Mutex
	fault *CutFault
	seen  int
	cuts  int
	conns map[net.Conn]bool
}

// NewCutProxy starts one before the server at target, host:port. It ends
// with the test.
func NewCutProxy(t TB, target string) *CutProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("cut proxy: %v", err)
	}
	p := &CutProxy{Addr: l.Addr().String(), target: target, ended: make(chan struct{}), conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		close(p.ended)
		_ = l.Close() // it listens no longer, that is all
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// Set says what happens to connections from now on, nil nothing, and counts
// from 0 again.
func (p *CutProxy) Set(f *CutFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.seen, p.cuts = f, 0, 0
}

// Done tells how many connections were cut or stalled since Set.
func (p *CutProxy) Done() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Connections tells how many came since Set.
func (p *CutProxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// CutNow resets all connections that are open.
func (p *CutProxy) CutNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		hard(c)
	}
}

// accept counts a connection and gives its fault.
func (p *CutProxy) accept() *CutFault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	if p.fault == nil {
		return nil
	}
	from, times := max(p.fault.Nth, 1), p.fault.Times
	if times == 0 {
		times = 1
	}
	if p.seen < from || times > 0 && p.seen >= from+times {
		return nil
	}
	f := *p.fault
	return &f
}

func (p *CutProxy) serve(client net.Conn) {
	f := p.accept()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		hard(client)
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
		_, _ = client.Close(), server.Close()
	}()
	link := &cutLink{p: p, f: f, client: client, server: server, stalled: make(chan struct{})}
	var both sync.WaitGroup
	both.Go(func() { link.copy(server, client, true) })
	both.Go(func() { link.copy(client, server, false) })
	both.Wait()
}

// cutLink is one connection with its two directions.
type cutLink struct {
	p              *CutProxy
	f              *CutFault
	client, server net.Conn
	stalled        chan struct{}
}

func (l *cutLink) copy(to, from net.Conn, up bool) {
	buf := make([]byte, 32<<10)
	var passed int64
	for {
		limit := int64(len(buf))
		mine := l.f != nil && l.f.Up == up
		if mine {
			if passed >= l.f.After {
				l.strike()
				return
			}
			limit = min(limit, l.f.After-passed)
		}
		n, err := from.Read(buf[:limit])
		if l.silent() {
			return
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				hard(from)
				return
			}
			passed += int64(n)
		}
		if err == io.EOF {
			if t, ok := to.(*net.TCPConn); ok {
				_ = t.CloseWrite() // the other side may be gone already
			}
			return
		}
		if err != nil {
			hard(to)
			return
		}
	}
}

// silent keeps a direction still when the connection has been stalled. It
// tells whether that was so; it returns when the client goes away.
func (l *cutLink) silent() bool {
	select {
	case <-l.stalled:
		l.wait()
		return true
	default:
		return false
	}
}

// strike does what the fault says.
func (l *cutLink) strike() {
	l.p.mu.Lock()
	l.p.cuts++
	l.p.mu.Unlock()
	if !l.f.Stall {
		hard(l.client)
		hard(l.server)
		return
	}
	close(l.stalled)
	l.wait()
}

// wait swallows what the client still sends until it goes away or the test
// ends, then cuts the server off, too.
func (l *cutLink) wait() {
	_, _ = io.Copy(io.Discard, l.client)
	hard(l.server)
	hard(l.client)
}
