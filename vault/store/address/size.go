package address

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var sizeForm = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([KMGT]i?B|B)$`)

var units = map[string]float64{
	"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// ParseSize reads a number of bytes with its unit: "50GiB", "1.5TB", "64MiB",
// "100B". It must be above zero.
func ParseSize(s string) (int64, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New(`not a size such as "64MiB", "50GiB" or "2TB"`)
	}
	if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && float64(n)*units[m[2]] < 1<<53 {
		return positive(n * int64(units[m[2]]))
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if f *= units[m[2]]; err != nil || f >= math.MaxInt64 {
		return 0, errors.New("more bytes than there can be")
	}
	return positive(int64(f))
}

func positive(n int64) (int64, error) {
	if n <= 0 {
		return 0, errors.New("it must be above zero")
	}
	return n, nil
}

// FormatSize writes a size so that ParseSize reads it back exactly, in the
// largest binary unit that divides it.
func FormatSize(n int64) string {
	unit := 0
	for n >= 1<<10 && n%(1<<10) == 0 && unit < 4 {
		n, unit = n>>10, unit+1
	}
	return fmt.Sprintf("%d%sB", n, []string{"", "Ki", "Mi", "Gi", "Ti"}[unit])
}

// ParseRate reads bytes per second: a size followed by "/s".
func ParseRate(s string) (int64, error) {
	size, ok := strings.CutSuffix(s, "/s")
	if !ok {
		return 0, errors.New(`not a rate such as "40MiB/s"`)
	}
	n, err := ParseSize(strings.TrimRight(size, " "))
	if err != nil {
		return 0, errors.New(strings.Replace(err.Error(), `a size such as "64MiB", "50GiB" or "2TB"`, `a rate such as "40MiB/s"`, 1))
	}
	return n, nil
}

// FormatRate writes a rate as ParseRate reads it.
func FormatRate(n int64) string { return FormatSize(n) + "/s" }
