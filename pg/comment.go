package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// CommentOf gives a database's comment; exists is false where there is no
// database of that name. Only the server's shared catalog is asked: the
// database itself need not let anybody in.
func CommentOf(ctx context.Context, s Settings, database string) (comment string, exists bool, err error) {
	conn, err := s.Connect(ctx, "")
	if err != nil {
		return "", false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = $1", database).Scan(&comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return comment, err == nil, queryFault(ctx, "plan", "the database's comment cannot be read", err)
}
