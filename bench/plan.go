package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"pgvault/vault"
	"pgvault/vault/retention"
)

// plannedArchives are those of which a plan of retention is measured.
const plannedArchives = 100_000

// planSample is what a process that only plans tells of itself.
type planSample struct {
	Seconds float64 `json:"seconds"` // of one plan
	Peak    int64   `json:"peak"`    // bytes, VmHWM, what is planned included
	Goes    int     `json:"goes"`
}

// planOnce plans n archives of ten databases, one an hour, as a screen does
// at every key, and prints a planSample. It is a process of its own, so that
// the peak is that of planning.
func planOnce(n int) error {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	l := &vault.RetentionLook{At: now, Zone: time.UTC, Archives: make([]retention.Archive, n), Places: make([][]vault.PlaceBytes, n), Rules: map[string]vault.RetentionRules{}}
	const databases = 10
	policy := retention.Policy{Last: 3, Hourly: 48, Daily: 30, Weekly: 8, Monthly: 24, Yearly: 5}
	for i := range n {
		at := now.Add(-time.Hour - time.Duration(i/databases)*time.Hour)
		name := "db" + strconv.Itoa(i%databases)
		l.Archives[i] = retention.Archive{ID: at.Format("20060102T150405Z") + fmt.Sprintf("-%04x", i%databases), Database: name, Time: at, Seq: int64(n - i), Good: true, Ref: i}
		l.Places[i] = []vault.PlaceBytes{{Place: "disk", Bytes: 1 << 30}}
		l.Rules[name] = vault.RetentionRules{Rules: retention.Rules{Policy: policy, Grace: 48 * time.Hour}}
	}
	start := time.Now()
	p, err := l.Plan(nil, nil)
	if err != nil {
		return err
	}
	s := planSample{Seconds: time.Since(start).Seconds(), Peak: statusBytes(os.Getpid(), "VmHWM:")}
	s.Goes, _ = p.Going()
	return json.NewEncoder(os.Stdout).Encode(s)
}

// measurePlan has this program plan as often as the other cases are run.
func (b *bench) measurePlan(ctx context.Context) (series, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "bench: plans for %d archives\n", plannedArchives)
	var out series
	for range b.runs {
		cmd := exec.CommandContext(ctx, self, "-plan-archives", strconv.Itoa(plannedArchives))
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		var s planSample
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			return nil, fmt.Errorf("a plan for %d archives: %w", plannedArchives, err)
		}
		out = append(out, sample{seconds: s.Seconds, peak: s.Peak})
	}
	return out, nil
}

// planRow is the measured plans as a row of a table.
func planRow(s series) [3]string {
	return [3]string{fmt.Sprintf("a plan of retention for %d archives; peak memory of the process", plannedArchives),
		fmt.Sprintf("%.2f s; %.0f MB", s.seconds(), float64(s.peak())/1e6), "1 s; 100 MB"}
}
