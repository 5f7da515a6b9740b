package address

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{
		"1B": 1, "64MiB": 64 << 20, "50 GiB": 50 << 30, "1.5KiB": 1536, "2TB": 2e12, "8TiB": 8 << 40, "0.001KB": 1,
	} {
		got, err := ParseSize(in)
		if got != want || err != nil {
			t.Errorf("%q = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "0B", "0.1B", "5", "-1B", "+1B", "1 MB ", "1mb", "1M", "NaNB", "1e3B", "99999999TiB", "9999999999999999999B", "1,5GB", "1MiB/s"} {
		if n, err := ParseSize(in); err == nil {
			t.Errorf("%q = %d is accepted", in, n)
		}
	}
	if n, err := ParseRate("40MiB/s"); n != 40<<20 || err != nil {
		t.Error(n, err)
	}
	for _, in := range []string{"40MiB", "/s", "40/s", "0B/s", "40MiB/m"} {
		if _, err := ParseRate(in); err == nil {
			t.Errorf("%q is accepted", in)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<53).Draw(t, "n")
		if got, err := ParseSize(FormatSize(n)); got != n || err != nil {
			t.Fatalf("%d is written as %s, then %d, %v", n, FormatSize(n), got, err)
		}
		if got, err := ParseRate(FormatRate(n)); got != n || err != nil {
			t.Fatal(got, err)
		}
	})
}
