package zstdfast_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"pgvault/vault/archive/zstdfast"
)

// inputs are what the shapes of blocks and sections depend on.
func inputs() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n, symbols int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.IntN(symbols))
		}
		return b
	}
	in := map[string][]byte{
		"one byte":     {7},
		"few bytes":    []byte("pgvault"),
		"zeros":        make([]byte, zstdfast.MaxFrame),
		"noise":        noise(zstdfast.MaxFrame, 256),
		"two symbols":  noise(300_000, 2),
		"rows":         rows(rng, zstdfast.MaxFrame),
		"a long match": bytes.Repeat(noise(100_000, 256), 4),
		"odd distance": append(noise(40_001, 256), noise(300_000, 200)...),
		"hex":          fmt.Appendf(nil, "%x", noise(200_000, 256)),
		"sparse":       sparse(rng, 400_000),
		"files":        files(rng, zstdfast.MaxFrame),
		"one file":     fmt.Appendf(nil, "%x", noise(zstdfast.MaxFrame/2, 256)),
		"few digits":   fmt.Appendf(nil, "%x", noise(200_000, 12)),
		"twice":        bytes.Repeat(fmt.Appendf(nil, "%x", noise(50_000, 256)), 3),
	}
	copy(in["odd distance"][250_000:], in["odd distance"][:40_001])
	// All that does not come again is one byte.
	patched := noise(128<<10, 256)
	in["literals of one byte"] = append(bytes.Clone(patched), patched...)
	for i := len(patched) + 9000; i < 2*len(patched); i += 20 {
		in["literals of one byte"][i] = 255
	}
	// Sizes at which a header of frame, block or literals becomes longer.
	for _, n := range []int{0, 15, 16, 17, 31, 32, 63, 64, 255, 256, 1023, 1024, 4095, 4096, 16383, 16384, 65791, 65792, 128<<10 - 1, 128 << 10, 128<<10 + 1, 256<<10 + 5} {
		in[fmt.Sprint(n, " of noise")] = noise(n, 256)
		in[fmt.Sprint(n, " of text")] = noise(n, 11)
		in[fmt.Sprint(n, " of rows")] = rows(rng, n)
		in[fmt.Sprint(n, " of one")] = bytes.Repeat([]byte{'x'}, n)
	}
	return in
}

// rows is what COPY writes of a table with some columns.
func rows(rng *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for id := 1; b.Len() < n; id++ {
		fmt.Fprintf(&b, "%d\t%d\t2026-11-%02d %02d:%02d:00+00\torder %s\t%s\n", id, rng.IntN(500), 1+rng.IntN(30), rng.IntN(24), rng.IntN(60),
			strings.Repeat("again ", rng.IntN(9)), []string{"paid", "shipped", "\\N", "returned"}[rng.IntN(4)])
	}
	return b.Bytes()[:n]
}

// sparse is noise with copies of earlier bytes of all lengths and distances.
func sparse(rng *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		if at := rng.IntN(len(b) + 1); at < len(b) && rng.IntN(3) > 0 {
			b = append(b, b[at:min(len(b), at+1<<rng.IntN(18))]...)
		}
		for range rng.IntN(1 << rng.IntN(13)) {
			b = append(b, byte(rng.IntN(1+rng.IntN(256))))
		}
	}
	return b[:n]
}

// files is what COPY writes of bytea with pictures, text, and text before
// a picture, of all lengths and beginning anywhere.
func files(rng *rand.Rand, n int) []byte {
	var b []byte
	for id := 1; len(b) < n; id++ {
		b = fmt.Appendf(b, "%d\t%s\t\\\\x", id, strings.Repeat("name", rng.IntN(20)))
		if rng.IntN(3) > 0 {
			b = fmt.Appendf(b, "%x", rows(rng, rng.IntN(1<<rng.IntN(17))))
		}
		if rng.IntN(3) > 0 {
			for range rng.IntN(1 << rng.IntN(18)) {
				b = fmt.Appendf(b, "%02x", rng.IntN(256))
			}
		}
		b = append(b, '\n')
	}
	return b[:n]
}

func decoder(t testing.TB) *zstd.Decoder {
	t.Helper()
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func check(t testing.TB, d *zstd.Decoder, e *zstdfast.Encoder, in []byte) {
	t.Helper()
	frame := e.Append([]byte("before"), in)
	if string(frame[:6]) != "before" {
		t.Fatal("what was there is gone")
	}
	out, err := d.DecodeAll(frame[6:], nil)
	if err != nil {
		t.Fatalf("%d bytes in a frame of %d: %v", len(in), len(frame)-6, err)
	}
	if !bytes.Equal(out, in) {
		t.Fatalf("%d bytes are not what they were", len(in))
	}
	if most := len(in) + 3*(len(in)>>17+1) + 16; len(frame)-6 > most {
		t.Errorf("%d bytes became %d, more than %d", len(in), len(frame)-6, most)
	}
}

// One encoder for all, in the order of a map, so that nothing of one frame
// may be left for the next.
func TestFramesAreRead(t *testing.T) {
	d, e := decoder(t), zstdfast.New()
	for name, in := range inputs() {
		t.Run(name, func(t *testing.T) { check(t, d, e, in) })
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		check(t, d, e, sparse(rng, rng.IntN(200_000)))
	}
	for range 60 {
		check(t, d, e, files(rng, rng.IntN(zstdfast.MaxFrame)))
	}
}

// A stream of frames, read as an archive is.
func TestStreamOfFramesIsRead(t *testing.T) {
	var frames, want []byte
	e := zstdfast.New()
	for _, in := range inputs() {
		frames, want = e.Append(frames, in), append(want, in...)
	}
	d, err := zstd.NewReader(bytes.NewReader(frames), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out, err := io.ReadAll(d)
	if err != nil || !bytes.Equal(out, want) {
		t.Fatalf("%v, equal: %v", err, bytes.Equal(out, want))
	}
}

// The programs that a restore without pgvault uses read them too.
func TestStockZstdReadsFrames(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		t.Fatal("zstd is missing; scripts/install-tools.sh installs it")
	}
	var frames, want []byte
	e := zstdfast.New()
	for _, in := range inputs() {
		frames, want = e.Append(frames, in), append(want, in...)
	}
	cmd := exec.Command(program, "-d", "-c")
	cmd.Stdin = bytes.NewReader(frames)
	out, err := cmd.Output()
	if err != nil || !bytes.Equal(out, want) {
		t.Fatalf("zstd -d: %v, equal: %v", err, bytes.Equal(out, want))
	}
}

// A frame may not be much larger than the library's fastest level makes it.
func TestFramesAreSmall(t *testing.T) {
	lib := library(t)
	e := zstdfast.New()
	for name, in := range inputs() {
		if len(in) < 100_000 {
			continue
		}
		if ours, theirs := len(e.Append(nil, in)), len(lib.EncodeAll(in, nil)); ours*100 > theirs*115+10_000 {
			t.Errorf("%s: %d bytes became %d, with the library %d", name, len(in), ours, theirs)
		}
	}
}

func library(t testing.TB) *zstd.Encoder {
	t.Helper()
	lib, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10),
		zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func FuzzFramesAreRead(f *testing.F) {
	for _, in := range inputs() {
		if len(in) < 5000 {
			f.Add(in, uint16(3))
		}
	}
	d, e := decoder(f), zstdfast.New()
	f.Fuzz(func(t *testing.T, in []byte, times uint16) {
		in = bytes.Repeat(in, 1+int(times%40))
		check(t, d, e, in[:min(len(in), zstdfast.MaxFrame)])
	})
}

func BenchmarkAppend(b *testing.B) {
	in := rows(rand.New(rand.NewPCG(5, 6)), zstdfast.MaxFrame)
	e, lib := zstdfast.New(), library(b)
	var out []byte
	b.Run("zstdfast", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			out = e.Append(out[:0], in)
		}
		b.ReportMetric(float64(len(in))/float64(len(out)), "smaller")
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			out = lib.EncodeAll(in, out[:0])
		}
		b.ReportMetric(float64(len(in))/float64(len(out)), "smaller")
	})
}
