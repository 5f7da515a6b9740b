package vault

import (
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
)

// space tells how much can still be written.
func (t *trial) space() Check {
	free, total, err := capacity(t.ctx, t.s)
	switch {
	case err != nil:
		return broken("", err)
	case free < 0:
		return fine("the service does not tell how much is free")
	case free < t.o.MinFree:
		return know("make room there, or lower min_free", "%s; min_free asks for %s: no copy will be made", room(free, total), bytesText(t.o.MinFree))
	}
	return fine("%s", room(free, total))
}

// limits tells the largest archive that fits.
func (t *trial) limits() Check {
	p := t.promises
	if p.MaxObject == 0 {
		return Check{}
	}
	text := "objects of up to " + bytesText(p.MaxObject)
	if p.Pieces > 0 {
		text += fmt.Sprintf(", in at most %d pieces", p.Pieces)
	}
	if p.MaxObject < bigArchive {
		return know("leave part_size out, so that pieces can grow", "%s: a larger archive does not fit", text)
	}
	return fine("%s", text)
}

// unfinished names what was begun and never ended, more than a day ago.
func (t *trial) unfinished() Check {
	var names []string
	gone, size := 0, int64(0)
	if u, ok := store.As[store.Unfinished](t.s); ok {
		all, err := u.Unfinished(t.ctx)
		if err != nil {
			return broken("", err)
		}
		for _, up := range all {
			if t.now().Sub(up.Started) < unfinishedAge {
				continue
			}
			if t.o.Clean {
				if err := u.Discard(t.ctx, up); err != nil {
					return broken("", err)
				}
				gone++
				continue
			}
			name := up.Name
			if name == "" {
				name = up.ID
			}
			names, size = append(names, name), size+max(up.Size, 0)
		}
	} else if len(t.old) == 0 {
		return Check{}
	}
	for _, name := range t.old {
		err := error(nil)
		if t.o.Clean {
			err = t.s.Remove(t.ctx, name)
		}
		switch {
		case !t.o.Clean:
			names = append(names, name)
		case err == nil:
			gone++
		case fault.CodeOf(err) != fault.Refused: // a lock ends some day
			return broken("", err)
		}
	}
	switch {
	case len(names) > 0:
		text := fmt.Sprintf("%d begun more than a day ago and never ended: %s", len(names), strings.Join(names[:min(len(names), 3)], ", "))
		if len(names) > 3 {
			text += " …"
		}
		if size > 0 {
			text += " (" + bytesText(size) + ", which may be billed)"
		}
		return know("pgvault place test --clean discards them", "%s", text)
	case gone > 0:
		return fine("%d from earlier days discarded", gone)
	}
	return fine("nothing is left from earlier days")
}

// compared and durable say what the place does before an archive counts.
func (t *trial) compared() Check {
	if t.promises.Compared == "" {
		return Check{}
	}
	return fine("%s", t.promises.Compared)
}

func (t *trial) durable() Check {
	d := t.promises.Durable
	if d == "" || strings.HasPrefix(d, "unknown") {
		return know(`read copies back: read_back = "each"`, "%s; a power cut there may take what was just written", or(d, "unknown"))
	}
	return fine("%s", d)
}

// promise says in one line what this place keeps and what it does not.
func (t *trial) promise() Check {
	lock := "nothing keeps them from who may delete here"
	switch {
	case !t.until.IsZero():
		lock = "nobody can delete them while the lock holds"
	case t.o.At.Scheme == address.File:
		lock = "who may write to the folder can delete them"
	case len(t.staying) > 0:
		lock = "these credentials cannot delete them"
	}
	if t.failed > 0 {
		return wrong("do what stands above, then test again", "do not keep archives here as it is: %d of %d checks failed", t.failed, t.done)
	}
	return fine("archives are whole or invisible here, and never overwritten; %s", lock)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
