package tui

import (
	"testing"
	"time"

	"pgvault/vault"
)

// TestStageTwice: a stage that a run has twice is told apart by its turn.
func TestStageTwice(t *testing.T) {
	j := &job{}
	now := time.Date(2025, 6, 20, 12, 0, 0, 0, time.UTC)
	j.apply(vault.RunStarted{Kind: vault.KindBackup, Stages: []vault.Stage{vault.StageData, vault.StageSeal, vault.StageData}, At: now}, now)
	j.apply(vault.StageStarted{Stage: vault.StageData, At: now}, now)
	j.apply(vault.StageDone{Stage: vault.StageData, Seconds: 7}, now)
	if j.cur != 0 || !j.stages[0].done || j.stages[2].done {
		t.Fatalf("the first: at %d, %+v", j.cur, j.stages)
	}
	j.apply(vault.StageStarted{Stage: vault.StageSeal, At: now}, now)
	j.apply(vault.StageDone{Stage: vault.StageSeal}, now)
	j.apply(vault.StageStarted{Stage: vault.StageData, At: now}, now)
	if j.cur != 2 || j.stages[2].done {
		t.Errorf("the second: at %d, %+v", j.cur, j.stages)
	}
	j.apply(vault.StageDone{Stage: vault.StageData, Seconds: 3}, now)
	if j.stages[0].seconds != 7 || j.stages[2].seconds != 3 || len(j.stages) != 3 {
		t.Errorf("both ended: %+v", j.stages)
	}
}
