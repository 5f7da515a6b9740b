package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/safetext"
	"pgvault/sample"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// demoDatabase is the sample's name.
const demoDatabase = "school"

func (p *program) demoCmd() *cobra.Command {
	var sizeText, keep string
	var noTUI bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it all on a throwaway server: nothing of yours is touched",
		Long: "Starts a private PostgreSQL from the installed programs, fills a sample school\n" +
			"database, makes a vault with two recipients, and opens the screen on it. Without a\n" +
			"terminal, or with --no-tui, it runs the whole story and prints it: backup, list,\n" +
			"verify, one byte tampered with and caught, restore, every table compared, retention\n" +
			"preview; it exits 0 only when all of it held. All is removed at the end.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			bytes, err := parseSize(sizeText)
			if err != nil {
				return err
			}
			return p.demo(cmd.Context(), bytes, keep, noTUI || !p.terminal() || os.Getenv("TERM") == "dumb")
		},
	}
	f := cmd.Flags()
	f.StringVar(&sizeText, "size", "50MB", "about how large the sample's dump is to be")
	f.StringVar(&keep, "keep", "", "keep vault and keys in this new folder")
	f.BoolVar(&noTUI, "no-tui", false, "run the whole story and print it")
	return cmd
}

func (p *program) demo(ctx context.Context, bytes int64, keep string, story bool) (err error) {
	dir := keep
	if keep == "" {
		if dir, err = os.MkdirTemp("", "pgvault-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.Mkdir(keep, 0o700); err != nil {
		return &fault.Error{What: "the folder " + keep + " could not be made", Left: "nothing was started", Do: "name a folder that does not exist yet", Err: err, Code: fault.Refused}
	}
	d := &demo{p: p, dir: dir}
	d.say("a private PostgreSQL on a Unix socket, for this demo only")
	cluster, err := startDemoServer(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	d.server = cluster.Settings()
	if err := d.prepare(ctx, bytes); err != nil {
		return err
	}
	if story {
		return d.story(ctx)
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	p.identities = []string{d.path("identity-1.txt")}
	err = p.show(ctx, s)
	return errors.Join(err, d.endJobs(context.WithoutCancel(ctx)))
}

// endJobs ends what still runs: the demo's server and folder go away.
func (d *demo) endJobs(ctx context.Context) error {
	s, err := d.p.open()
	if err != nil {
		return err
	}
	jobs, err := s.vault.Jobs(ctx)
	for _, j := range jobs {
		if j.State != vault.JobRunning {
			continue
		}
		d.say("the demo ends, and with it the running %s of %s", j.Order.Kind, safetext.Line(j.Order.Database))
		if s.vault.Cancel(ctx, j.ID) == nil {
			_ = s.vault.Watch(ctx, j.ID, func(vault.Event) {}) // how it ends is its own matter
		}
	}
	return err
}

// demo is the throwaway world that a demo plays in.
type demo struct {
	p      *program
	dir    string
	server pg.Settings
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) say(format string, a ...any) {
	fmt.Fprintf(d.p.stderr, "\n== "+format+"\n", a...)
}

// prepare fills the sample database and makes the vault, with the same
// configuration file that init writes.
func (d *demo) prepare(ctx context.Context, bytes int64) error {
	d.say("a sample database of about %s: %s", size(bytes), demoDatabase)
	if err := fillSample(ctx, d.server, bytes); err != nil {
		return err
	}
	for _, name := range []string{"identity-1.txt", "identity-2.txt"} {
		if err := archive.WriteNewIdentity(d.path(name)); err != nil {
			return err
		}
	}
	d.say("a vault with two recipients and a signing key")
	d.p.config = d.path("config.toml")
	r1, r2 := d.path("identity-1.txt.pub"), d.path("identity-2.txt.pub")
	o := initOptions{place: "file:" + d.path("backup"), recipients: []string{r1, r2}, databases: []string{demoDatabase, d.server.Conninfo}}
	values, recipients, err := o.values(d.p.config)
	if err != nil {
		return err
	}
	values.Label = "DEMO"
	if err := setup.Write(d.p.config, values, recipients, rand.Reader); err != nil {
		return err
	}
	if err := os.Setenv("STATE_DIRECTORY", d.path("state")); err != nil {
		return err
	}
	s, err := d.p.open()
	if err != nil {
		return err
	}
	return s.vault.Init(ctx)
}

func startDemoServer(ctx context.Context) (*pgtest.Cluster, error) {
	all, searched, err := pg.FindPrograms(ctx, "")
	if err != nil {
		return nil, err
	}
	dir, err := pg.ForScratch(all, searched, 13)
	if err != nil {
		return nil, err
	}
	return pgtest.Start(ctx, pgtest.Options{BinDir: dir})
}

func fillSample(ctx context.Context, server pg.Settings, bytes int64) error {
	if err := pg.Exec(ctx, server, "postgres", `CREATE DATABASE `+demoDatabase+` TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'`); err != nil {
		return err
	}
	scripts := append([]string{sample.Roles(), sample.Schema()}, sample.Data(bytes)...)
	return pg.Exec(ctx, server, demoDatabase, append(scripts, sample.Settings(demoDatabase))...)
}

// parseSize reads 50MB, 2GiB, 1000000.
func parseSize(s string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1}}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err == nil && n > 0 && n < 1<<40/u.factor {
			return n * u.factor, nil
		}
		break
	}
	return 0, usage(fmt.Sprintf("%q is not a size such as 50MB", s))
}
