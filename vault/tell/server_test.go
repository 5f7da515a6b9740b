package tell

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailbox is a real mail server in this process.
type mailbox struct {
	mu       sync.Mutex
	mails    []string
	to       []string
	refuse   error // of DATA
	addr     string
	password string
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	return newMailboxWith(t, nil, false)
}

// newMailboxWith speaks TLS, from the start or after STARTTLS, and takes a
// password only then; without a certificate it does neither.
func newMailboxWith(t *testing.T, cert *tls.Config, fromTheStart bool) *mailbox {
	t.Helper()
	m := &mailbox{password: canary}
	s := smtp.NewServer(m)
	s.AllowInsecureAuth = cert == nil
	s.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if fromTheStart {
		l = tls.NewListener(l, cert)
	} else {
		s.TLSConfig = cert
	}
	m.addr = l.Addr().String()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return m
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{m: m}, nil }

func (m *mailbox) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.mails...)
}

type mailSession struct{ m *mailbox }

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "vault" || password != s.m.password {
			return errors.New("no: " + user + " is not known with " + password)
		}
		return nil
	}), nil
}
func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Reset()                               {}
func (s *mailSession) Logout() error                        { return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.to = append(s.m.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	src, err := io.ReadAll(r)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err == nil && s.m.refuse != nil {
		return s.m.refuse
	}
	s.m.mails = append(s.m.mails, string(src))
	return err
}

// got is one request that a web server of a test has had.
type got struct {
	method, path, body string
	header             http.Header
}

// web is a web server that keeps what it gets and answers as answer says.
type web struct {
	*httptest.Server
	mu  sync.Mutex
	all []got
}

func newWeb(t *testing.T, answer http.HandlerFunc) *web {
	t.Helper()
	w := &web{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		src, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.all = append(w.all, got{r.Method, r.URL.RequestURI(), string(src), r.Header.Clone()})
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) requests() []got {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]got{}, w.all...)
}

// host is the server's address as a sink names it.
func (w *web) host() string { return strings.TrimPrefix(w.URL, "http://") }

// instead lets requests to the fixed addresses of services end at the test's
// own server for as long as the test runs.
func (w *web) instead(t *testing.T) {
	t.Helper()
	before := http.DefaultTransport
	http.DefaultTransport = redirect{w, before}
	t.Cleanup(func() { http.DefaultTransport = before })
}

type redirect struct {
	to *web
	by http.RoundTripper
}

func (r redirect) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Host == r.to.host() {
		return r.by.RoundTrip(q)
	}
	if q.URL.Scheme != "https" {
		return nil, errors.New("not by https: " + q.URL.String())
	}
	q = q.Clone(q.Context())
	q.Header.Set("X-Meant-For", q.URL.Host)
	q.URL.Scheme, q.URL.Host = "http", r.to.host()
	return r.by.RoundTrip(q)
}
