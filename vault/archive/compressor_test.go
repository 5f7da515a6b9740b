package archive

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// letters are rows in which sentences come again: what zstdfast is for.
func letters(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	stock := make([][]byte, 300)
	for i := range stock {
		stock[i] = words(20 + r.IntN(100))
		r.Shuffle(len(stock[i]), func(a, b int) { stock[i][a], stock[i][b] = stock[i][b], stock[i][a] })
	}
	var b []byte
	for id := 0; len(b) < n; id++ {
		b = fmt.Appendf(b, "%d\t%s. %s.\n", id, stock[r.IntN(len(stock))], stock[r.IntN(len(stock))])
	}
	return b[:n]
}

// readings are rows of numbers that differ little: short matches pay.
func readings(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	var b []byte
	for id := 0; len(b) < n; id++ {
		b = fmt.Appendf(b, "%d\t2026-01-01 %02d:%02d:%02d\t%d\t%.2f\t%.1f\n", id, id/360%24, id/6%60, id%6*10, r.IntN(20), 20+r.Float64()*6, 1013+r.Float64()*5)
	}
	return b[:n]
}

// What an encoder makes of a piece tells who made it: the two never agree.
func TestCompressorChoosesByTrial(t *testing.T) {
	choice := &choice{}
	c := must(newCompressor(choice))(t)
	dec := must(zstd.NewReader(nil))(t)
	defer dec.Close()
	frame := func(data []byte, first bool) (fast bool) {
		t.Helper()
		got := c.appendFrame([]byte("before"), data, first)
		if plain, err := dec.DecodeAll(got[6:], nil); err != nil || string(got[:6]) != "before" || !bytes.Equal(plain, data) {
			t.Fatalf("the frame is not read as what went in: %v", err)
		}
		isFast := bytes.Equal(got[6:], c.fast.Append(nil, data))
		if isFast == bytes.Equal(got[6:], c.library.EncodeAll(data, nil)) {
			t.Fatal("the encoders agree: the test sees nothing")
		}
		return isFast
	}
	text, numbers := letters(pieceSize), readings(pieceSize)
	if frame(text, false) {
		t.Error("the fast encoder was chosen without a trial")
	}
	if !frame(text, true) || !frame(text, false) {
		t.Error("the fast encoder is not chosen for letters")
	}
	if !frame(numbers, false) {
		t.Error("another trial without a reason")
	}
	if frame(text[:leastTrial-1], true) {
		t.Error("a piece that is too small was tried")
	}
	if frame(numbers, true) || frame(numbers, false) {
		t.Error("the fast encoder is chosen for numbers")
	}
	for i := range 2 * trialEvery {
		if frame(text, false) {
			return
		}
		if i == trialEvery {
			t.Fatalf("no trial in %d pieces", trialEvery)
		}
	}
}

// Each table begins with a trial: the packer says where one begins.
func TestPackerSaysWhereATableBegins(t *testing.T) {
	var out bytes.Buffer
	p := must(newPacker(&out, func() {}))(t)
	for _, table := range [][]byte{readings(2 * pieceSize), letters(2 * pieceSize), readings(2 * pieceSize)} {
		if err := p.Cut(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(table); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	c := must(newCompressor(&choice{}))(t)
	if fast := c.fast.Append(nil, letters(2 * pieceSize)[:pieceSize]); !bytes.Contains(out.Bytes(), fast) {
		t.Error("no frame of letters is the fast encoder's")
	}
	if slow := c.library.EncodeAll(readings(2 * pieceSize)[:pieceSize], nil); !bytes.Contains(out.Bytes(), slow) {
		t.Error("no frame of numbers is the library's")
	}
}
