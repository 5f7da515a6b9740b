package archive

import (
	"context"
	"io"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
)

// lying is a place whose reads a test replaces.
type lying struct {
	store.Store
	read func(r io.Reader) io.Reader
}

func (l *lying) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := l.Store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{l.read(r), r}, nil
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestPlaceThatLies gives more or less than it says that an object has.
func TestPlaceThatLies(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 100), noise(t, 100_000))
	place := &lying{Store: s.place, read: func(r io.Reader) io.Reader { return r }}
	o := must(Open(t.Context(), place, s.trust, s.vault.ID, testVault, testDB, s.id))(t)
	for name, read := range map[string]func(io.Reader) io.Reader{
		"endless":   func(r io.Reader) io.Reader { return io.MultiReader(r, endless{}) },
		"only that": func(io.Reader) io.Reader { return endless{} },
		"less":      func(r io.Reader) io.Reader { return io.LimitReader(r, 70_000) },
		"a chunk":   func(r io.Reader) io.Reader { return io.LimitReader(r, 65552+200) },
		"nothing":   func(io.Reader) io.Reader { return io.LimitReader(endless{}, 0) },
	} {
		place.read = read
		wantFault(t, name, o.CheckPart(t.Context(), MainPart, nil), fault.Differs, MainPart, s.id)
		if _, err := readPart(t.Context(), o, MainPart, s.keys); err == nil || fault.CodeOf(err) != fault.Differs {
			t.Errorf("%s: %v", name, err)
		}
	}
	place.read = func(io.Reader) io.Reader { return endless{} }
	_, err := Open(t.Context(), place, s.trust, s.vault.ID, testVault, testDB, s.id)
	wantFault(t, "endless manifest", err, fault.Differs, ManifestName)
}

// TestPlaceThatFails: what a place says of itself comes through as it is, and
// is never taken for damage of the archive.
func TestPlaceThatFails(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 100), noise(t, 5<<20))
	place := &lying{Store: s.place, read: func(r io.Reader) io.Reader { return r }}
	o := must(Open(t.Context(), place, s.trust, s.vault.ID, testVault, testDB, s.id))(t)
	m := must(o.Main(t.Context(), &s.contents, s.keys))(t)
	defer m.Close()
	gone := &fault.Error{What: "the place does not answer", Left: "all", Do: "wait", Code: fault.PlaceUnreachable}
	for _, after := range []int64{0, 10, 400, 66_000, 3 << 20} {
		place.read = func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, after), failing{gone}) }
		for what, err := range map[string]error{
			"check": o.CheckPart(t.Context(), MainPart, nil),
			"part":  second(readPart(t.Context(), o, MainPart, s.keys)),
			"main":  second(o.Main(t.Context(), &s.contents, s.keys)),
			"block": readAll(m, s.contents.Tables[0]),
		} {
			if err == nil && what == "main" && after > chunkStored { // it reads the header and the last chunk only
				continue
			}
			if fault.CodeOf(err) != fault.PlaceUnreachable {
				t.Errorf("%s, after %d bytes: %v", what, after, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }
