package archive

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
)

// recovery gives the commands of docs/FORMAT.md, section 12, as they stand
// there.
func recovery(t *testing.T) []string {
	t.Helper()
	_, section, ok := strings.Cut(string(readFile(t, "../../docs/FORMAT.md")), "## 12. ")
	if !ok {
		t.Fatal("docs/FORMAT.md has no section 12")
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 6 {
		t.Fatalf("section 12 has %d blocks of commands", len(blocks))
	}
	return blocks
}

// stock seals a real dump and gives the archive and a home with key.txt.
func stock(t *testing.T, identity string, to string) (*sealed, string) {
	t.Helper()
	b := newBench(t)
	if to != "" {
		b.to = must(ParseRecipients([]byte(to), "r"))(t)
	}
	s := b.seal(t, must(NewOneTime(b.to))(t), readFile(t, "../../pg/dumpfile/testdata/pg15.dump"))
	home := t.TempDir()
	writeFile(t, filepath.Join(home, "key.txt"), []byte(identity))
	return s, home
}

func bash(ctx context.Context, dir, home, script string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestRecoveryWithStockPrograms runs the documented commands with the
// distribution's ssh-keygen, sha256sum, age, zstd and pg_restore. The one that
// needs a server writes SQL text here instead.
func TestRecoveryWithStockPrograms(t *testing.T) {
	blocks := recovery(t)
	x := must(age.GenerateX25519Identity())(t)
	s, home := stock(t, x.String()+"\n", x.Recipient().String())
	into := strings.Replace(strings.Replace(blocks[3], "createdb", "true", 1), "-d newdb", "-f -", 1)
	if into == blocks[3] {
		t.Fatal("the commands do not restore into newdb")
	}
	blocks[3] = into
	for i, want := range []string{"", "contents.json.zst.age: OK", "TABLE DATA public o'dd", "COPY public.", "CREATE ROLE shop", `"toc_sha256"`} {
		out, err := bash(t.Context(), s.folder, home, blocks[i])
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s\n%v\n%s", blocks[i], err, out)
		}
	}
	got := must(exec.Command("bash", "-c", "age -d -i "+home+"/key.txt "+s.file(MainPart)+" | zstd -d").Output())(t)
	sameBytes(t, "age -d | zstd -d", got, s.dump)

	manifest := readFile(t, s.file(ManifestName))
	writeFile(t, s.file(ManifestName), bytes.Replace(manifest, []byte("whole"), []byte("wholE"), 1))
	if out, err := bash(t.Context(), s.folder, home, blocks[1]); err == nil || strings.Contains(out, "OK") {
		t.Errorf("a changed manifest passed:\n%s", out)
	}
	writeFile(t, s.file(ManifestName), manifest)
	part := readFile(t, s.file(GlobalsPart))
	part[len(part)-1] ^= 1
	writeFile(t, s.file(GlobalsPart), part)
	if out, err := bash(t.Context(), s.folder, home, blocks[1]); err == nil || !strings.Contains(out, GlobalsPart+": FAILED") {
		t.Errorf("a changed part passed:\n%s", out)
	}
}

// TestStockAgeWithSSHKey: an SSH key opens the parts in age's own program.
func TestStockAgeWithSSHKey(t *testing.T) {
	dir := t.TempDir()
	if out, err := run(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"); err != nil {
		t.Fatal(err, out)
	}
	s, home := stock(t, string(readFile(t, filepath.Join(dir, "key"))), string(readFile(t, filepath.Join(dir, "key.pub"))))
	got := must(exec.Command("bash", "-c", "age -d -i "+home+"/key.txt "+s.file(MainPart)+" | zstd -d").Output())(t)
	sameBytes(t, "age -d | zstd -d", got, s.dump)
}
