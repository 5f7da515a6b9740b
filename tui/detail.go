package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/vault"
)

// detail is the page of one archive: everything that is known of it.
type detail struct {
	base
	archive vault.Archive
	top     int
	lines   int // as last drawn
	h       int
}

// holds tells whether the page is about the archive with this id.
func (s *detail) holds(id string) bool { return s.archive.ID == id }

func (s *detail) keys(e env) keymap {
	s.archive = e.current(s.archive)
	k := archiveKeys(e, s.archive, true)
	return append(k, moveKeys("line")...)
}

func (s *detail) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	return doArchive(e, s.archive, c)
}

func (s *detail) wheel(_ env, delta int) {
	s.top = max(min(s.top+delta, s.lines-s.h), 0)
}

func (s *detail) view(e env) block {
	lines := []string{detailTitle(e, s.archive)}
	lines = append(lines, detailLines(e, s.archive, true)...)
	s.lines, s.h = len(lines), e.h
	s.top = max(min(s.top, s.lines-s.h), 0)
	return block{lines: lines[s.top:min(s.top+e.h, len(lines))]}
}

func detailTitle(e env, a vault.Archive) string {
	return e.th.titled(e.w, e.th.text(a.Database)+"  "+both(a.Started, e.loc), e.th.text(a.ID))
}

// detailPane is the lower part of the list page: h lines at most.
func detailPane(e env, a vault.Archive, h int) []string {
	lines := append([]string{detailTitle(e, a)}, detailLines(e, a, false)...)
	if len(lines) > h {
		lines = append(lines[:h-1], " ..."+fmt.Sprintf(" %d more lines: Enter", len(lines)-h+1))
	}
	return lines
}

// detailLines tell what is known of an archive; full adds what only the page
// has room for.
func detailLines(e env, a vault.Archive, full bool) []string {
	t := e.th.text
	var out []string
	add := func(label, text string) { out = append(out, labelled(label, text, 8, e.w)...) }
	if a.State != "good" {
		out = append(out, stateLines(e, a)...)
	}
	if a.Imported != nil {
		add("import", "made from a dump of "+both(a.Started, e.loc)+" on "+both(*a.Imported, e.loc)+"; it is no backup made here, and does not count as one")
	}
	if a.ResealedFrom != "" {
		add("resealed", "for other recipients, from "+t(a.ResealedFrom))
	}
	out = append(out, expiryLines(e, a)...)
	source := t(a.Database)
	if a.ServerVersion != "" {
		source += ", PostgreSQL " + t(a.ServerVersion)
	}
	if a.DumpVersion != "" {
		source += ", pg_dump " + t(a.DumpVersion)
	}
	add("source", source)
	content := fmt.Sprintf("%s, %s, %s", plural(int64(a.Tables), "table"), plural(a.Rows, "row"), size(a.Bytes))
	if a.Warnings > 0 {
		content += fmt.Sprintf("; ! %s while it was made", plural(int64(a.Warnings), "warning"))
	}
	add("content", content)
	add("sealed", fmt.Sprintf("age, %s: %s", plural(int64(len(a.Recipient)), "recipient"), t(strings.Join(a.Recipient, ", "))))
	out = append(out, copyLines(e, a, full)...)
	out = append(out, proofLines(e, a, full)...)
	if full {
		add("stored", fmt.Sprintf("%s B encrypted (%s), %s B uncompressed", count(a.Stored), size(a.Stored), count(a.Bytes)))
		add("made", both(a.Started, e.loc)+" to "+both(a.Finished, e.loc)+", "+took(a.Finished.Sub(a.Started)))
		add("number", fmt.Sprintf("%d in this vault", a.Seq))
		add("tags", t(strings.Join(a.Tags, ", ")))
	}
	if a.Pinned {
		add("pinned", "kept whatever the rules say")
	}
	return out
}

// expiryLines tell that no rule of retention kept an archive the last time.
func expiryLines(e env, a vault.Archive) []string {
	if a.Expires == nil {
		return nil
	}
	text := "goes from " + when(*a.Expires, e.now, e.loc)
	switch {
	case a.Pinned:
		text += ", were it not pinned: the next run of retention takes the mark away"
	case !a.Expires.After(e.now):
		text = "goes with the next run of retention, unless a rule keeps it then; U takes the mark away, m pins it for good"
	default:
		text += ", unless a rule keeps it then; U takes the mark away, m pins it for good"
	}
	out := labelled("marked", text, 8, e.w)
	if len(out) > 0 {
		out[0] = strings.Replace(out[0], "marked", e.th.warn("marked"), 1)
	}
	return out
}

func stateLines(e env, a vault.Archive) []string {
	out := labelled("state", proofWord(a)+": "+e.th.text(first(a.Reason, "no reason is known")), 8, e.w)
	if len(out) > 0 {
		out[0] = strings.Replace(out[0], proofWord(a), e.th.proof(proofWord(a)), 1)
	}
	return out
}

// copyLines tell of each copy: how it is; full adds when all of it was last
// read, and why it is not good.
func copyLines(e env, a vault.Archive, full bool) []string {
	if len(a.Copies) == 0 {
		return labelled("copies", "none is known", 8, e.w)
	}
	if !full {
		var parts []string
		for _, c := range a.Copies {
			parts = append(parts, e.th.text(c.Place)+" "+mark(c.State))
		}
		return labelled("copies", strings.Join(parts, ", "), 8, e.w)
	}
	var out []string
	for i, c := range a.Copies {
		out = append(out, labelled(firstOnly(i, "copies"), e.th.text(c.Place)+" "+copyWords(e, c), 8, e.w)...)
	}
	return out
}

func copyWords(e env, c vault.Copy) string {
	s := mark(c.State)
	switch c.State {
	case vault.CopyGood:
		s += ", never read back"
		if c.ReadBack != nil {
			s = mark(c.State) + ", read back " + ago(e.now.Sub(*c.ReadBack))
		}
	default:
		if c.Reason != "" {
			s += ": " + e.th.text(c.Reason)
		}
	}
	if c.LockedUntil != nil {
		s += ", locked until " + c.LockedUntil.In(e.loc).Format("2006-01-02 15:04")
	}
	if c.Known != nil {
		s += ", as known " + ago(e.now.Sub(*c.Known))
	}
	return s
}

func mark(state string) string {
	switch state {
	case vault.CopyGood:
		return "ok"
	case vault.CopyMissing:
		return "! no copy"
	case vault.CopyIncomplete:
		return "! not whole"
	case vault.CopyUnknown:
		return "? unknown"
	}
	return "x " + state
}

// proofMeaning says what a rung of the ladder promises.
func proofMeaning(p vault.Proof) string {
	switch p {
	case vault.ProofStored:
		return "pg_dump ended well; size and SHA-256 were written down"
	case vault.ProofIntact:
		return "the stored bytes were read back and match"
	case vault.ProofReadable:
		return "decrypted and parsed to the last byte"
	case vault.ProofRestored:
		return "brought back once; every table's rows and SHA-256 were equal"
	}
	return "nothing has been proven yet"
}

func proofLines(e env, a vault.Archive, full bool) []string {
	word := string(a.Proof)
	if word == "" {
		word = "none"
	}
	out := labelled("proof", word+": "+proofMeaning(a.Proof), 8, e.w)
	if len(out) > 0 {
		out[0] = strings.Replace(out[0], word, e.th.proof(word), 1)
	}
	records := slices.Clone(a.Proofs)
	slices.SortStableFunc(records, func(a, b vault.ProofRecord) int { return b.At.Compare(a.At) })
	for i, r := range records {
		if !full && i == 2 {
			break
		}
		out = append(out, labelled("", proofRecord(e, r), 8, e.w)...)
	}
	return out
}

// proofRecord is one line of the history of proofs.
func proofRecord(e env, p vault.ProofRecord) string {
	s := p.At.In(e.loc).Format("02 Jan 15:04") + " " + string(p.Level) + " " + e.th.text(p.Result)
	if p.At.Before(e.now.AddDate(0, -11, 0)) {
		s = p.At.In(e.loc).Format(time.DateOnly) + " " + string(p.Level) + " " + e.th.text(p.Result)
	}
	if p.Note != "" {
		s += ", " + e.th.text(p.Note)
	}
	if p.By != "" {
		s += ", by " + e.th.text(p.By)
	}
	if p.Key != "" && p.Key != p.By {
		s += ", key " + e.th.text(p.Key)
	}
	return s
}
