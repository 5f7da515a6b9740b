package sftp

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/store/sftp/sshconf"
)

// local is what this machine contributes to a connection.
type local struct {
	conf   sshconf.Source
	getenv func(string) string
	global []string // the known_hosts files of all users
}

// target is one server with all that ssh_config(5) says of it.
type target struct {
	local *local
	alias string // as it was written in the address
	host  string // to connect to
	port  int
	user  string

	identities     []string // files, in order
	named          bool     // they were chosen, not the usual ones
	identitiesOnly bool
	agent          string // socket, "" none

	known    []string // known_hosts files
	keyAlias string   // HostKeyAlias
	hostAlgs string   // HostKeyAlgorithms

	jump    []string // ProxyJump, in order
	command string   // ProxyCommand

	timeout time.Duration // to connect
	alive   time.Duration // between signs of life
}

// The usual key files, in the order in which ssh tries them.
var usualKeys = []string{"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"}

// thisMachine finds the user's own configuration.
func thisMachine(getenv func(string) string) (*local, error) {
	me, err := user.Current()
	home := getenv("HOME")
	if err == nil && home == "" {
		home = me.HomeDir
	}
	if home == "" {
		return nil, fmt.Errorf("the home folder is not known: %w", err)
	}
	name := getenv("USER")
	if err == nil {
		name = me.Username
	}
	return &local{
		conf: sshconf.Source{User: filepath.Join(home, ".ssh", "config"), System: "/etc/ssh/ssh_config",
			Home: home, Local: name},
		getenv: getenv,
		global: []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"},
	}, nil
}

// target resolves one server; an empty user and a port of 0 are left to the
// configuration. Errors are *fault.Error with the code Usage.
func (l *local) target(alias, asUser string, port int) (*target, error) {
	t, err := l.resolve(alias, asUser, port)
	if err != nil {
		return nil, &fault.Error{Op: "place", What: "the ssh configuration for " + alias + " cannot be used", Why: err.Error(),
			Left: "Nothing was sent.", Do: "Mend that line; ssh -G " + alias + " shows what ssh makes of it.", Code: fault.Usage, Err: err}
	}
	return t, nil
}

func (l *local) resolve(alias, asUser string, port int) (*target, error) {
	s, err := l.conf.Read(alias, asUser)
	if err != nil {
		return nil, err
	}
	t := &target{local: l, alias: alias, host: alias, port: port, user: asUser, hostAlgs: s.Get("HostKeyAlgorithms")}
	if h, ok := s.First("HostName"); ok {
		if t.host, err = expand(h, map[byte]string{'h': alias}, nil); err != nil {
			return nil, err
		}
	}
	t.host = strings.ToLower(t.host)
	if t.port == 0 {
		t.port = 22
		if p, ok := s.First("Port"); ok {
			if t.port, err = strconv.Atoi(p.Text); err != nil || t.port < 1 || t.port > 65535 {
				return nil, fmt.Errorf("%s: no port: %s", p.At(), p.Text)
			}
		}
	}
	if t.user == "" {
		if t.user = s.Get("User"); t.user == "" {
			t.user = l.conf.Local
		}
	}
	if r, ok := s.First("RevokedHostKeys"); ok && r.Text != "none" {
		return nil, fmt.Errorf("%s: pgvault cannot read RevokedHostKeys; name such keys with @revoked in known_hosts", r.At())
	}
	t.keyAlias = strings.ToLower(s.Get("HostKeyAlias"))
	if err := t.times(s); err != nil {
		return nil, err
	}
	if err := t.files(s); err != nil {
		return nil, err
	}
	return t, t.proxies(s)
}

// times reads the options that are durations.
func (t *target) times(s *sshconf.Settings) error {
	for option, d := range map[string]*time.Duration{"ConnectTimeout": &t.timeout, "ServerAliveInterval": &t.alive} {
		v, ok := s.First(option)
		if !ok || v.Text == "none" {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(v.Text, "s"))
		if err != nil || n < 0 {
			return fmt.Errorf("%s: not in seconds: %s", v.At(), v.Text)
		}
		*d = time.Duration(n) * time.Second
	}
	return nil
}

// files finds keys, agent and known_hosts.
func (t *target) files(s *sshconf.Settings) (err error) {
	t.identitiesOnly = s.Get("IdentitiesOnly") == "yes"
	for _, v := range s.All("IdentityFile") {
		t.named = true
		if v.Text == "none" {
			continue
		}
		file, err := t.path(v, v.Text)
		if err != nil {
			return err
		}
		if !slices.Contains(t.identities, file) {
			t.identities = append(t.identities, file)
		}
	}
	if !t.named {
		for _, k := range usualKeys {
			t.identities = append(t.identities, filepath.Join(t.local.conf.Home, ".ssh", k))
		}
	}
	t.agent = t.local.getenv("SSH_AUTH_SOCK")
	if v, ok := s.First("IdentityAgent"); ok {
		switch {
		case v.Text == "none":
			t.agent = ""
		case v.Text == "SSH_AUTH_SOCK":
		case strings.HasPrefix(v.Text, "$") && !strings.HasPrefix(v.Text, "${"):
			t.agent = t.local.getenv(v.Text[1:])
		default:
			if t.agent, err = t.path(v, v.Text); err != nil {
				return err
			}
		}
	}
	own, err := t.knownFiles(s, "UserKnownHostsFile", []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"})
	if err != nil {
		return err
	}
	global, err := t.knownFiles(s, "GlobalKnownHostsFile", t.local.global)
	t.known = append(own, global...)
	return err
}

func (t *target) knownFiles(s *sshconf.Settings, option string, usual []string) (files []string, err error) {
	v, ok := s.First(option)
	names := v.Args
	if !ok {
		names = usual
	}
	for _, n := range names {
		if n == "none" {
			continue
		}
		file, err := t.path(v, n)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// proxies reads ProxyJump and ProxyCommand.
func (t *target) proxies(s *sshconf.Settings) (err error) {
	jump, command := s.Proxy()
	t.jump = jump
	if command.Text != "" {
		t.command, err = expand(command, map[byte]string{'h': t.host, 'n': t.alias, 'p': strconv.Itoa(t.port), 'r': t.user}, nil)
	}
	return err
}

// addr gives host:port.
func (t *target) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// path expands ~, %-tokens and ${VARIABLES} of a file's name.
func (t *target) path(at sshconf.Value, name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = filepath.Join(t.local.conf.Home, rest)
	}
	machine, _ := os.Hostname() // only %l and %L need it
	short, _, _ := strings.Cut(machine, ".")
	k := t.keyAlias
	if k == "" {
		k = t.alias
	}
	at.Text = name
	name, err := expand(at, map[byte]string{'d': t.local.conf.Home, 'h': t.host, 'i': strconv.Itoa(os.Getuid()), 'k': k,
		'L': short, 'l': machine, 'n': t.alias, 'p': strconv.Itoa(t.port), 'r': t.user, 'u': t.local.conf.Local}, t.local.getenv)
	if err == nil && !filepath.IsAbs(name) {
		return filepath.Abs(name)
	}
	return name, err
}

// expand replaces %-tokens, and ${VARIABLES} where getenv is there.
func expand(v sshconf.Value, tokens map[byte]string, getenv func(string) string) (string, error) {
	var out strings.Builder
	for s := v.Text; s != ""; {
		switch {
		case s[0] == '%' && len(s) > 1:
			value, ok := tokens[s[1]]
			if s[1] == '%' {
				value, ok = "%", true
			}
			if !ok {
				return "", fmt.Errorf("%s: %%%c is not known here", v.At(), s[1])
			}
			out.WriteString(value)
			s = s[2:]
		case getenv != nil && strings.HasPrefix(s, "${"):
			name, rest, ok := strings.Cut(s[2:], "}")
			if !ok || getenv(name) == "" {
				return "", fmt.Errorf("%s: ${%s is not set", v.At(), name)
			}
			out.WriteString(getenv(name))
			s = rest
		default:
			out.WriteByte(s[0])
			s = s[1:]
		}
	}
	return out.String(), nil
}
