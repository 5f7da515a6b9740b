package sftp

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store/storetest"
)

// TestServersOwnSum: with a shell on the server, a large file is not read back.
func TestServersOwnSum(t *testing.T) {
	srv := openssh(t)
	s := at(t, srv)
	data := storetest.Bytes(3<<20, 7)
	must(t, put(t, s, "main/large", data))
	c, err := s.session(t.Context())
	must(t, err)
	path, sum := c.at("main/large"), sha256.Sum256(data)
	if c.mute || !c.sums(t.Context(), path, sum[:]) {
		t.Fatalf("mute %v, and no sum of %s", c.mute, path)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, data[1:], 0o600))
	if c.sums(t.Context(), path, sum[:]) || c.mute {
		t.Errorf("other bytes have the same sum; mute %v", c.mute)
	}
	odd := filepath.Join(filepath.Dir(path), "it's")
	must(t, os.WriteFile(odd, data, 0o600))
	if c.sums(t.Context(), odd, sum[:]) || c.mute {
		t.Errorf("a name that a shell may misread was given to one; mute %v", c.mute)
	}
	if c.sums(t.Context(), path+"-none", sum[:]) || !c.mute {
		t.Errorf("a sum of nothing; mute %v", c.mute)
	}
}

// TestSumThatTellsNothing: then the bytes are read back, and judged.
func TestSumThatTellsNothing(t *testing.T) {
	data := storetest.Bytes(2<<20, 3)
	wrong := sha256.Sum256(nil)
	for _, says := range []string{"", "Welcome!\n", fmt.Sprintf("%x  /elsewhere\n", sha256.Sum256(data)), fmt.Sprintf("%x  ", wrong), strings.Repeat("x", 1<<20)} {
		srv := tiny{flip: true, says: says}
		srv.begin(t)
		s := srv.place(t, newFolder(t))
		wantFault(t, put(t, s, "main/x", data), fault.Failed, "read back")
		srv.flip = false
		if err := put(t, s, "main/y", data); err != nil {
			t.Errorf("%.20q: %v", says, err)
		}
	}
}

func TestParseSum(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for text, want := range map[string]bool{
		sum + "  /a/b\n": true, sum + " */a/b\n": true,
		sum + "  /a/b": false, sum + "  /a/c\n": false, sum[:62] + "  /a/b\n": false, "\\" + sum + "  /a/b\n": false,
		"hello\n" + sum + "  /a/b\n": false, sum + "  /a/b\nmore\n": false, strings.Repeat("x", 64) + "  /a/b\n": false, "": false,
	} {
		if got, ok := parseSum(text, "/a/b"); ok != want || ok && got != sum {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

// TestServerWithoutShell: a command gets no answer there, and does not wait for
// one.
func TestServerWithoutShell(t *testing.T) {
	s := at(t, openssh(t, "ForceCommand internal-sftp"))
	must(t, put(t, s, "main/large", storetest.Bytes(3<<20, 7)))
	c, err := s.session(t.Context())
	must(t, err)
	if !c.mute {
		t.Error("it gave a sum")
	}
}
