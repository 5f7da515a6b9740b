package main

import (
	"context"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"pgvault/pg/pgtest"
)

// storyCluster is a story's own server under its name.
type storyCluster string

// cmdCluster starts a private server of the story's own, and makes it the one
// that PG* name; with !, it ends, data and all: [!] cluster NAME.
func cmdCluster(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] cluster NAME")
	}
	key := storyCluster(args[0])
	if neg {
		c, ok := ts.Value(key).(*ownCluster)
		if !ok {
			ts.Fatalf("there is no cluster %s", args[0])
		}
		ts.Check(c.end())
		return
	}
	c, ok := ts.Value(key).(*ownCluster)
	if !ok {
		ts.Fatalf("the story's clusters are not set up")
	}
	ts.Check(c.start())
	ts.Defer(func() { ts.Check(c.end()) })
	ts.Setenv("PGHOST", c.SocketDir)
	ts.Setenv("PGPORT", strconv.Itoa(c.Port))
	ts.Setenv("PGUSER", c.Superuser)
}

type ownCluster struct{ *pgtest.Cluster }

func (o *ownCluster) start() error {
	c, err := pgtest.Start(context.Background(), pgtest.Options{BinDir: cluster.BinDir})
	o.Cluster = c
	return err
}

func (o *ownCluster) end() error {
	if o.Cluster == nil {
		return nil
	}
	err := o.Stop()
	o.Cluster = nil
	return err
}

// storyClusters are the servers that a story may start: of a host that will
// be lost, and of the one that comes after it.
func storyClusters(env *testscript.Env) {
	for _, name := range []storyCluster{"old", "new"} {
		env.Values[name] = &ownCluster{}
	}
}
