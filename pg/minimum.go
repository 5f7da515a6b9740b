package pg

import (
	"strconv"
	"strings"
)

// fixedMinor is, by major version, the first minor whose pg_restore and
// pg_dump no longer run what a crafted archive or server tells them to
// (CVE-2026-116314 and those before it; release notes of that day).
var fixedMinor = map[int]int{14: 25, 15: 20, 16: 16, 17: 12, 18: 7}

// Outdated gives the version that repairs known flaws of these client
// programs, or "" where none is known.
func (p Programs) Outdated() string {
	fixed, known := fixedMinor[p.Major]
	_, minor, ok := strings.Cut(p.Version, ".")
	n, err := strconv.Atoi(minor)
	if !known || !ok || err != nil || n >= fixed {
		return ""
	}
	return strconv.Itoa(p.Major) + "." + strconv.Itoa(fixed)
}
