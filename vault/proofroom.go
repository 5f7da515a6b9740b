package vault

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/pg/pgtest"
	"pgvault/vault/job"
)

// A proof by restore fills a private server beside everything else that this
// host does. So there is one at a time, it begins only where there is room for
// it, and its programs give way to others.

const (
	// scratchLock is held by the one proof by restore that runs on this host,
	// of whatever vault that shares the state folder.
	scratchLock = "scratch"
	// scratchPoll is how often a proof that waits for its turn looks again.
	scratchPoll = time.Second
	// scratchBase is what an empty cluster needs, scratchLog what its
	// write-ahead log grows to at most, by its max_wal_size.
	scratchBase = 64 << 20
	scratchLog  = 256 << 20
)

// scratchTurn waits until no other proof by restore runs on this host. The
// returned function lets the next one begin.
func (p *proving) scratchTurn(ctx context.Context) (func(), error) {
	if p.v.c.StateDir == "" {
		return func() {}, nil
	}
	for told := false; ; told = true {
		done, err := job.Lock(p.v.lockDir(), scratchLock, "a proof by restore", "")
		if fault.CodeOf(err) != fault.Running {
			return done, err
		}
		if !told {
			p.info("another proof by restore runs on this host; this one waits for its end")
		}
		t := time.NewTimer(scratchPoll)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

// scratchNeed is about how many bytes a restore of an archive takes: what the
// database had on its server, with what an index or a table that is written
// anew may take more, and the log. Of an archive that leaves out rows only the
// length of its dump is known.
func (r *restoration) scratchNeed() int64 {
	size := r.catalog.Database.Size
	if len(r.c.Excluded) > 0 || size <= 0 {
		size = 2 * r.o.Manifest.Bytes
	}
	return scratchBase + size + size/10 + min(size, scratchLog)
}

// scratchRoom refuses to fill the disk of this host.
func (p *proving) scratchRoom(need int64) error {
	base := pgtest.Base()
	free, err := p.v.freeIn(base)
	if err != nil {
		return &fault.Error{Op: "verify", What: "it is not known whether a scratch server has room in " + base, Why: err.Error(), Left: "nothing was proven; the archive is as it was",
			Do: "set TMPDIR to a folder that can be asked", Err: err}
	}
	if free < need {
		return &fault.Error{Op: "verify", What: "there is no room for a proof by restore in " + base, Why: fmt.Sprintf("the restored database needs about %s there, %s are free", bytesText(need), bytesText(free)),
			Left: "nothing was proven; the archive is as it was", Do: "free space there, or set TMPDIR to a folder with more", Code: fault.NoSpace}
	}
	p.info(fmt.Sprintf("the restored database needs about %s in %s while it is compared; %s are free", bytesText(need), base, bytesText(free)))
	return nil
}

// freeIn asks what an unprivileged user may write below a folder.
func (v *Vault) freeIn(dir string) (int64, error) {
	if v.free != nil {
		return v.free(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}
