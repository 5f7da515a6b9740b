package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pgvault/pg/pgtest"
)

// cluster is the private PostgreSQL that all stories share. Each has its own
// databases there.
var cluster *pgtest.Cluster

// TestMain makes this test binary serve as pgvault itself: a story's
// `pgvault` runs main's own code, in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(withCluster{m}, map[string]func(){
		"pgvault": func() { os.Exit(run()) },
	})
}

// withCluster runs the tests beside a cluster. It is not started for the
// processes that serve as pgvault.
type withCluster struct{ m *testing.M }

// Run implements testscript.TestingM.
func (w withCluster) Run() int {
	c, err := pgtest.Start(context.Background(), pgtest.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cluster = c
	code := w.m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestStories tells pgvault's behaviour as whole sessions: testdata/script.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       cmdExits,
			"fails":       cmdFails,
			"sql":         cmdSQL,
			"newkey":      cmdNewKey,
			"world":       cmdWorld,
			"flip":        cmdFlip,
			"canary":      cmdCanary,
			"json":        cmdJSON,
			"lines":       cmdLines,
			"clean":       cmdClean,
			"killed":      cmdKilled,
			"interrupted": cmdInterrupted,
			"terminal":    cmdTerminal,
			"keys":        cmdKeys,
			"type":        cmdType,
			"tmux":        cmdTmux,
			"shows":       cmdShows,
			"gone":        cmdGone,
			"copied":      cmdCopied,
			"column":      cmdColumn,
			"hungup":      cmdHungUp,
			"mailserver":  cmdMailServer,
			"server":      cmdServer,
			"cluster":     cmdCluster,
		},
	})
}

// setup gives a story its own home, state and database names: $DB and
// whatever begins with it.
func setup(env *testscript.Env) error {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	for _, v := range serverEnv() {
		k, value, _ := strings.Cut(v, "=")
		env.Setenv(k, value)
	}
	storyClusters(env)
	readme, err := filepath.Abs("README.md")
	if err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"README", readme},
		{"DB", "s_" + strings.ReplaceAll(name, "-", "_")},
		{"HOME", filepath.Join(env.WorkDir, "home")},
		{"XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "home/.config")},
		{"XDG_STATE_HOME", filepath.Join(env.WorkDir, "home/.local/state")},
		{"STATE_DIRECTORY", filepath.Join(env.WorkDir, "home/state")},
		{"PATH", env.Getenv("PATH") + ":" + cluster.BinDir},
		{"TMPDIR", os.TempDir()}, // a scratch server's user must be able to enter it
		{"LC_ALL", "C.UTF-8"},
		{"TZ", "UTC"},
	} {
		env.Setenv(v[0], v[1])
	}
	return os.Mkdir(env.Getenv("HOME"), 0o700)
}

// serverEnv is how libpq's own variables name the cluster.
func serverEnv() []string {
	return []string{"PGHOST=" + cluster.SocketDir, "PGPORT=" + strconv.Itoa(cluster.Port), "PGUSER=" + cluster.Superuser}
}
