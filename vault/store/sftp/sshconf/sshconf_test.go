package sshconf

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// write makes files below a new home folder and gives the source for them.
func write(t *testing.T, files map[string]string) Source {
	t.Helper()
	home := t.TempDir()
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "HOME", home)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return Source{User: filepath.Join(home, ".ssh", "config"), Home: home, Local: me.Username}
}

// openSSH asks the real ssh what it makes of a configuration.
func openSSH(t *testing.T, s Source, host, user string) map[string][]string {
	t.Helper()
	args := []string{"-G", "-F", s.User}
	if user != "" {
		args = append(args, "-l", user)
	}
	cmd := exec.Command("ssh", append(args, host)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ssh -G: %v: %s", err, said.String())
	}
	values := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		values[key] = append(values[key], value)
	}
	return values
}

// configs is read by us and by ssh, for several hosts.
var configs = map[string]string{
	"hosts": `
# a comment
Host nas
    HostName nas.example.org   # not a comment to every version
    Port 2222
    User backup
Host nas other*
    Port 1
    User = somebody
    IdentityFile ~/.ssh/one
Host !other1 *
    IdentityFile "/a path/two"
    ConnectTimeout=7
Host other?
	Port	3
`,
	"match": `
Match host nas,web user backup
    Port 10
Match host "*.example.org" !user root
    Port 11
Match originalhost other1
    HostName moved.example.org
Match host moved.*
    Port 12
Match !host nas localuser nobody
    Port 13
Match all
    User everyone
    Port 14
`,
	"match after user": `
User backup
Match user backup
    Port 20
Match host nas exec "true"
    Port 21
`,
	"proxies": `
Host nas
    ProxyJump a@one:22,two
Host other1
    ProxyCommand nc -X 5 "quoted  text" %h %p # kept
Host web
    ProxyJump none
Host *
    ProxyJump late
    HostKeyAlias alias
    UserKnownHostsFile /a /b "/c d"
    IdentitiesOnly yes
    HostKeyAlgorithms ssh-ed25519,rsa-sha2-512
    ServerAliveInterval 5
`,
}

var hosts = []string{"nas", "other1", "other2", "other12", "web", "x.example.org", "NAS"}

func TestAgreesWithSSH(t *testing.T) {
	for name, text := range configs {
		s := write(t, map[string]string{".ssh/config": text})
		for _, host := range hosts {
			for _, user := range []string{"", "backup", "root"} {
				if name == "match after user" && strings.EqualFold(host, "nas") {
					continue // Match exec would decide
				}
				got, err := s.Read(host, user)
				if err != nil {
					t.Errorf("%s, %s: %v", name, host, err)
					continue
				}
				want := openSSH(t, s, host, user)
				jump, command := got.Proxy()
				have := map[string]string{"proxyjump": strings.Join(jump, ","), "proxycommand": command.Text}
				for option, usual := range map[string]string{"port": "22", "hostname": strings.ToLower(host), "hostkeyalias": "",
					"identitiesonly": "no", "connecttimeout": "none", "serveraliveinterval": "0"} {
					if have[option] = got.Get(option); have[option] == "" {
						have[option] = usual
					}
				}
				if v, ok := got.First("UserKnownHostsFile"); ok {
					have["userknownhostsfile"] = strings.Join(v.Args, " ")
				}
				if a := got.Get("HostKeyAlgorithms"); a != "" {
					have["hostkeyalgorithms"] = a
				}
				for option, ours := range have {
					theirs := strings.Join(want[option], " ")
					if ours != theirs {
						t.Errorf("%s, host %s, user %q: %s is %q, ssh says %q", name, host, user, option, ours, theirs)
					}
				}
				if u := got.Get("user"); user == "" && u != "" && u != want["user"][0] {
					t.Errorf("%s, host %s: user %q, ssh says %q", name, host, u, want["user"][0])
				}
				var files []string
				for _, v := range got.All("identityfile") {
					files = append(files, v.Text)
				}
				if ssh := want["identityfile"]; len(files) > 0 && strings.Join(files, "|") != strings.Join(ssh, "|") {
					t.Errorf("%s, host %s: files %q, ssh says %q", name, host, files, ssh)
				}
			}
		}
	}
}

func TestInclude(t *testing.T) {
	s := write(t, map[string]string{
		".ssh/config":        "Host nas\n  Include conf.d/*.conf\n  Port 9\nHost web\n Include HOME/web ~/more\n",
		".ssh/conf.d/1.conf": "User one\nHost other\n  User other\nHost *\n  IdentityFile /k1\n",
		".ssh/conf.d/2.conf": "User two\nIdentityFile /k2\n",
		"web":                "Include HOME/deep\n",
		"deep":               "Port 77\n",
		"more":               "User more\n",
	})
	for host, want := range map[string]string{"nas": "9 one /k1,/k2", "web": "77 more ", "other": "  "} {
		got, err := s.Read(host, "")
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, v := range got.All("IdentityFile") {
			files = append(files, v.Text)
		}
		if have := got.Get("Port") + " " + got.Get("User") + " " + strings.Join(files, ","); have != want {
			t.Errorf("%s: %q, want %q", host, have, want)
		}
	}
}

// TestErrorsNameTheLine: nothing that could decide is passed over.
func TestErrorsNameTheLine(t *testing.T) {
	for text, words := range map[string][]string{
		"Host x\n\nMatch exec \"test -f /x\"\n Port 1\n": {"config:3", "Match exec"},
		"Match final\n":              {"config:1", "Match final"},
		"Match host nas exec true\n": {"config:1", "Match exec"},
		"Match host\n":               {"config:1", "without a pattern"},
		"Match\n":                    {"config:1", "without a criterion"},
		"User \"open\n":              {"config:1", "quote"},
		"Include HOME/.ssh/config\n": {"config:1", "include each other"},
		"Include HOME/bad\n":         {"bad:2", "Match canonical"},
	} {
		s := write(t, map[string]string{".ssh/config": text, "bad": "\nMatch canonical\n"})
		_, err := s.Read("nas", "")
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q is not in %v", text, w, err)
			}
		}
	}
	// What cannot decide does no harm.
	s := write(t, map[string]string{".ssh/config": "Match host web exec true\n Port 1\n"})
	if got, err := s.Read("nas", ""); err != nil || got.Get("Port") != "" {
		t.Errorf("%v", err)
	}
}

func TestFilesOfOthers(t *testing.T) {
	s := write(t, map[string]string{".ssh/config": "Port 1\n"})
	if err := os.Chmod(s.User, 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read("nas", ""); err == nil || !strings.Contains(err.Error(), "0620") {
		t.Errorf("a file that others can write: %v", err)
	}
	if err := os.Remove(s.User); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read("nas", ""); err != nil || got.Get("Port") != "" {
		t.Errorf("without a file: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range configs {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			return // files of this machine
		}
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Source{User: file, Home: "/", Local: "me"}.Read("nas", "")
		if err != nil && !strings.Contains(err.Error(), file+":") {
			t.Errorf("an error without a line: %v", err)
		}
		if err == nil && strings.ContainsRune(got.Get("HostName"), '\n') {
			t.Error("a value of two lines")
		}
	})
}
