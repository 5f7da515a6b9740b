package pg

import (
	"context"
	"errors"
	"io"
	"strings"

	"pgvault/fault"
)

// Exec runs SQL scripts in a database, each as one simple query: several
// statements in one script share a transaction unless they say otherwise.
// Names without a schema are looked for as psql would.
func Exec(ctx context.Context, s Settings, database string, scripts ...string) error {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range append([]string{`SET search_path = "$user", public`}, scripts...) {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return queryFault(ctx, "run SQL", "a statement failed in database "+database, err)
		}
	}
	return nil
}

// CopyOut reads a table's rows in COPY text format, as the COPY … FROM stdin
// statement of a dump's table of contents would load them. The reader must
// be closed; it gives an error instead of io.EOF when the server fails.
// encoding is the archive's; the values are written as pg_dump would, whatever
// the database or the role has set.
func CopyOut(ctx context.Context, s Settings, database, encoding, copyStmt string) (io.ReadCloser, error) {
	sql, ok := strings.CutSuffix(strings.TrimSpace(copyStmt), " FROM stdin;")
	if !ok {
		return nil, &fault.Error{Op: "compare", What: "a COPY statement of the archive is not understood", Why: copyStmt, Left: "nothing was changed", Do: "report this with the version of pg_dump"}
	}
	l, err := OpenLoader(ctx, s, database, encoding)
	if err != nil {
		return nil, err
	}
	conn := l.conn
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := conn.PgConn().CopyTo(ctx, w, sql+" TO stdout")
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			err = queryFault(ctx, "compare", "the rows of the restored table could not be read", err)
		}
		w.CloseWithError(err)
		conn.Close(context.WithoutCancel(ctx))
	}()
	return &copyReader{r, done}, nil
}

type copyReader struct {
	*io.PipeReader
	done chan struct{}
}

func (c *copyReader) Close() error {
	err := c.PipeReader.Close()
	<-c.done
	return err
}
