package vault

import (
	"context"
	"fmt"
	"strings"

	"pgvault/vault/retention"
)

// retain applies retention to the database that was backed up, where somebody
// chose what to keep. Nothing of it makes the backup fail: what cannot be done
// is a warning, and is tried again after the next one.
func (b *backup) retain(ctx context.Context) {
	if !b.conf.Removes {
		return
	}
	p, err := b.v.PlanRetention(ctx, []string{b.o.Database})
	switch {
	case err != nil:
		b.warn("retention: " + oneLine(err))
		return
	case p.Refused != "":
		b.warn("retention does nothing now: " + p.Refused)
		return
	case len(p.Excess) > 0:
		b.warn(fmt.Sprintf("retention would mark or remove %d archives of %s at once: look at pgvault retention, and confirm it there", p.Excess[b.o.Database], b.o.Database))
		return
	case p.Confirm()+p.Count(retention.StepUnmark) == 0:
		return
	}
	words := map[retention.Step]string{retention.StepMark: "marks", retention.StepUnmark: "keeps again", retention.StepRemove: "removed"}
	err = b.v.ApplyRetention(ctx, p, p.Confirm(), func(v Verdict) {
		b.info(fmt.Sprintf("retention %s %s: %s", words[v.Step], v.ID, strings.Join(v.Reasons, "; ")))
	})
	if err != nil {
		b.warn("retention: " + oneLine(err))
	}
}
