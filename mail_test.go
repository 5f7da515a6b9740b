package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdMailServer starts a mail server for the story: its address is in $MAIL,
// its password in $MAIL_PASSWORD, and mail number N becomes mail/N.
func cmdMailServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mailserver PASSWORD")
	}
	ts.Check(os.MkdirAll(ts.MkAbs("mail"), 0o700))
	s := smtp.NewServer(&postOffice{dir: ts.MkAbs("mail"), password: args[0]})
	s.Domain, s.AllowInsecureAuth = "localhost", true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	ts.Defer(func() { _ = s.Close(); <-ended })
	ts.Setenv("MAIL", l.Addr().String())
	ts.Setenv("MAIL_PASSWORD", args[0])
}

type postOffice struct {
	dir, password string
	mu            sync.Mutex
	n             int
}

func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &postSession{p}, nil }

type postSession struct{ p *postOffice }

func (s *postSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *postSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != s.p.password {
			return errors.New("not with " + password)
		}
		return nil
	}), nil
}

func (s *postSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *postSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *postSession) Reset()                               {}
func (s *postSession) Logout() error                        { return nil }

func (s *postSession) Data(r io.Reader) error {
	src, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.n++
	return os.WriteFile(filepath.Join(s.p.dir, fmt.Sprint(s.p.n)), src, 0o600)
}
