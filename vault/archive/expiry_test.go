package archive

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgvault/vault/store"
)

func TestExpiry(t *testing.T) {
	place := newBench(t).place
	const id, folder = "20261122T213000Z-7f3a", "main/shop/20261122T213000Z-7f3a/"
	at := time.Date(2026, 11, 22, 21, 30, 0, 0, time.UTC)
	if _, err := ReadExpiry(t.Context(), place, folder, id); !errors.Is(err, store.ErrNotExist) {
		t.Fatal(err)
	}
	e := Expiry{Archive: id, Manifest: strings.Repeat("a", 64), At: at, By: "a@b", NotBefore: at.Add(48 * time.Hour), Reasons: []string{"no rule keeps it"}}
	for range 2 { // the second one finds it there and changes nothing
		if err := MarkExpiry(t.Context(), place, folder, e); err != nil {
			t.Fatal(err)
		}
		e.NotBefore = at.Add(time.Hour)
	}
	got, err := ReadExpiry(t.Context(), place, folder, id)
	if err != nil || !got.NotBefore.Equal(at.Add(48*time.Hour)) || got.Reasons[0] != "no rule keeps it" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := ReadExpiry(t.Context(), place, folder, "20261122T213000Z-0000"); err == nil {
		t.Error("the mark of another archive counts")
	}
	for range 2 {
		if err := Unexpire(t.Context(), place, folder); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "{", `{"format":1}`, `{"format":9,"archive":"` + id + `","not_before":"2026-11-23T00:00:00Z"}`,
		`{"format":1,"archive":"` + id + `","at":"2026-11-24T00:00:00Z","not_before":"2026-11-23T00:00:00Z"}`} {
		if err := Publish(t.Context(), place, folder+ExpiresName, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExpiry(t.Context(), place, folder, id); !errors.Is(err, ErrExpiry) {
			t.Errorf("%s is a mark: %v", bad, err)
		}
		if err := MarkExpiry(t.Context(), place, folder, e); err != nil {
			t.Errorf("%s is not replaced: %v", bad, err)
		}
		if got, err := ReadExpiry(t.Context(), place, folder, id); err != nil || !got.NotBefore.Equal(e.NotBefore) {
			t.Errorf("%s is not replaced: %+v, %v", bad, got, err)
		}
		if err := Unexpire(t.Context(), place, folder); err != nil {
			t.Fatal(err)
		}
	}
}
