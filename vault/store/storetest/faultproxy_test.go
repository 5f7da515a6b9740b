package storetest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is a server that keeps what arrives and answers with 1000 bytes.
type seen struct {
	mu   sync.Mutex
	got  []string // host, method and URI
	body [][]byte
}

var answered = Bytes(1000, 9)

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	line := r.Host + " " + r.Method + " " + r.RequestURI
	if err != nil {
		line = "cut short"
	}
	s.got, s.body = append(s.got, line), append(s.body, body)
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write(answered)
}

// behind gives a server and a proxy before it, both with TLS, and a client.
func behind(t *testing.T) (*seen, *FaultProxy, *http.Client) {
	t.Helper()
	s := &seen{}
	ca := NewCA(t)
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server}}
	server.StartTLS()
	t.Cleanup(server.Close)
	p := NewFaultProxy(t, server.URL, FaultOptions{RootCAs: ca.Pool})
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.CA.Pool}, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return s, p, &http.Client{Transport: tr, Timeout: 2 * time.Second}
}

// ask sends 2000 bytes and gives the answer's body as far as it came.
func ask(t *testing.T, c *http.Client, url string) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(Bytes(2000, 1)))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "bucket.example"
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func TestFaultProxyChangesNothingWithoutARule(t *testing.T) {
	s, p, c := behind(t)
	p.Set(FaultRule{Method: "GET", Do: FaultLoseAnswer}, FaultRule{Query: "!x", Do: FaultLoseAnswer}, FaultRule{Path: "^/b$", Do: FaultStall})
	status, b, err := ask(t, c, p.URL+"/a%2Fb/c+d%20e?x=1&y=%2B")
	if err != nil || status != 200 || !bytes.Equal(b, answered) {
		t.Fatalf("%d, %d bytes, %v", status, len(b), err)
	}
	if want := "bucket.example PUT /a%2Fb/c+d%20e?x=1&y=%2B"; s.got[0] != want || !bytes.Equal(s.body[0], Bytes(2000, 1)) {
		t.Errorf("the server got %q with %d bytes", s.got[0], len(s.body[0]))
	}
	if log := p.Log(); p.Done(0) != 0 || len(log) != 1 || log[0] != "PUT /a%2Fb/c+d%20e?x=1&y=%2B 200" {
		t.Errorf("%d faults, log %q", p.Done(0), log)
	}
}

func TestFaultProxyFaults(t *testing.T) {
	half := answered[:500]
	for _, c := range []struct {
		rule   FaultRule
		status int // 0: no answer
		body   []byte
		err    bool
		server int // requests that came whole
	}{
		{FaultAnswering(503, "<Error>"), 503, []byte("<Error>"), false, 0},
		{FaultAnswering(200, "<Error>"), 200, []byte("<Error>"), false, 0},
		{FaultRule{Do: FaultResetRequest}, 0, nil, true, 0},
		{FaultRule{Do: FaultResetResponse}, 200, nil, true, 1}, // how much comes before a reset is not certain
		{FaultRule{Do: FaultTruncate}, 200, half, true, 1},
		{FaultRule{Do: FaultStall}, 0, nil, true, 0},
		{FaultRule{Do: FaultStallResponse}, 200, half, true, 1},
		{FaultRule{Do: FaultWrongRequest}, 200, answered, false, 1},
		{FaultRule{Do: FaultWrongResponse}, 200, other(answered), false, 1},
		{FaultRule{Do: FaultTwiceRequest}, 200, answered, false, 2},
		{FaultRule{Do: FaultTwiceResponse}, 200, answered, false, 1},
		{FaultRule{Do: FaultLoseAnswer}, 0, nil, true, 1},
	} {
		t.Run(c.rule.Do.String(), func(t *testing.T) {
			s, p, client := behind(t)
			c.rule.Nth = 2
			p.Set(c.rule)
			for i := range 3 { // only the second one
				status, b, err := ask(t, client, p.URL+"/x")
				if i != 1 {
					if err != nil || status != 200 || !bytes.Equal(b, answered) {
						t.Fatalf("request %d: %d, %d bytes, %v", i, status, len(b), err)
					}
					continue
				}
				if c.rule.Do == FaultResetResponse {
					if err == nil || len(b) > 500 {
						t.Errorf("%d bytes, %v", len(b), err)
					}
				} else if status != c.status || !bytes.Equal(b, c.body) || (err != nil) != c.err {
					t.Errorf("%d, %d bytes, %v", status, len(b), err)
				}
			}
			whole := 0
			s.mu.Lock()
			for i, g := range s.got {
				wrong := c.rule.Do == FaultWrongRequest && i == 1
				if g != "cut short" && bytes.Equal(s.body[i], Bytes(2000, 1)) != wrong {
					whole++
				}
			}
			s.mu.Unlock()
			if whole != 2+c.server || p.Done(c.rule.Do) != 1 || p.Done(0) != 1 {
				t.Errorf("the server got %d requests whole, want %d; faults %d; log %q", whole, 2+c.server, p.Done(0), p.Log())
			}
		})
	}
}

// echo is a TCP server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestCutProxy(t *testing.T) {
	p := NewCutProxy(t, echo(t))
	talk := func(n int, stall bool) (string, error) {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			return "", err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return "", err
		}
		go func() {
			_, _ = io.WriteString(c, strings.Repeat("x", n))
			if !stall {
				_ = c.(*net.TCPConn).CloseWrite() // to a CutProxy that looks like going away
			}
		}()
		b, err := io.ReadAll(c)
		return string(b), err
	}
	for _, c := range []struct {
		fault *CutFault
		most  int // bytes that come back
		stall bool
	}{
		{nil, 1 << 20, false},
		{&CutFault{Up: true, After: 1000}, 1000, false},
		{&CutFault{After: 70_000}, 70_000, false},
		{&CutFault{Up: true, After: 1000, Stall: true}, 1000, true},
		{&CutFault{After: 0, Stall: true}, 0, true},
	} {
		p.Set(c.fault)
		got, err := talk(1<<20, c.stall)
		var timeout net.Error
		stalled := errors.As(err, &timeout) && timeout.Timeout()
		if len(got) > c.most || (err != nil) != (c.fault != nil) || stalled != c.stall {
			t.Errorf("%+v: %d bytes, %v", c.fault, len(got), err)
		}
		if c.fault == nil {
			continue
		}
		if got, err := talk(100, false); err != nil || len(got) != 100 || p.Done() != 1 || p.Connections() != 2 {
			t.Errorf("%+v, the connection after it: %d bytes, %v, %d cuts", c.fault, len(got), err, p.Done())
		}
	}
}
