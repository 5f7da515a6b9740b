package s3

import (
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

func TestPieces(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	const m = 1 << 20
	for name, c := range map[string]struct {
		change func(*address.Address)
		size   int64 // of the object
		told   bool
		pieces int // 0: it does not fit
	}{
		"fixed, ten exactly":         {func(a *address.Address) { a.PartSize, a.MaxParts = 5*m, 10 }, 50 * m, false, 10},
		"fixed, one byte too many":   {func(a *address.Address) { a.PartSize, a.MaxParts = 5*m, 10 }, 50*m + 1, false, 0},
		"growing, ten at most":       {func(a *address.Address) { a.MaxParts = 10 }, 60 * m, false, 4}, // 8, 16, 32, 4
		"known, ten at most":         {func(a *address.Address) { a.MaxParts = 10 }, 90*m + 1, true, 10},
		"known, one":                 {func(a *address.Address) {}, 8 * m, true, 0},
		"unknown, one":               {func(a *address.Address) {}, 8 * m, false, 0},
		"one byte more than a piece": {func(a *address.Address) {}, 8*m + 1, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			a := at(s, "vault/"+strings.ReplaceAll(name, " ", "-"))
			c.change(&a)
			p := open(t, s, a)
			p.client = through(t, s, proxy, "vault").client
			proxy.Set()
			data := storetest.Bytes(int(c.size), 1)
			size := int64(-1)
			if c.told {
				size = c.size
			}
			w, err := p.create(t.Context(), "main/x", size)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(data)
			if cerr := w.Commit(t.Context()); err == nil {
				err = cerr
			}
			if strings.Contains(name, "too many") {
				wantFault(t, err, fault.PlaceUnreachable, "part_size")
				wantNothing(t, p)
				return
			}
			parts := 0
			for _, line := range proxy.Log() {
				if strings.Contains(line, "partNumber=") {
					parts++
				}
			}
			if err != nil || parts != c.pieces || string(storetest.Get(t, p, "main/x")) != string(data) {
				t.Errorf("%d pieces, want %d, or other bytes; %v", parts, c.pieces, err)
			}
		})
	}
}

func TestSizesThatWereToldWrong(t *testing.T) {
	s := servers.S3(t)
	p := open(t, s, at(s, "vault"))
	for _, n := range []int64{0, 9, 11, firstPiece * 2} {
		w, err := p.CreateSized(t.Context(), "main/x", 10)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, n))
		if cerr := w.Commit(t.Context()); err == nil {
			err = cerr
		}
		if err == nil || !strings.Contains(err.Error(), "announced") {
			t.Errorf("%d bytes instead of 10: %v", n, err)
		}
	}
	if _, err := p.CreateSized(t.Context(), "main/x", -1); err == nil {
		t.Error("a size below nothing is accepted")
	}
	wantNothing(t, p)
}
