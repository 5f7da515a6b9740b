package pg

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

func have(majors ...int) []Programs {
	var all []Programs
	for _, m := range majors {
		v := map[int]string{12: "12.22", 15: "15.18", 16: "16.9", 17: "17.5", 18: "18.1"}[m]
		all = append(all, Programs{Major: m, Version: v, Dir: "/pg/" + v, Server: true})
	}
	return all
}

func TestChoosePrograms(t *testing.T) {
	searched := []string{"/one", "/two"}
	v14, v15, v16 := [3]int{1, 14, 0}, [3]int{1, 15, 0}, [3]int{1, 16, 0}
	cases := []struct {
		name   string
		choose func() (Programs, error)
		want   int // 0: refused
		texts  []string
	}{
		{"dump own", func() (Programs, error) { return ForDump(have(15, 16, 17), searched, 16) }, 16, nil},
		{"dump next newer", func() (Programs, error) { return ForDump(have(15, 17, 18), searched, 16) }, 17, nil},
		{"dump too old", func() (Programs, error) { return ForDump(have(15), searched, 17) }, 0, []string{"17", "15.18", "/one /two", "apt install postgresql-client-17"}},
		{"dump none", func() (Programs, error) { return ForDump(nil, searched, 17) }, 0, []string{"no PostgreSQL client programs", "/one /two"}},
		{"restore own", func() (Programs, error) { return ForRestore(have(15, 16, 17), searched, 15, v14) }, 15, nil},
		{"restore archive newer than target", func() (Programs, error) { return ForRestore(have(15, 16), searched, 15, v15) }, 16, nil},
		{"restore never 17 into 15", func() (Programs, error) { return ForRestore(have(17, 18), searched, 15, v14) }, 0, []string{"transaction_timeout", "postgresql-client-15"}},
		{"restore 1.16 into 16", func() (Programs, error) { return ForRestore(have(15, 16, 17), searched, 16, v16) }, 0, []string{"transaction_timeout", "version 17 or newer"}},
		{"restore 1.16 into 17", func() (Programs, error) { return ForRestore(have(15, 17, 18), searched, 17, v16) }, 17, nil},
		{"restore into 18", func() (Programs, error) { return ForRestore(have(15, 17, 18), searched, 18, v14) }, 18, nil},
		{"restore too old", func() (Programs, error) { return ForRestore(have(15), searched, 18, v16) }, 0, []string{"18", "15.18", "postgresql-client-18"}},
		{"restore unknown", func() (Programs, error) { return ForRestore(have(18), searched, 18, [3]int{1, 17, 0}) }, 0, []string{"newer pgvault"}},
	}
	for _, c := range cases {
		p, err := c.choose()
		if c.want != 0 {
			if err != nil || p.Major != c.want {
				t.Errorf("%s: %v, %v", c.name, p, err)
			}
			continue
		}
		f := fault.As(err)
		if err == nil || f.Code != fault.Refused {
			t.Errorf("%s: %v, %v", c.name, p, err)
			continue
		}
		for _, text := range c.texts {
			if all := f.What + f.Why + f.Do; !strings.Contains(all, text) {
				t.Errorf("%s: %q is not in %s", c.name, text, all)
			}
		}
	}
}

func TestForScratch(t *testing.T) {
	all := have(15, 16, 17)
	all[1].Server = false
	for want, dir := range map[int]string{0: "/pg/17.5", 15: "/pg/15.18", 16: "/pg/17.5"} {
		if got, err := ForScratch(all, nil, want); err != nil || got != dir {
			t.Errorf("%d: %s, %v", want, got, err)
		}
	}
	if _, err := ForScratch(all, []string{"/one"}, 18); fault.CodeOf(err) != fault.Refused || !strings.Contains(fault.As(err).Do, "postgresql-18") {
		t.Errorf("18: %v", err)
	}
}

func TestFindPrograms(t *testing.T) {
	dir := t.TempDir()
	fake := func(sub, version string) string {
		d := filepath.Join(dir, sub)
		os.MkdirAll(d, 0o700)
		for _, p := range []string{"pg_dump", "pg_restore"} {
			os.WriteFile(filepath.Join(d, p), []byte("#!/bin/sh\necho '"+p+" (PostgreSQL) "+version+"'\n"), 0o700)
		}
		return d
	}
	new, beta, broken := fake("new", "99.3 (Debian 99.3-1)"), fake("beta", "100beta1"), fake("broken", "")
	t.Setenv("PATH", strings.Join([]string{beta, new, broken, "relative", dir, "/bin", "/usr/bin"}, ":"))
	all, searched, err := FindPrograms(t.Context(), "")
	if err != nil || len(all) < 2 {
		t.Fatal(all, err)
	}
	last := all[len(all)-2:]
	if last[0].Dir != new || last[0].Version != "99.3" || last[0].Major != 99 || last[1].Version != "100beta1" || last[1].Major != 100 || last[0].Server || last[0].DumpAll != "" {
		t.Errorf("%+v", last)
	}
	if !slices.Contains(searched, broken) || !slices.Contains(searched, "/usr/lib/postgresql/*/bin") {
		t.Errorf("searched %q", searched)
	}
	for _, p := range all {
		if p.Dir == "/usr/bin" {
			if real, _ := filepath.EvalSymlinks("/usr/bin/pg_dump"); filepath.Base(real) == "pg_wrapper" {
				t.Error("Debian's wrapper counts as programs")
			}
		}
	}
	if only, searched, _ := FindPrograms(t.Context(), new); len(only) != 1 || !slices.Equal(searched, []string{new}) {
		t.Errorf("configured folder: %v, %v", only, searched)
	}
}
