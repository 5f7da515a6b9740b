package archive

import (
	"bytes"
	"context"
	"errors"
	"io"

	"filippo.io/age"

	"pgvault/fault"
)

// fewHeaderBytes is what is read of a part at first: a header for four
// post-quantum recipients fits in.
const fewHeaderBytes = 8 << 10

// Headers are the age headers of an archive's parts, as they are stored.
type Headers struct {
	o     *Opened
	parts []headerDoc
	Bytes int64 // read for them
}

// Headers reads the header of every part and nothing after it: some KiB
// each, whatever the archive's size.
func (o *Opened) Headers(ctx context.Context) (*Headers, error) {
	h := &Headers{o: o}
	for _, p := range o.Manifest.Parts {
		src, n, err := o.shortHeader(ctx, p)
		h.Bytes += n
		if err != nil {
			return h, err
		}
		h.parts = append(h.parts, headerDoc{p.Name, string(src)})
	}
	return h, nil
}

// shortHeader reads a part's header by as few bytes as it has; n counts what
// was read.
func (o *Opened) shortHeader(ctx context.Context, p Part) (header []byte, n int64, err error) {
	for _, size := range []int64{min(fewHeaderBytes, p.Size), min(maxHeader, p.Size)} {
		src, err := o.firstBytes(ctx, p.Name, size)
		n += int64(len(src))
		if err != nil {
			return nil, n, err
		}
		header, err = age.ExtractHeader(bytes.NewReader(src))
		if err == nil {
			return header, n, nil
		}
		if int64(len(src)) < size || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return nil, n, damaged(o.label(p.Name), "it does not begin as an age file does", err)
		}
	}
	return nil, n, damaged(o.label(p.Name), "its header has no end", nil)
}

func (o *Opened) firstBytes(ctx context.Context, part string, size int64) ([]byte, error) {
	r, err := o.place.Open(ctx, o.folder+part, 0, size)
	if err != nil {
		return nil, missing(o.Manifest.ID, part, err)
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, size))
}

// Try tells which identity opens all of the headers: each holds the key of
// its part, and the header's MAC proves that it is the one it was written
// with. Of the bytes after the headers it proves nothing. The error for
// identities that open none of them has the code NoKey.
func (h *Headers) Try(keys *Keys) (name string, err error) {
	for _, p := range h.parts {
		ids, err := keys.forPart(h.o.Manifest.ID, p.Name)
		if err != nil {
			return "", err
		}
		key, opened, err := openHeader(h.o.label(p.Name), []byte(p.Header), ids)
		clear(key)
		if fault.CodeOf(err) == fault.NoKey && name != "" {
			return "", damaged(h.o.label(p.Name), name+", which opens other parts of it, does not open this one", err)
		}
		if err != nil {
			return "", err
		}
		name = opened
	}
	return name, nil
}
