package setup

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault/retention"
)

// chosen is what a person may have chosen, with a place in dir.
func chosen(t *testing.T, dir string) (config.Values, *Recipients) {
	t.Helper()
	r, err := ReadRecipients([]string{pair(t, "ops", false).Lines(), pair(t, "safe", false).Lines()}, "here")
	if err != nil {
		t.Fatal(err)
	}
	place, err := ParsePlace(filepath.Join(dir, "the place"))
	if err != nil {
		t.Fatal(err)
	}
	return config.Values{VaultName: "main", Label: "TEST", MaxAge: 36 * time.Hour, Keep: &retention.Policy{Daily: 7}, Places: []config.Place{{Name: "disk", URL: place}}}, r
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "config.toml")
	v, r := chosen(t, dir)
	if err := Write(path, v, r, rand.Reader); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil || c.Defaults.MaxAge != 36*time.Hour || c.Defaults.Keep != (retention.Policy{Daily: 7}) || c.Vault.Label != "TEST" {
		t.Fatalf("%+v %v", c, err)
	}
	for name, mode := range map[string]os.FileMode{"etc/config.toml": 0o640, "etc/recipients.txt": 0o644, "etc/signing_key": 0o600, "the place": 0o700, "etc": 0o700} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	key, err := os.ReadFile(filepath.Join(dir, "etc/signing_key"))
	if err != nil {
		t.Fatal(err)
	}
	// The same again changes nothing; another choice is refused.
	if err := Write(path, v, r, rand.Reader); err != nil {
		t.Errorf("again: %v", err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, "etc/signing_key")); string(again) != string(key) {
		t.Error("the signing key was replaced")
	}
	other := v
	other.Label = "OTHER"
	if err := Write(path, other, r, rand.Reader); fault.CodeOf(err) != fault.Refused {
		t.Errorf("over another configuration: %v", err)
	}
}

// TestWriteTakesUp: a set-up that was killed after any of its files goes on
// where it stood, and never with other recipients than those chosen.
func TestWriteTakesUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "config.toml")
	v, r := chosen(t, dir)
	if err := Write(path, v, r, rand.Reader); err != nil {
		t.Fatal(err)
	}
	for _, gone := range [][]string{{"config.toml"}, {"config.toml", "recipients.txt"}, {"config.toml", "recipients.txt", "signing_key"}} {
		for _, name := range gone {
			if err := os.Remove(filepath.Join(dir, "etc", name)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if err := Write(path, v, r, rand.Reader); err != nil {
			t.Errorf("without %v: %v", gone, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, others := chosen(t, dir)
	err := Write(path, v, others, rand.Reader)
	if fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "other recipients") {
		t.Errorf("other recipients: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a configuration was written: %v", err)
	}
}

// TestWriteRefusesBefore: what could not be used is refused before any file
// is there.
func TestWriteRefusesBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "config.toml")
	v, r := chosen(t, dir)
	one, err := ReadRecipients([]string{pair(t, "", false).Recipient}, "here")
	if err != nil {
		t.Fatal(err)
	}
	badName := v
	badName.VaultName = "../x"
	for _, c := range []struct {
		v    config.Values
		r    *Recipients
		code fault.Code
	}{{badName, r, fault.Usage}, {v, one, fault.Refused}, {v, nil, fault.Refused}} {
		if err := Write(path, c.v, c.r, rand.Reader); fault.CodeOf(err) != c.code {
			t.Errorf("%v", err)
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("%v", names)
	}
	v.AllowOneRecipient = true
	if err := Write(path, v, one, rand.Reader); err != nil {
		t.Error(err)
	}
}

func TestCheckPlace(t *testing.T) {
	dir := t.TempDir()
	mine, full, open := filepath.Join(dir, "mine"), filepath.Join(dir, "full"), filepath.Join(dir, "open")
	for _, d := range []string{mine, full, open, filepath.Join(dir, "vault", "main")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{filepath.Join(full, "x"), filepath.Join(dir, "vault", "main", "vault.json")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	survey, err := pg.LookAt(t.Context(), server())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		place, state, want string
	}{
		{"", "x", "no place"},
		{"s3://bucket/x?endpoint=http://127.0.0.1:1", "ok", "is tried when you go on"},
		{"s3://bucket/x?regoin=eu", "x", "did you mean \"region\"?"},
		{"s3://key:hunter2@bucket/x", "x", "no password and no key"},
		{filepath.Join(dir, "new", "deep"), "ok", "will be made"},
		{mine, "ok", "empty"},
		{"file:" + mine, "ok", "empty"},
		{full, "!", "not empty"},
		{open, "x", "other users can write"},
		{filepath.Join(dir, "vault"), "!", "holds a vault \"main\" already"},
		{filepath.Join(full, "x"), "x", "x"},
		{filepath.Join(survey.DataDir, "inside"), "x", "data directory"},
	} {
		has(t, CheckPlace(t.Context(), config.Place{URL: c.place}, "main", survey, 0), c.state, c.want)
	}
	has(t, CheckPlace(t.Context(), config.Place{URL: mine}, "main", survey, 1<<60), "!", "the databases take")
	has(t, CheckPlace(t.Context(), config.Place{URL: mine}, "main", survey, 1), "ok", "free")
	// Beside the data directory, on its disk: one broken disk takes both.
	beside := filepath.Join(filepath.Dir(survey.DataDir), "backup")
	has(t, CheckPlace(t.Context(), config.Place{URL: beside}, "main", survey, 0), "!", "on the same disk as the server's data")
	if _, err := os.Stat(filepath.Join(dir, "new")); !os.IsNotExist(err) {
		t.Error("a check made a folder")
	}
}

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]string{"/a b": "file:/a%20b", "file:/x": "file:/x", " /x ": "file:/x", "/a?b": "file:/a%3Fb", "s3://abc/x/": "s3://abc/x", "/a:b": "file:/a:b"} {
		if got, err := ParsePlace(text); err != nil || got != want {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
}

func TestDraft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, there := LoadDraft(dir); there {
		t.Error("a draft in no folder")
	}
	want := guide.Draft{Guide: guideName, Step: "keep", Texts: map[string]string{"server": "shop"}, Lists: map[string][]string{"databases": {"a", "b"}}}
	if err := SaveDraft(dir, want); err != nil {
		t.Fatal(err)
	}
	got, there := LoadDraft(dir)
	if !there || got.Step != "keep" || got.Texts["server"] != "shop" || len(got.Lists["databases"]) != 2 {
		t.Errorf("%+v", got)
	}
	if st, err := os.Stat(filepath.Join(dir, draftName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	if err := os.WriteFile(filepath.Join(dir, draftName), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, there := LoadDraft(dir); there {
		t.Error("half a draft counts")
	}
	for range 2 {
		if err := DropDraft(dir); err != nil {
			t.Error(err)
		}
	}
}
