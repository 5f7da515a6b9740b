package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/sftp/sshconf"
	"pgvault/vault/store/storetest"
)

// tiny is an SSH server in the test's own process that offers no extension
// of SFTP at all, and whose faults can be chosen.
type tiny struct {
	replaces bool  // rename replaces a taken name, as rename(2) does
	quota    int64 // bytes that all files may have together, 0 any number
	flip     bool  // the first byte of what is read is another one
	banner   string
	deny     bool   // no key may log in
	says     string // what any command prints, "" none may be run

	addr, home string
	key        ssh.Signer // the host's
	mu         sync.Mutex
	used       int64
}

// begin starts it; it ends with the test. home has what a client needs.
func (s *tiny) begin(t *testing.T) {
	t.Helper()
	s.home = t.TempDir()
	_, host, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s.key, err = ssh.NewSignerFromKey(host)
	must(t, err)
	_, mine, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(mine, "")
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(s.addr)
	must(t, os.Mkdir(s.home+"/.ssh", 0o700))
	must(t, os.WriteFile(s.home+"/.ssh/id_ed25519", pem.EncodeToMemory(block), 0o600))
	must(t, os.WriteFile(s.home+"/.ssh/known_hosts", fmt.Appendf(nil, "[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(s.key.PublicKey())), 0o600))
	config := &ssh.ServerConfig{
		BannerCallback: func(ssh.ConnMetadata) string { return s.banner },
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			if s.deny {
				return nil, errors.New("denied")
			}
			return nil, nil
		},
	}
	config.AddHostKey(s.key)
	var busy sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			busy.Go(func() { s.serve(c, config) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		busy.Wait()
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place opens the folder dir on the server.
func (s *tiny) place(t *testing.T, dir string) *SFTP {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	n, err := strconv.Atoi(port)
	must(t, err)
	getenv := func(string) string { return "" }
	p, err := open(address.Address{Scheme: address.SFTP, User: "somebody", Host: "127.0.0.1", Port: n, Path: dir}, address.Options{Getenv: getenv},
		&local{conf: sshconf.Source{Home: s.home, Local: "me"}, getenv: getenv})
	must(t, err)
	p.retry = quick
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

func (s *tiny) serve(c net.Conn, config *ssh.ServerConfig) {
	defer c.Close()
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for ch := range channels {
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem" || r.Type == "exec" && s.says != "", nil)
				if r.Type == "exec" {
					_, _ = io.WriteString(channel, s.says)
					_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
					_ = channel.Close()
				}
				if r.Type == "subsystem" {
					go func() {
						_ = sftp.NewRequestServer(channel, sftp.Handlers{FileGet: s, FilePut: s, FileCmd: s, FileList: s}).Serve()
						_ = channel.Close()
					}()
				}
			}
		}()
	}
}

// Fileread opens files, and folders as OpenSSH does not here.
func (s *tiny) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	f, err := os.Open(r.Filepath)
	if err != nil {
		return nil, err
	}
	if s.flip {
		return flipping{f}, nil
	}
	return f, nil
}

type flipping struct{ *os.File }

func (f flipping) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if off == 0 && n > 0 {
		p[0] ^= 1
	}
	return n, err
}

func (s *tiny) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	flags := os.O_WRONLY
	if p := r.Pflags(); p.Creat {
		flags |= os.O_CREATE
		if p.Excl {
			flags |= os.O_EXCL
		}
	}
	f, err := os.OpenFile(r.Filepath, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return &counted{f, s}, nil
}

type counted struct {
	*os.File
	s *tiny
}

func (c *counted) WriteAt(p []byte, off int64) (int, error) {
	c.s.mu.Lock()
	c.s.used += int64(len(p))
	full := c.s.quota > 0 && c.s.used > c.s.quota
	c.s.mu.Unlock()
	if full {
		return 0, errors.New("\x1b]0;owned\a\x1b[2J" + strings.Repeat("no ", 1000))
	}
	return c.File.WriteAt(p, off)
}

func (s *tiny) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return nil
	case "Rename":
		if s.replaces {
			return os.Rename(r.Filepath, r.Target)
		}
		if err := os.Link(r.Filepath, r.Target); err != nil {
			return err
		}
		return os.Remove(r.Filepath)
	case "Mkdir":
		return os.Mkdir(r.Filepath, 0o700)
	case "Rmdir", "Remove":
		return os.Remove(r.Filepath)
	}
	return sftp.ErrSSHFxOpUnsupported
}

type infos []fs.FileInfo

func (l infos) ListAt(to []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[offset:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

func (s *tiny) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "List" {
		entries, err := os.ReadDir(r.Filepath)
		var all infos
		for _, e := range entries {
			if fi, err := e.Info(); err == nil {
				all = append(all, fi)
			}
		}
		return all, err
	}
	fi, err := os.Stat(r.Filepath)
	return infos{fi}, err
}

func (s *tiny) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	fi, err := os.Lstat(r.Filepath)
	if errors.Is(err, errNotDir) {
		err = fs.ErrNotExist
	}
	return infos{fi}, err
}

// newFolder gives an empty place's folder.
func newFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "place")
	must(t, os.Mkdir(dir, 0o700))
	return dir
}

// TestContractWithoutExtensions: no fsync, no hard links, no statvfs, small
// requests; a rename that refuses a taken name is enough.
func TestContractWithoutExtensions(t *testing.T) {
	var srv tiny
	srv.begin(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		s := srv.place(t, newFolder(t))
		noLeftovers(t, s)
		return s
	})
}
