package archive

import (
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"pgvault/vault/archive/zstdfast"
)

const (
	// trialEvery is after how many pieces it is tried again which encoder
	// suits the data, besides at the first of each table.
	trialEvery = 256
	// leastTrial is the smallest piece that tells.
	leastTrial = pieceSize / 4
)

// choice is which of two encoders the pieces of a part are given to. The
// library's fastest level finds short matches, which make numbers and source
// text smaller; zstdfast takes about two thirds of its time, and for most
// rows hardly more space. On a host that is also the database's, this time
// is what a backup takes from it.
type choice struct {
	fast   atomic.Bool
	pieces atomic.Int64
}

// compressor is a thread's own.
type compressor struct {
	choice  *choice
	fast    *zstdfast.Encoder
	library *zstd.Encoder
	trial   []byte
}

func newCompressor(c *choice) (*compressor, error) {
	// Literals that did not match get Huffman codes all the same: hex of
	// bytea then shrinks by half at hardly any cost. A window of 1 MiB makes
	// 5 % less of it and takes a tenth longer.
	library, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10),
		zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &compressor{choice: c, fast: zstdfast.New(), library: library}, nil
}

// appendFrame appends one frame that holds data to dst; first says that data
// is the beginning of a table.
func (c *compressor) appendFrame(dst, data []byte, first bool) []byte {
	switch {
	case len(data) < leastTrial:
		return c.library.EncodeAll(data, dst)
	case first, c.choice.pieces.Add(1)%trialEvery == 0:
		return c.try(dst, data)
	case c.choice.fast.Load():
		return c.fast.Append(dst, data)
	default:
		return c.library.EncodeAll(data, dst)
	}
}

// try has both make a frame, and prefers the fast one, for this piece and
// those after it, where its frame is at most a twentieth larger.
func (c *compressor) try(dst, data []byte) []byte {
	before := len(dst)
	dst = c.library.EncodeAll(data, dst)
	c.trial = c.fast.Append(c.trial[:0], data)
	fast := len(c.trial) <= (len(dst)-before)*21/20
	c.choice.fast.Store(fast)
	if fast {
		return append(dst[:before], c.trial...)
	}
	return dst
}
