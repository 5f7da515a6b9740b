package replicate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// source is a place that has the archive. copier.mu guards it.
type source struct {
	Place
	opened  *archive.Opened // nil before it is used
	tries   map[int]int     // readings of a part that came to nothing
	out     error           // why it is not used any more
	damaged bool            // because its bytes are not the archive's
}

// source gives the best source that is left, opened: its manifest was read,
// its signature fits, and it is the same as that of the others. The error is
// that of all of them.
func (c *copier) source(ctx context.Context) (*source, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sources {
		if s.out != nil {
			continue
		}
		if s.opened == nil {
			err := c.open(ctx, s)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				s.drop(err)
				c.Note("warning", fmt.Sprintf("%s in %s cannot be copied from: %s", c.ID, s.Name, oneLine(err)))
				continue
			}
		}
		c.used = s.Name
		return s, nil
	}
	return nil, c.noSource()
}

func (c *copier) open(ctx context.Context, s *source) error {
	o, err := archive.Open(ctx, s.Store, c.Trust, c.VaultID, c.Vault, c.Database, c.ID)
	if err != nil {
		return err
	}
	if c.opened != nil && c.opened.Digest != o.Digest {
		return &fault.Error{Op: "copy", What: fmt.Sprintf("two archives have the id %s", c.ID), Why: fmt.Sprintf("the manifest in %s is another one, and signed too", s.Name),
			Left: "that one was not used or changed", Do: "look at both: pgvault show " + c.ID, Code: fault.Differs}
	}
	s.opened = o
	if c.opened == nil {
		c.opened = o
	}
	return nil
}

func (c *copier) folder() string { return archive.Folder(c.Vault, c.Database, c.ID) }

// drop leaves a source for good.
func (s *source) drop(err error) {
	s.out = err
	s.damaged = fault.CodeOf(err) == fault.Differs
}

// misread notes that a source's nth part could not be read, or was not what
// the manifest says. At the second time the source is left.
func (c *copier) misread(s *source, n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.out != nil {
		return
	}
	if s.tries[n]++; s.tries[n] < 2 {
		c.Note("warning", fmt.Sprintf("%s is read again from %s: %s", c.ID, s.Name, oneLine(err)))
		return
	}
	s.drop(err)
	c.Note("warning", fmt.Sprintf("%s in %s cannot be copied from: %s", c.ID, s.Name, oneLine(err)))
}

// ErrNoSource marks what is no target's fault: no place is left that the
// archive could be read from. errors.Is finds it.
var ErrNoSource = errors.New("no source is left")

// noSource is the error when no source is left: the archive is damaged when
// all of them are, else it is that they could not be read.
func (c *copier) noSource() error {
	e := &fault.Error{Op: "copy", What: "there is no good copy of archive " + c.ID + " to copy from", Why: "no place has it",
		Left: "nothing that lay anywhere was changed", Do: "use another archive, and back up again now", Code: fault.Differs, Err: ErrNoSource}
	var why []string
	for _, s := range c.sources {
		why = append(why, s.Name+": "+oneLine(s.out))
		if !s.damaged {
			e.Code, e.Err = 0, errors.Join(ErrNoSource, s.out)
			e.Do = "try again when the places answer: pgvault copy " + c.ID
		}
	}
	if len(why) > 0 {
		e.Why = strings.Join(why, "; ")
	}
	return e
}

// goingAway is the error for an archive that is being deleted.
func (c *copier) goingAway(p Place, why string) error {
	return &fault.Error{Op: "copy", What: fmt.Sprintf("archive %s is being deleted in %s", c.ID, p.Name), Why: why,
		Left: "nothing of it is listed there", Do: "see in which places it still lies: pgvault show " + c.ID, Code: fault.Refused}
}

// damage is what is said of a part whose bytes are not the manifest's.
func (c *copier) damage(p Place, part archive.Part, why string) error {
	return &fault.Error{Op: "copy", What: fmt.Sprintf("part %s of archive %s in %s is damaged", part.Name, c.ID, p.Name), Why: why,
		Left: "nothing of it was used or changed", Do: "heal it from a good copy: pgvault copy " + c.ID + " --to " + p.Name, Code: fault.Differs}
}

func oneLine(err error) string {
	e := fault.As(err)
	return strings.TrimSuffix(e.What+": "+e.Why, ": ")
}

// mayPass tells errors that trying again may mend. A place that could not be
// reached has been tried again by itself.
func mayPass(err error) bool {
	return fault.CodeOf(err) == fault.Failed && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
