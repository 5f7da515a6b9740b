package config

import (
	"strings"
	"testing"
	"time"
)

func TestDrill(t *testing.T) {
	c := parse(t, "[drill]\nidentity = \"keys/drill.txt\"\nschedule = \"Sun 04:00\"\ndatabases = [\"shop_*\"]\n")
	d := c.Drill
	if d.Identity != "/etc/pgvault/keys/drill.txt" || d.Every != 30*24*time.Hour || d.Level != "restored" || d.Credential() != "" || d.IdentityFile("/run/x") != d.Identity {
		t.Errorf("%+v", d)
	}
	if !d.Wants("shop_eu") || d.Wants("billing") || !(Drill{}).Wants("billing") {
		t.Error("the wrong databases take part")
	}
	if s := c.DrillSchedule(); s == nil || s.String() != "Sun 04:00" {
		t.Errorf("schedule %v", s)
	}
	if got := c.ProofMaxAge(); got != 60*24*time.Hour {
		t.Errorf("a drill warns after %v", got)
	}
	d = parse(t, "[drill]\nidentity = \"systemd:drill\"\n").Drill
	if d.Credential() != "drill" || d.IdentityFile("") != "" || d.IdentityFile("/run/credentials/x") != "/run/credentials/x/drill" {
		t.Errorf("%+v", d)
	}
	if c := parse(t, ""); c.ProofMaxAge() != 0 || c.DrillSchedule() != nil {
		t.Error("without a drill nothing is asked")
	}
	if c := parse(t, "[defaults]\nproof_max_age = \"10d\"\n[drill]\nidentity = \"/k\"\nschedule = \"off\"\n"); c.ProofMaxAge() != 10*24*time.Hour || c.DrillSchedule() != nil {
		t.Error("what is set counts")
	}
	if c := parse(t, "[drill]\nidentity = \"/k\"\nlevel = \"readable\"\n"); c.ProofMaxAge() != 0 {
		t.Error("a drill that restores nothing asks for proofs by restore")
	}
	if c := parse(t, "[defaults]\nverify = \"restored\"\n"); c.Defaults.Verify != "restored" {
		t.Error(c.Defaults.Verify)
	}
}

func TestDrillRefused(t *testing.T) {
	for src, says := range map[string]string{
		"[drill]\nschedule = \"Sun 04:00\"\n":                             "a drill needs the key",
		"[drill]\nidentity = \"systemd:../x\"\n":                          "name of a credential",
		"[drill]\nidentity = \"systemd:\"\n":                              "name of a credential",
		"[drill]\nidentity = \"/k\"\nevery = \"5m\"\n":                    "an hour at least",
		"[drill]\nidentity = \"/k\"\nlevel = \"intact\"\n":                "one of restored, readable",
		"[drill]\nidentity = \"/k\"\nschedule = \"sometimes\"\n":          "it is no schedule",
		"[drill]\nidentity = \"/k\"\ndatabases = [\"[a\"]\n":              "not a pattern",
		"[drill]\nidentity = \"/k\"\nevry = \"5d\"\n":                     "unknown key",
		"[keys]\nself_check = false\n[defaults]\nverify = \"restored\"\n": "one-time key",
		"[defaults]\nverify = \"restore\"\n":                              "one of stored, intact, readable, restored",
	} {
		_, err := Parse([]byte(src), "c.toml", nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", src, err)
		}
	}
}
