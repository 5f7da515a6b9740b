package sftp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgvault/vault/store/storetest"
)

// slow passes TCP on, each byte later by half of a line's round trip.
func slow(t *testing.T, target string, half time.Duration) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var busy sync.WaitGroup
	pass := func(to, from net.Conn) {
		type late struct {
			at   time.Time
			data []byte
		}
		line := make(chan late, 10_000)
		busy.Go(func() {
			for b := range line {
				<-time.After(time.Until(b.at))
				if _, err := to.Write(b.data); err != nil {
					break
				}
			}
			_ = to.Close()
			for range line {
			}
		})
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			line <- late{time.Now().Add(half), buf[:n]}
			if err != nil {
				close(line)
				return
			}
		}
	}
	busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", target)
			if errors.Is(err, syscall.ECONNREFUSED) {
				_ = c.Close()
				continue
			}
			busy.Go(func() { pass(up, c) })
			busy.Go(func() { pass(c, up) })
		}
	})
	t.Cleanup(func() { must(t, l.Close()); busy.Wait() })
	return l.Addr().String()
}

// TestFarAway: over a line of 50 ms, 300 folders are listed in a few seconds
// and 20 MB pass in both directions without waiting for each answer.
func TestFarAway(t *testing.T) {
	srv := openssh(t)
	direct := at(t, srv)
	for i := range 300 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/main/%d", direct.addr.Path, i), 0o700))
		must(t, os.WriteFile(fmt.Sprintf("%s/main/%d/x", direct.addr.Path, i), nil, 0o600))
	}
	s := through(t, srv, slow(t, srv.Addr(), 25*time.Millisecond), direct.addr.Path)
	begun := time.Now()
	if got := storetest.Names(t, s, ""); len(got) != 300 {
		t.Fatalf("%d names", len(got))
	}
	listed := time.Since(begun)
	begun = time.Now()
	storetest.Put(t, s, "big", storetest.Bytes(20<<20, 1))
	wrote := time.Since(begun)
	begun = time.Now()
	storetest.Get(t, s, "big")
	t.Logf("300 folders in %s, 20 MiB written and read back in %s, read in %s", listed, wrote, time.Since(begun))
	if one := 4 * 50 * time.Millisecond * 300; listed > one/4 {
		t.Errorf("listing took %s, one folder after the other takes %s", listed, one)
	}
	if one := 2 * 50 * time.Millisecond * (20 << 20) / largePacket; wrote > one {
		t.Errorf("writing took %s, one request after the other takes %s", wrote, one)
	}
	must(t, s.Close())
}
