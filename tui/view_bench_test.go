package tui

import (
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// manyDesk is a vault of ten thousand archives, and a backup that runs.
func manyDesk() *fakeDesk {
	d := sampleDesk()
	d.list = nil
	for i := range 10_000 {
		at := clockAt.Add(-time.Duration(i/8) * time.Hour)
		d.list = append(d.list, vault.Archive{
			ID: fmt.Sprintf("%s-%04x", at.UTC().Format("20060102T150405Z"), i), Database: fmt.Sprintf("many-%d", i%8), Started: at, Finished: at.Add(time.Minute),
			State: "good", Tables: 112, Rows: 48210114, Bytes: 5 << 30, Stored: 2041118720, Proof: vault.ProofReadable,
			Copies: []vault.Copy{{Place: "disk", State: "good"}}, Recipient: []string{"ops-2024", "safe-box"},
		})
	}
	d.setJobs(wikiJob())
	return d
}

// BenchmarkKey is a key and the frame that answers it.
func BenchmarkKey(b *testing.B) {
	for _, place := range []string{"1", "2", "3"} {
		b.Run(place, func(b *testing.B) {
			m := manyModel(b)
			m.Update(keyPress(place))
			_ = m.View()
			b.ReportAllocs()
			for i := range b.N {
				m.Update(keyPress([]string{"down", "up"}[i%2]))
				_ = m.View()
			}
		})
	}
}

// manyModel is a model that knows all of manyDesk.
func manyModel(tb testing.TB) *model {
	d := manyDesk()
	g := &engine{ctx: tb.Context(), vault: d.vault(), now: func() time.Time { return clockAt }, poll: time.Hour, send: func(tea.Msg) {}}
	m := newModel(g, Options{Host: "db1.example.org", Now: g.now, Theme: "dark"})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.gotList(listMsg{list: d.list, at: clockAt, fresh: true})
	m.gotHealth(healthMsg{health: d.health})
	m.gotJobs(jobsMsg{jobs: d.jobs})
	m.gotActivity(activityMsg{list: d.past})
	return m
}
