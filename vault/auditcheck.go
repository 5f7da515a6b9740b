package vault

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"pgvault/fault"
)

// check reads a trail from some line on and holds each against the one
// before.
type check struct {
	trail   Trail
	entries []auditLine // the parsed ones, oldest first
	offset  int64       // bytes of whole lines read
	seq     int64       // the number that the last line should have
	torn    bool        // the last line could not be parsed: a note must follow
	head    trailHead   // as it was before the trail was read
}

// Checked reads the whole trail and tells whether it is whole.
func (v *Vault) Checked() (Trail, error) {
	c, err := v.trail().check()
	if err != nil {
		return Trail{}, err
	}
	return c.verdict(), nil
}

// check reads all of the trail. The head is read first: lines that others
// append meanwhile come after it.
func (t trail) check() (*check, error) {
	c := &check{head: t.readHead()}
	return c, t.readOn(c)
}

// readOn reads what has been appended since.
func (t trail) readOn(c *check) error {
	f, err := os.Open(t.path(trailFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer f.Close()
		if _, err = f.Seek(c.offset, io.SeekStart); err == nil {
			err = c.read(f)
		}
	}
	if err != nil {
		return &fault.Error{Op: "audit", What: "the audit trail cannot be read", Left: "nothing was changed", Do: "look at " + t.path(trailFile), Err: err}
	}
	return nil
}

func (c *check) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 256<<10)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // half a line is one that is being written, or torn: the head tells
			return nil
		}
		if err != nil {
			return err
		}
		c.offset += int64(len(line))
		c.line(line[:len(line)-1])
	}
}

// line holds one line against what was before it.
func (c *check) line(line []byte) {
	c.seq++
	c.trail.Lines++
	l, ok := parseLine(line)
	switch {
	case !ok:
		if c.torn {
			c.broken(c.trail.Lines)
		}
		c.torn = true
	case c.torn && l.Kind != kindNote, l.Seq != c.seq, l.Prev != c.trail.Head:
		c.broken(c.trail.Lines)
		c.seq, c.torn = l.Seq, false
	default:
		c.torn = false
	}
	c.trail.Head = digest(line)
	if c.head.Seq == c.seq && c.head.SHA256 != c.trail.Head {
		c.broken(c.trail.Lines)
	}
	if ok {
		c.entries = append(c.entries, l)
	}
}

func (c *check) broken(line int64) {
	if c.trail.Broken == 0 {
		c.trail.Broken = line
	}
}

// verdict is the trail's state after all that was read.
func (c *check) verdict() Trail {
	t := c.trail
	switch {
	case t.Broken != 0:
	case c.torn || c.head.Seq > c.seq || c.head.Seq == 0 && t.Lines > 1:
		t.Broken = t.Lines + 1 // the lines that should follow are gone, or nobody can tell
	case c.head.Seq == c.seq && c.head.SHA256 != t.Head && t.Lines > 0:
		t.Broken = t.Lines
	}
	return t
}

// past is what Activity remembers between two calls: reading a trail of
// years every second would be much.
type past struct {
	check   *check
	info    os.FileInfo
	checked time.Time // when all of it was read

	missed   []Activity
	archives time.Time // when missed was derived
}

// recheckEvery is how often all of the trail is read again, although it has
// only grown.
const recheckEvery = time.Minute

// checkTrail is check, reading only what is new where the trail has only
// grown since the last time. v.mu is held.
func (v *Vault) checkTrail() (*check, error) {
	t, p := v.trail(), &v.past
	head := t.readHead()
	info, err := os.Stat(t.path(trailFile))
	if err == nil && p.check != nil && os.SameFile(info, p.info) && v.now().Sub(p.checked) < recheckEvery {
		same := info.Size() == p.info.Size() && info.ModTime().Equal(p.info.ModTime())
		if same || info.Size() > p.info.Size() {
			p.check.head, p.info = head, info
			return p.check, t.readOn(p.check)
		}
	}
	c, rerr := t.check()
	if rerr != nil {
		return nil, rerr
	}
	if p.check = nil; err == nil {
		p.check, p.info, p.checked = c, info, v.now()
	}
	return c, nil
}
