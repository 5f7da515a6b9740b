package storetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Fault is one thing that goes wrong between a client and a server.
type Fault int

// The faults. "Half" of a body without bytes is nothing of it.
const (
	FaultAnswer        Fault = iota + 1 // the proxy answers with Status, Header and Body of the rule; the server sees nothing
	FaultResetRequest                   // the server gets half of the request's body, then both connections are reset
	FaultResetResponse                  // the client gets half of the response's body, then its connection is reset
	FaultTruncate                       // the client gets half of the body that Content-Length tells, then an orderly end
	FaultStall                          // the server sees nothing, the client hears nothing until it goes away
	FaultStallResponse                  // the client gets half of the response's body and then hears nothing
	FaultWrongRequest                   // the server gets other bytes, as many as were sent
	FaultWrongResponse                  // the client gets other bytes, as many as were sent
	FaultTwiceRequest                   // the server gets the request twice, the client the second answer
	FaultTwiceResponse                  // the client gets the response twice, then an orderly end
	FaultLoseAnswer                     // the server does its work, then the client's connection is reset
)

var faultNames = map[Fault]string{FaultAnswer: "answer", FaultResetRequest: "reset request", FaultResetResponse: "reset response",
	FaultTruncate: "truncate", FaultStall: "stall", FaultStallResponse: "stall in response", FaultWrongRequest: "wrong request",
	FaultWrongResponse: "wrong response", FaultTwiceRequest: "request twice", FaultTwiceResponse: "response twice",
	FaultLoseAnswer: "lose answer"}

// String names the fault.
func (f Fault) String() string { return faultNames[f] }

// FaultRule says which requests go wrong, and how. Requests are counted from
// when the rules were set.
type FaultRule struct {
	Method string // "" any
	Path   string // regular expression on the path as it was sent; "" any
	Query  string // a key that the query has, "!key" one that it has not; "" any
	Nth    int    // the first of the matching requests to go wrong, from 1; 0 means 1
	Times  int    // so many from there on; 0 means 1, less than 0 all

	Do     Fault
	Status int // of FaultAnswer, as Header and Body
	Header http.Header
	Body   string
}

// FaultAnswering is the rule that the proxy answers itself.
func FaultAnswering(status int, body string) FaultRule {
	return FaultRule{Do: FaultAnswer, Status: status, Body: body}
}

// FaultOptions say how the proxy speaks.
type FaultOptions struct {
	RootCAs *x509.CertPool // of the server; nil means the system's
	Plain   bool           // speak http to the clients, not https
	Hide    []string       // headers that answers lose, as of a service that does not have them; prefixes of names
}

// FaultProxy is a reverse proxy in the test's process, before a real server.
// Without rules it changes nothing that a signature covers: Host, path, query
// and headers arrive as they were sent.
type FaultProxy struct {
	URL string // what clients are told, without a slash at the end
	CA  *CA    // what clients have to trust; nil with Plain

	target *url.URL
	client *http.Transport
	server *httptest.Server
	ended  context.Context // of the test: what stalls ends with it
	hide   []string

	mu    sync.Mutex
	rules []*faultState
	log   []string
	done  map[Fault]int
}

type faultState struct {
	FaultRule
	path *regexp.Regexp
	seen int
}

// NewFaultProxy starts a proxy before the server at target, http:// or
// https:// and its host and port. It ends with the test.
func NewFaultProxy(t TB, target string, o FaultOptions) *FaultProxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		t.Fatalf("fault proxy: the server's URL %q: %v", target, err)
	}
	ended, end := context.WithCancel(context.Background())
	p := &FaultProxy{target: u, hide: o.Hide, ended: ended, done: map[Fault]int{}, client: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, DisableCompression: true}}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if o.Plain {
		p.server.Start()
	} else {
		p.CA = NewCA(t)
		p.server.TLS = &tls.Config{Certificates: []tls.Certificate{p.CA.Server}, NextProtos: []string{"http/1.1"}}
		p.server.StartTLS()
	}
	p.URL = p.server.URL
	t.Cleanup(func() {
		end()
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// Set puts rules in the place of those before, and counts from 0 again.
// The first rule that fits a request decides.
func (p *FaultProxy) Set(rules ...FaultRule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.log, p.done = nil, nil, map[Fault]int{}
	for _, r := range rules {
		p.rules = append(p.rules, &faultState{FaultRule: r, path: regexp.MustCompile(r.Path)})
	}
}

// Done tells how often a fault happened since Set; of all faults when f is 0.
func (p *FaultProxy) Done(f Fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f != 0 {
		return p.done[f]
	}
	all := 0
	for _, n := range p.done {
		all += n
	}
	return all
}

// Log gives the requests since Set, one line each: method, path, query, and
// the fault or the server's status.
func (p *FaultProxy) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Requests gives how many requests came since Set.
func (p *FaultProxy) Requests() int { return len(p.Log()) }

// match counts a request and gives the rule by which it goes wrong, and its
// line in the log.
func (p *FaultProxy) match(r *http.Request) (rule *FaultRule, line int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, r.Method+" "+r.RequestURI)
	line = len(p.log) - 1
	for _, s := range p.rules {
		if !s.fits(r) {
			continue
		}
		s.seen++
		from, times := max(s.Nth, 1), s.Times
		if times == 0 {
			times = 1
		}
		if rule == nil && s.seen >= from && (times < 0 || s.seen < from+times) {
			rule = &s.FaultRule
		}
	}
	return rule, line
}

func (s *faultState) fits(r *http.Request) bool {
	key, without := strings.CutPrefix(s.Query, "!")
	return (s.Method == "" || s.Method == r.Method) && s.path.MatchString(r.URL.EscapedPath()) &&
		(key == "" || r.URL.Query().Has(key) != without)
}

// note ends a request's line in the log, and counts what was done to it.
func (p *FaultProxy) note(line int, f Fault, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line < len(p.log) { // else Set came in between
		p.log[line] += " " + fmt.Sprintf(format, args...)
	}
	if f != 0 {
		p.done[f]++
	}
}
