package sftp

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
)

// TestAlias: host, port, user and key come from ~/.ssh/config alone.
func TestAlias(t *testing.T) {
	srv := openssh(t)
	writeConfig(t, srv, fmt.Sprintf("Host nas\n HostName %s\n Port %d\n User %s\n IdentityFile %s\n ConnectTimeout 5\n ServerAliveInterval 2", srv.Host, srv.Port, srv.User, srv.KeyFile))
	s := openAt(t, srv, address.Address{Scheme: address.SFTP, Host: "nas", Path: srv.Dir})
	storetest.Put(t, s, "main/x", []byte("x"))
	if got := s.String(); got != "sftp://nas"+srv.Dir {
		t.Errorf("String() = %s", got)
	}
	if s.time.alive.Seconds() != 2 {
		t.Errorf("signs of life every %s", s.time.alive)
	}
}

// inHome makes a folder in the home folder of who runs sshd.
func inHome(t *testing.T) (home, dir string) {
	t.Helper()
	me, err := user.Current()
	must(t, err)
	dir, err = os.MkdirTemp(me.HomeDir, "pgvault-test-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return me.HomeDir, dir
}

// TestBelowHome: /~/ in the address is the home folder on the server.
func TestBelowHome(t *testing.T) {
	srv := openssh(t)
	home, dir := inHome(t)
	name := strings.TrimPrefix(dir, home+"/")
	for range 2 {
		s := openAt(t, srv, address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: name})
		if got, want := s.String(), fmt.Sprintf("sftp://%s@%s:%d/~/%s", srv.User, srv.Host, srv.Port, name); got != want {
			t.Errorf("String() = %s, want %s", got, want)
		}
		if len(storetest.Names(t, s, "")) == 0 {
			storetest.Put(t, s, "x", []byte("x"))
		}
	}
	if text := mustRead(t, dir+"/x"); string(text) != "x" {
		t.Errorf("%q", text)
	}
}

// TestProxyJump goes through one and two hops; each has a host key that is
// checked and a key of its own.
func TestProxyJump(t *testing.T) {
	one, two, last := openssh(t), openssh(t), openssh(t)
	known := string(mustRead(t, one.KnownHosts)) + string(mustRead(t, two.KnownHosts)) + string(mustRead(t, last.KnownHosts))
	config := func(jump, more string) {
		writeConfig(t, last, fmt.Sprintf(`Host one
 HostName %s
 Port %d
 IdentityFile %s
Host two
 HostName %s
 Port %d
 IdentityFile %s
 %s
Host last
 HostName %s
 Port %d
 IdentityFile %s
 ProxyJump %s`, one.Host, one.Port, one.KeyFile, two.Host, two.Port, two.KeyFile, more, last.Host, last.Port, last.KeyFile, jump))
		must(t, os.WriteFile(last.KnownHosts, []byte(known), 0o600))
	}
	a := address.Address{Scheme: address.SFTP, User: last.User, Host: "last", Path: last.Dir}
	for i, jump := range []string{"one", "one,two", fmt.Sprintf("%s@one:%d, ssh://two:%d/", last.User, one.Port, two.Port), "none"} {
		config(jump, "")
		s := openAt(t, last, a)
		storetest.Put(t, s, fmt.Sprint("x", i), storetest.Bytes(1<<20, 1))
		must(t, s.Close())
	}
	config("two", "ProxyJump one") // the hop's own hop
	storetest.Put(t, openAt(t, last, a), "y", nil)

	config("one,two", "")
	must(t, os.WriteFile(last.KnownHosts, mustRead(t, one.KnownHosts), 0o600))
	_, err := openAt(t, last, a).List(t.Context(), "")
	wantFault(t, err, fault.Refused, "refused the host key of "+two.Addr(), "it is not known")

	config("two", "ProxyJump two")
	_, err = openAt(t, last, a).List(t.Context(), "")
	wantFault(t, err, fault.PlaceUnreachable, "circle")
	one.Kill()
	config("one", "")
	_, err = openAt(t, last, a).List(t.Context(), "")
	wantFault(t, err, fault.PlaceUnreachable, "ProxyJump "+one.Addr(), "refused")
}

// TestProxyCommand runs a program whose stdin and stdout are the connection.
func TestProxyCommand(t *testing.T) {
	srv := openssh(t)
	t.Setenv(childEnv, "netcat\x1f"+srv.Addr())
	writeConfig(t, srv, "Host nas\n HostName "+srv.Host+"\n IdentityFile "+srv.KeyFile+"\n ProxyCommand "+os.Args[0]+" %h %p %%")
	s := openAt(t, srv, address.Address{Scheme: address.SFTP, User: srv.User, Host: "nas", Port: srv.Port, Path: srv.Dir})
	data := storetest.Bytes(3<<20, 1)
	storetest.Put(t, s, "x", data)
	if got := storetest.Get(t, s, "x"); len(got) != len(data) {
		t.Errorf("%d bytes", len(got))
	}
	must(t, s.Close())
	for command, word := range map[string]string{"/bin/false": "handshake failed", "/no/such/program": "handshake failed", "nc %x": "%x is not known"} {
		writeConfig(t, srv, "IdentityFile "+srv.KeyFile+"\nProxyCommand "+command)
		here := client(srv)
		s, err := open(s.addr, address.Options{Getenv: here.getenv}, here)
		if err == nil {
			s.retry = quick
			_, err = s.List(t.Context(), "")
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// TestWholeServer: the place's folder is the root of what the user sees.
func TestWholeServer(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can shut users in
	}
	_, dir := inHome(t) // sshd wants no folder above it that others can write
	srv := openssh(t, "ChrootDirectory "+dir, "ForceCommand internal-sftp")
	s := openAt(t, srv, address.Address{Scheme: address.SFTP, User: srv.User, Host: srv.Host, Port: srv.Port, Path: "/"})
	noLeftovers(t, s)
	storetest.Put(t, s, "x", []byte("x"))
	storetest.Put(t, s, "main/y", []byte("y"))
	if got := storetest.Names(t, s, ""); len(got) != 2 {
		t.Errorf("%q", got)
	}
	must(t, s.Remove(t.Context(), "main/y"))
	if free, err := s.Free(t.Context()); err != nil || free <= 0 {
		t.Errorf("%d, %v", free, err)
	}
}

func TestAddresses(t *testing.T) {
	srv := openssh(t)
	for why, a := range map[string]address.Address{
		"no host":   {Path: "/x"},
		"no folder": {Host: "nas"},
		"NUL":       {Host: "nas", Path: "/x\x00"},
		" names no": {Host: "-oProxyCommand=x", Path: "/x"},
	} {
		_, err := open(a, address.Options{Getenv: srv.Getenv}, client(srv))
		wantFault(t, err, fault.Usage, why)
	}
	_, err := open(address.Address{Host: "nas", Path: "/x"}, address.Options{Getenv: srv.Getenv, ObjectLock: 1}, client(srv))
	wantFault(t, err, fault.Usage, "object lock")
	writeConfig(t, srv, "Host *\n\nMatch exec true\n")
	_, err = open(address.Address{Host: "nas", Path: "/x"}, address.Options{Getenv: srv.Getenv}, client(srv))
	wantFault(t, err, fault.Usage, "config:3", "Match exec")
	writeConfig(t, srv, "Port x\n")
	_, err = open(address.Address{Host: "nas", Path: "/x"}, address.Options{Getenv: srv.Getenv}, client(srv))
	wantFault(t, err, fault.Usage, "config:1", "no port")
	writeConfig(t, srv, "RevokedHostKeys /etc/ssh/revoked\n")
	_, err = open(address.Address{Host: "nas", Path: "/x"}, address.Options{Getenv: srv.Getenv}, client(srv))
	wantFault(t, err, fault.Usage, "config:1", "@revoked")
	s, err := open(address.Address{Scheme: address.SFTP, Host: "::1", Port: 22, User: "a b", Path: "/x y"}, address.Options{Getenv: func(string) string { return "" }},
		&local{getenv: func(string) string { return "" }})
	if err != nil || s.String() != "sftp://a%20b@[::1]:22/x%20y" {
		t.Errorf("%v, %v", s, err)
	}
}
