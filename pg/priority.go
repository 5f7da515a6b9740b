package pg

import (
	"context"

	"pgvault/pg/internal/child"
)

// AtLowPriority gives a context with which every program that is started
// (pg_dump, pg_restore, a private server and its processes) gives way to
// others, where the system allows it.
func AtLowPriority(ctx context.Context) context.Context { return child.AtLowPriority(ctx) }
