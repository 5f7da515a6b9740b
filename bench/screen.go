package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// screenResults are what was measured at a terminal.
type screenResults struct {
	archives   int
	cold       series          // list --json without a remembered listing
	first      []time.Duration // from the start to a frame with the databases
	keys       []time.Duration // from a key to its answer, while a backup runs
	idle       int64           // bytes in idleFor
	job        int64           // bytes of the job view over SSH in jobFor
	jobFor     time.Duration
	jobLargest int64 // in one second
	plans      series
}

const (
	manyArchives = 10_000
	idleFor      = 10 * time.Second
	keyPresses   = 60
	mostMissed   = 2
)

// measureScreen measures listing and screen on a vault of many archives,
// and the screen while a backup of the bench's database runs.
func (b *bench) measureScreen(ctx context.Context) (*screenResults, error) {
	fmt.Fprintf(os.Stderr, "bench: a vault of %d archives\n", manyArchives)
	r := &screenResults{archives: manyArchives}
	conf, err := b.many(ctx, manyArchives)
	if err != nil {
		return nil, err
	}
	// The vault leaves a listing of its own in such a place after a backup.
	if _, err := b.shell(ctx, "STATE_DIRECTORY="+b.path("out", "state")+" "+b.pgvaultBin+" backup "+database+" -q -c "+conf); err != nil {
		return nil, err
	}
	for range b.runs {
		if err := os.RemoveAll(b.path("out", "state")); err != nil {
			return nil, err
		}
		x, err := b.shell(ctx, "STATE_DIRECTORY="+b.path("out", "state")+" "+b.pgvaultBin+" list --json -c "+conf+" > /dev/null")
		if err != nil {
			return nil, err
		}
		r.cold = append(r.cold, x)
	}
	if r.plans, err = b.measurePlan(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "bench: the screen")
	for range b.runs {
		if err := b.firstFrame(ctx, r, conf); err != nil {
			return nil, err
		}
	}
	return r, b.screenOfJob(ctx, r, conf)
}

func (b *bench) screenEnv(more ...string) []string {
	return append(b.c.env(), append(more, "STATE_DIRECTORY="+b.path("out", "state"))...)
}

func (b *bench) firstFrame(ctx context.Context, r *screenResults, conf string) error {
	t, err := openTerminal(ctx, b.screenEnv(), b.pgvaultBin, "-c", conf)
	if err != nil {
		return err
	}
	defer t.close()
	took, err := t.shows("many-0")
	if err != nil {
		return err
	}
	r.first = append(r.first, took)
	if len(r.first) == 1 {
		t.quiet(2 * time.Second)
		from := time.Now()
		t.quiet(idleFor)
		r.idle = t.bytes(from, time.Now())
	}
	return nil
}

// screenOfJob opens the view of a running backup over SSH, counts what it
// writes, and presses keys in the list of many backups meanwhile.
func (b *bench) screenOfJob(ctx context.Context, r *screenResults, conf string) error {
	for _, keys := range []bool{false, true} {
		start := exec.CommandContext(ctx, b.pgvaultBin, "backup", database, "--detach", "-c", conf)
		start.Env, start.Stderr = b.screenEnv(), os.Stderr
		if err := start.Run(); err != nil {
			return fmt.Errorf("backup --detach: %w", err)
		}
		t, err := openTerminal(ctx, b.screenEnv("SSH_TTY=/dev/pts/0"), b.pgvaultBin, "-c", conf)
		if err != nil {
			return err
		}
		if keys {
			err = pressKeys(t, r)
		} else {
			err = countJob(t, r)
		}
		t.close()
		if err != nil {
			return err
		}
		wait := exec.CommandContext(ctx, b.pgvaultBin, "job", "watch", "-q", "-c", conf)
		wait.Env = b.screenEnv()
		_ = wait.Run() // it may have ended already
	}
	return nil
}

func pressKeys(t *terminal, r *screenResults) error {
	if _, err := t.answer("2", "WHEN"); err != nil {
		return err
	}
	t.quiet(600 * time.Millisecond)
	missed := 0
	for i := range keyPresses {
		// As a held key comes, and never in step with the screen's frames.
		t.quiet(30*time.Millisecond + time.Duration(i%7)*3*time.Millisecond)
		start := time.Now()
		took, err := t.answer([]string{"j", "k"}[i%2], ">") // the mark of the row that is chosen now
		if err != nil {
			// Two keys in one frame change nothing: that counts as a very late answer.
			if missed++; missed > mostMissed {
				return err
			}
			took = time.Since(start)
		}
		r.keys = append(r.keys, took)
	}
	return nil
}

func countJob(t *terminal, r *screenResults) error {
	if _, err := t.answer("3", "STARTED"); err != nil {
		return err
	}
	t.quiet(400 * time.Millisecond)
	if _, err := t.answer("\r", "phase"); err != nil {
		return err
	}
	t.quiet(300 * time.Millisecond)
	from := time.Now()
	for range 6 {
		second := time.Now()
		timer := time.After(time.Second)
		select {
		case <-timer:
		case <-t.ended:
			return fmt.Errorf("the screen ended")
		}
		r.jobLargest = max(r.jobLargest, t.bytes(second, time.Now()))
	}
	r.jobFor = time.Since(from)
	r.job = t.bytes(from, time.Now())
	return nil
}

// quantile gives the value that the share q of d does not exceed.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Clone(d)
	slices.Sort(s)
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

func (r *screenResults) rows() [][3]string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	rate := 0.0
	if r.jobFor > 0 {
		rate = float64(r.job) / r.jobFor.Seconds()
	}
	return [][3]string{
		{fmt.Sprintf("`pgvault list --json` of %d archives, nothing remembered", r.archives), fmt.Sprintf("%.2f s", r.cold.seconds()), "0.5 s"},
		{fmt.Sprintf("first frame with its databases, %d archives, median", r.archives), ms(quantile(r.first, 0.5)), "100 ms"},
		{"a key answered while a backup runs, median", ms(quantile(r.keys, 0.5)), "16 ms"},
		{"the same, 95 of 100", ms(quantile(r.keys, 0.95)), "16 ms"},
		{fmt.Sprintf("bytes in %.0f s when nothing changes", idleFor.Seconds()), fmt.Sprint(r.idle), "0"},
		{"bytes a second, job view, SSH_TTY set", fmt.Sprintf("%.0f", rate), "3000"},
		{"the same, the largest second", fmt.Sprint(r.jobLargest), "3000"},
		planRow(r.plans),
	}
}
