package tui

import (
	"fmt"
	"strconv"
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

// orderCommand is the command line that does what a job does. A secret is
// never part of it: which identity to use is for the person who types it.
func orderCommand(o vault.Order) string {
	s := "pgvault " + string(o.Kind)
	switch o.Kind {
	case vault.KindBackup:
		return s + " " + shellWord(o.Database)
	case vault.KindVerify:
		return s + " " + shellWord(o.ID) + " --level " + string(o.Level)
	case vault.KindCopy:
		if o.Missing {
			s += " --missing"
		} else {
			s += " " + shellWord(o.ID)
		}
		for _, place := range o.To {
			s += " --to " + shellWord(place)
		}
		return s
	case vault.KindRetention:
		for _, name := range o.Names {
			s += " " + shellWord(name)
		}
		return s + " --apply --confirm " + strconv.Itoa(o.Confirm)
	case vault.KindRestore:
		s += " " + shellWord(o.ID)
		if o.ToEmpty != "" {
			s += " --to-empty " + shellWord(o.ToEmpty)
		} else if o.ToNew != "" {
			s += " --to-new " + shellWord(o.ToNew)
		}
		if len(o.Tables) > 0 {
			s += " --tables " + shellWord(strings.Join(o.Tables, ","))
		}
		return s + restoreFlags(o)
	case vault.KindSwitch:
		return s + " " + switchFlags(o)
	}
	return ""
}

// restoreFlags are what was decided about roles and tablespaces.
func restoreFlags(o vault.Order) string {
	s := ""
	if o.FullRoles {
		s += " --roles create"
	}
	if o.CreateRoles {
		s += " --create-roles"
	}
	if o.NoOwner {
		s += " --no-owner"
	}
	if o.NoTablespaces {
		s += " --no-tablespaces"
	}
	return s
}

// switchFlags is the rest of the command of a switch, of its undo, or of the
// end of one that was broken off.
func switchFlags(o vault.Order) string {
	s := shellWord(o.Database)
	switch {
	case o.Resumes && o.Goal == vault.GoalOriginal: // whichever it was, this is where it ends
		s += " --undo"
	case o.Resumes:
		s += " --resume"
	case o.Goal == vault.GoalOriginal:
		s += " --undo"
	default:
		s += " --with " + shellWord(o.ToNew)
	}
	for _, a := range o.Accept {
		s += " --accept " + shellWord(a)
	}
	return s + " --confirm " + shellWord(o.Database)
}
