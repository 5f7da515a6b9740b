package dumpfile

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// bigSum is RowSum's definition, done with big numbers.
func bigSum(rows []string) (sum [32]byte) {
	total := new(big.Int)
	for _, r := range rows {
		d := sha256.Sum256([]byte(r))
		slices.Reverse(d[:])
		total.Add(total, new(big.Int).SetBytes(d[:]))
	}
	total.Mod(total, new(big.Int).Lsh(big.NewInt(1), 256))
	total.FillBytes(sum[:])
	slices.Reverse(sum[:])
	return sum
}

func TestRowSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rows := []string{"", "", "a", strings.Repeat("long", 200_000), strings.Repeat("x", 128<<10), strings.Repeat("y", 64<<10)}
	for range 3000 {
		rows = append(rows, strings.Repeat("r", rnd.IntN(300))+string(rune('a'+rnd.IntN(26))))
	}
	want := bigSum(rows)
	for range 3 {
		rnd.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		text := []byte(strings.Join(rows, "\n") + "\n")
		for _, r := range []io.Reader{bytes.NewReader(text), inPieces(text, 13), inRandomPieces(text, 9)} {
			n, sum, err := RowSum(r)
			if err != nil || n != int64(len(rows)) || sum != want {
				t.Fatalf("%d rows, %x, %v", n, sum, err)
			}
		}
	}
	if n, sum, err := RowSum(strings.NewReader("")); n != 0 || sum != [32]byte{} || err != nil {
		t.Error(n, sum, err)
	}
}

func TestRowSumOfCutRows(t *testing.T) {
	for _, text := range []string{"a", "a\nb", strings.Repeat("x", 1<<20)} {
		if _, _, err := RowSum(strings.NewReader(text)); err != io.ErrUnexpectedEOF {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

// TestRowSumCounts: the same row twice is not the same as no row or one row.
func TestRowSumCounts(t *testing.T) {
	seen := map[[32]byte]bool{}
	for n := range 4 {
		_, sum, err := RowSum(strings.NewReader(strings.Repeat("row\n", n)))
		if err != nil || seen[sum] {
			t.Error(n, err)
		}
		seen[sum] = true
	}
}
