package pg

import "testing"

func TestOutdated(t *testing.T) {
	for _, c := range []struct {
		p    Programs
		want string
	}{
		{Programs{Major: 15, Version: "15.18"}, "15.20"},
		{Programs{Major: 15, Version: "15.20"}, ""},
		{Programs{Major: 18, Version: "18.6"}, "18.7"},
		{Programs{Major: 13, Version: "13.1"}, ""}, // no repaired 13 was released
		{Programs{Major: 19, Version: "19devel"}, ""},
	} {
		if got := c.p.Outdated(); got != c.want {
			t.Errorf("%s: %q, want %q", c.p.Version, got, c.want)
		}
	}
}
