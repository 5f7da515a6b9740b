package vault

import (
	"context"
	"encoding/json"

	"pgvault/pg"
)

// savedGlobals is what belongs to no database: roles and settings.
type savedGlobals struct {
	saved    bool // else the rest is empty
	sql      []byte
	data     json.RawMessage // the same for contents, nil where it is too much
	warnings []string
	err      error
}

// maxGlobals bounds what contents holds of roles and settings: beyond it
// they are in their own part only, as text.
const maxGlobals = 16 << 20

// besideDump reads roles and settings while pg_dump works, and calls failed
// at once if they cannot be read, instead of telling so after hours. The
// channel gives them once; after ctx has ended, its error.
func (b *backup) besideDump(ctx context.Context, failed func()) <-chan savedGlobals {
	out := make(chan savedGlobals, 1)
	if g := b.v.c.Server.Globals; b.imported != nil || g != nil && !*g { // a scratch server has no roles to tell of
		out <- savedGlobals{}
		return out
	}
	go func() {
		g := savedGlobals{saved: true}
		g.sql, g.warnings, g.err = pg.DumpGlobals(ctx, b.v.c.Server, b.programs)
		if g.err == nil {
			g.data, g.err = b.globalsAsData(ctx)
		}
		if ctx.Err() != nil {
			g.err = ctx.Err() // whatever it looked like
		} else if g.err != nil {
			failed()
		}
		out <- g
	}()
	return out
}

// globalsAsData reads roles and settings for contents, which are encrypted.
func (b *backup) globalsAsData(ctx context.Context) (json.RawMessage, error) {
	conn, err := b.v.c.Server.Connect(ctx, b.o.Database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	g, err := pg.ReadGlobals(ctx, conn)
	if err != nil {
		return nil, err
	}
	src, err := g.Seal()
	if err != nil || len(src) > maxGlobals {
		return nil, err
	}
	return src, nil
}

// keepGlobals gives what was read to the archive.
func (b *backup) keepGlobals(g savedGlobals) {
	b.globals, b.contents.Globals = g, g.data
	for _, w := range g.warnings {
		b.contents.Warnings = append(b.contents.Warnings, w)
		b.warn(w)
	}
	if g.saved && g.data == nil {
		b.info("roles and settings are saved as text only: there is too much of them")
	}
}
