package vault

import (
	"context"
	"fmt"
)

// lastLike is the newest archive that can be compared with one to be made:
// a whole one with whole ones, a partial one with partial ones. list is
// newest first.
func lastLike(list []Archive, partial bool) *Archive {
	state := "good"
	if partial {
		state = "partial"
	}
	for i := range list {
		if list[i].State == state {
			return &list[i]
		}
	}
	return nil
}

// judge looks at what was dumped before it is sealed. What it finds is in
// the archive's own warnings.
func (b *backup) judge() {
	note := func(text string) {
		b.contents.Warnings = append(b.contents.Warnings, text)
		b.warn(text)
	}
	if b.manifest.Tables == 0 {
		note("the database has no table that this role could see")
	}
	if b.like != nil && shrunk(b.manifest.Bytes, b.like.Bytes) {
		note(fmt.Sprintf("less than half as large as %s before: %s after %s, %d rows after %d", b.like.ID, bytesText(b.manifest.Bytes), bytesText(b.like.Bytes), b.manifest.Rows, b.like.Rows))
	}
	if n := len(b.to.Public); n < 2 {
		b.warn("there is only one recipient: lose its key, and this archive is lost")
	}
}

// lookAhead says that there is no room for the archive after this one.
func (b *backup) lookAhead(ctx context.Context) {
	free, err := b.home.Store.Free(ctx)
	if err != nil || free < 0 {
		return // who asks for the next archive will hear it
	}
	stored := b.manifest.Stored()
	if need := stored + stored/5; free < need {
		b.warn(fmt.Sprintf("%s will be full before the next backup: %s free, and it will need some %s", b.home.Name, bytesText(free), bytesText(need)))
	}
}
