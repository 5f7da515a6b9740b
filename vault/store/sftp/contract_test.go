package sftp

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/sftp/sshconf"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// quick waits little between tries.
var quick = remote.Retry{First: time.Millisecond, Most: 20 * time.Millisecond}

// openssh starts a real server for one test.
func openssh(t *testing.T, more ...string) *servers.SFTPServer {
	t.Helper()
	return servers.SFTP(t, more...)
}

// client is a machine with the server's home and nothing else.
func client(s *servers.SFTPServer) *local {
	return &local{conf: sshconf.Source{User: filepath.Join(s.Home, ".ssh", "config"), Home: s.Home, Local: s.User}, getenv: s.Getenv}
}

// at opens a new place on a server.
func at(t *testing.T, srv *servers.SFTPServer) *SFTP {
	t.Helper()
	dir, err := os.MkdirTemp(srv.Dir, "place")
	if err != nil {
		t.Fatal(err)
	}
	return openAt(t, srv, address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: dir})
}

func openAt(t *testing.T, srv *servers.SFTPServer, a address.Address) *SFTP {
	t.Helper()
	s, err := open(a, address.Options{Getenv: srv.Getenv}, client(srv))
	if err != nil {
		t.Fatal(err)
	}
	s.retry = quick
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// noLeftovers fails the test when temporary files stay.
func noLeftovers(t *testing.T, s *SFTP) {
	t.Cleanup(func() {
		left, err := s.Unfinished(context.Background())
		if err != nil || len(left) > 0 {
			t.Errorf("temporary files are left: %+v %v", left, err)
		}
	})
}

func TestContract(t *testing.T) {
	srv := servers.SFTP(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		s := at(t, srv)
		noLeftovers(t, s)
		return s
	})
}
