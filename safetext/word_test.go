package safetext

import (
	"os/exec"
	"testing"
)

// TestWord asks a real shell what it makes of the words.
func TestWord(t *testing.T) {
	for _, s := range []string{"shop", "latest:shop", "/srv/a b", "", "it's", "a\nb", "$HOME", "`id`", "學校", "a=b", "*", "-x", "~", "a\\b", `"`} {
		out, err := exec.Command("sh", "-c", "printf %s "+Word(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %s, which is %q, %v", s, Word(s), out, err)
		}
	}
	if Word("latest:shop") != "latest:shop" {
		t.Error("a plain word was quoted")
	}
}
