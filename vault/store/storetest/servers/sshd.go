package servers

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"

	"pgvault/vault/store/storetest"
)

// SFTPServer is a private OpenSSH server on a port of 127.0.0.1, with host
// keys of its own and one key that may log in. It takes no passwords.
type SFTPServer struct {
	Host string // 127.0.0.1
	Port int
	User string // who runs the test

	Home       string // a home folder for clients: .ssh/config names KeyFile, .ssh/known_hosts the server
	KeyFile    string // the private key that may log in
	KnownHosts string // Home's; names all of the host keys, as [Host]:Port
	Dir        string // an empty folder, 0700, for places

	HostKeys map[string]string // type (ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256) -> file of the private key; .pub beside it

	tb      TB
	program string
	config  string // file
	mu      sync.Mutex
	run     *exec.Cmd
	ended   chan struct{}
}

// SFTP starts a server that ends with the test. more are further lines of
// its configuration (sshd_config); they come first, so they win.
func SFTP(t TB, more ...string) *SFTPServer {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatalf("sshd: %v", err)
	}
	s := &SFTPServer{tb: t, program: storetest.Program(t, "sshd"), Host: "127.0.0.1", User: me.Username,
		Home: t.TempDir(), Dir: filepath.Join(t.TempDir(), "place"), HostKeys: map[string]string{}}
	conf := t.TempDir()
	s.must(os.Mkdir(s.Dir, 0o700))
	for name, args := range map[string][]string{
		ssh.KeyAlgoED25519:  {"-t", "ed25519"},
		ssh.KeyAlgoRSA:      {"-t", "rsa", "-b", "2048"},
		ssh.KeyAlgoECDSA256: {"-t", "ecdsa", "-b", "256"},
	} {
		s.HostKeys[name] = filepath.Join(conf, "host_"+name)
		out, err := exec.Command("ssh-keygen", append(args, "-q", "-N", "", "-f", s.HostKeys[name])...).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	s.KeyFile = filepath.Join(conf, "id_ed25519")
	public := s.NewKey(s.KeyFile)
	authorized := filepath.Join(conf, "authorized_keys")
	s.must(os.WriteFile(authorized, public, 0o600))
	lines := append(slices.Clone(more),
		"ListenAddress "+s.Host, "PidFile none", "UsePAM no", "StrictModes no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
		"AuthorizedKeysFile "+authorized, "MaxStartups 200", "MaxSessions 50", "UseDNS no")
	if !slices.ContainsFunc(more, func(l string) bool { return strings.HasPrefix(l, "Subsystem ") }) {
		lines = append(lines, "Subsystem sftp internal-sftp")
	}
	for _, key := range s.HostKeys {
		lines = append(lines, "HostKey "+key)
	}
	s.config = filepath.Join(conf, "sshd_config")
	if os.Geteuid() == 0 { // sshd wants its folder for privilege separation
		s.must(os.MkdirAll("/run/sshd", 0o755))
	}
	t.Cleanup(s.Kill)
	for range 5 { // somebody else may take the port before sshd does
		addr, ferr := freePort()
		s.must(ferr)
		_, port, _ := net.SplitHostPort(addr)
		s.Port, _ = strconv.Atoi(port)
		s.must(os.WriteFile(s.config, []byte(strings.Join(append(lines, "Port "+port), "\n")+"\n"), 0o600))
		if err = s.start(); err == nil {
			break
		}
	}
	s.must(err)
	s.writeHome()
	return s
}

// Addr gives host:port.
func (s *SFTPServer) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// NewKey makes an Ed25519 key pair in OpenSSH's form, the private half in
// the file, and gives the line of the public one. It may not log in.
func (s *SFTPServer) NewKey(file string) (public []byte) {
	s.tb.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	block, err := ssh.MarshalPrivateKey(private, "")
	s.must(err)
	s.must(os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	key, err := ssh.NewPublicKey(pub)
	s.must(err)
	return ssh.MarshalAuthorizedKey(key)
}

// HostKey gives the public half of the host key of a type.
func (s *SFTPServer) HostKey(keyType string) ssh.PublicKey {
	s.tb.Helper()
	line, err := os.ReadFile(s.HostKeys[keyType] + ".pub")
	s.must(err)
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	s.must(err)
	return key
}

// Start starts the server that was killed on the same port, and returns when
// it listens.
func (s *SFTPServer) Start() {
	s.tb.Helper()
	s.must(s.start())
}

func (s *SFTPServer) start() error {
	cmd := exec.Command(s.program, "-D", "-e", "-f", s.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	begun, ended := make(chan error, 1), make(chan struct{})
	var said strings.Builder
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the kernel ends sshd with the thread that started it
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			begun <- err
			return
		}
		listening := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if listening {
				continue // read on, or it would wait for us
			}
			fmt.Fprintln(&said, lines.Text())
			if listening = strings.HasPrefix(lines.Text(), "Server listening on"); listening {
				begun <- nil
			}
		}
		_ = cmd.Wait() // killed
		if !listening {
			begun <- fmt.Errorf("it says: %s", said.String())
		}
	}()
	if err := <-begun; err != nil {
		<-ended
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run, s.ended = cmd, ended
	return nil
}

// Kill ends the server and all of its connections at once, as a power cut
// does. It may be called again, and before another Start.
func (s *SFTPServer) Kill() {
	s.mu.Lock()
	cmd, ended := s.run, s.ended
	s.run = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	children := descendants(cmd.Process.Pid)
	_ = cmd.Process.Kill() // it may have ended
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-ended
}

// KillSessions ends the connections and lets the server listen on.
func (s *SFTPServer) KillSessions() {
	s.mu.Lock()
	cmd := s.run
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	for _, pid := range descendants(cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// Getenv is the environment of a client that has Home.
func (s *SFTPServer) Getenv(name string) string {
	return map[string]string{"HOME": s.Home, "USER": s.User}[name]
}

func (s *SFTPServer) writeHome() {
	s.tb.Helper()
	folder := filepath.Join(s.Home, ".ssh")
	s.must(os.Mkdir(folder, 0o700))
	s.must(os.WriteFile(filepath.Join(folder, "config"), []byte("Host "+s.Host+"\n  IdentityFile "+s.KeyFile+"\n"), 0o600))
	var text strings.Builder
	for keyType := range s.HostKeys {
		fmt.Fprintf(&text, "[%s]:%d %s", s.Host, s.Port, ssh.MarshalAuthorizedKey(s.HostKey(keyType)))
	}
	s.KnownHosts = filepath.Join(folder, "known_hosts")
	s.must(os.WriteFile(s.KnownHosts, []byte(text.String()), 0o600))
}

func (s *SFTPServer) must(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatalf("sshd for the test: %v", err)
	}
}

// descendants gives the processes below one: sshd's connections are sessions
// of their own, which no signal to a group reaches.
func descendants(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil // it has ended
	}
	var all []int
	for _, f := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(f); err == nil {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}
