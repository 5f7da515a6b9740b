package tui

import (
	"fmt"
	"strings"

	"pgvault/safetext"
	"pgvault/vault"
)

// shellWord quotes s so that a shell reads it as one word: bare where
// harmless, in single quotes, or as $'…' where it holds what a terminal
// would act on.
func shellWord(s string) string {
	plain := s != ""
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+=", r) {
			plain = false
		}
	}
	if plain && s[0] != '-' {
		return s
	}
	if safetext.Line(s) == s {
		word := "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		if strings.HasPrefix(s, "-") {
			return "-- " + word
		}
		return word
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x20 && c < 0x7f && c != '\'' && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// verifyCommand is the command line that does what the screen does.
func verifyCommand(a runVerify) string {
	s := "pgvault verify " + shellWord(a.archive.ID) + " --level " + string(a.level)
	if a.level != vault.ProofIntact {
		s += identityFlags(a.files)
	}
	return s
}

func identityFlags(files []string) string {
	s := ""
	for _, f := range files {
		s += " -i " + shellWord(f)
	}
	return s
}
