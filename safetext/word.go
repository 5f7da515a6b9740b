package safetext

import "strings"

// plainWord is what a POSIX shell takes as it stands.
const plainWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,"

// Word quotes s so that a POSIX shell reads it as one word; what needs no
// quotes stays as it is. It does not make s safe for a terminal.
func Word(s string) string {
	if s != "" && strings.Trim(s, plainWord) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
