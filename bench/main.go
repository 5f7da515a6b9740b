// Command bench measures pgvault against the pipelines that people run
// today, on one private cluster, and prints a table. It asserts nothing about
// time: a slow machine is no failure.
//
// The cases are taken in turn (A B C D, A B C D, …), so that a change in the
// machine's load falls on all of them, and the medians are compared. The
// server has PostgreSQL's default settings, fsync included. It lies below a
// temporary folder, or below -dir, which is then kept and used again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

type bench struct {
	c          *cluster
	pgvaultBin string
	dir        string
	size       int64
	runs       int
	baseOnly   bool
	screenOnly bool
	mainOnly   bool
	copyOnly   bool
	copySize   int64
	more       []string // of the environment
}

func main() {
	b := &bench{}
	size := flag.String("size", "1.5GB", "uncompressed size of the dump, about")
	dir := flag.String("dir", "", "keep the cluster below this folder and use it again")
	bin := flag.String("bin-dir", "/usr/lib/postgresql/15/bin", "PostgreSQL's programs")
	pgvault := flag.String("pgvault", "bin/pgvault", "the binary to measure")
	prepare := flag.Bool("prepare-only", false, "make and fill the cluster in -dir, leave it running")
	big := flag.Bool("big", false, "also measure memory at 10 times the size")
	flag.IntVar(&b.runs, "runs", 5, "runs of every case")
	flag.BoolVar(&b.baseOnly, "base-only", false, "measure only what is not pgvault")
	flag.BoolVar(&b.screenOnly, "screen-only", false, "measure only listing and screen")
	flag.BoolVar(&b.mainOnly, "main-only", false, "measure only backup and restore")
	flag.BoolVar(&b.copyOnly, "copy-only", false, "measure only copies to servers; needs no cluster")
	copySize := flag.String("copy-size", "1.2GB", "size of the archive that is copied, about")
	plan := flag.Int("plan-archives", 0, "only plan retention for so many archives, and tell time and memory as JSON")
	flag.Parse()
	if *plan > 0 {
		if err := planOnce(*plan); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		n, err := parseSize(*size)
		if err != nil {
			return err
		}
		b.size = n
		if b.copySize, err = parseSize(*copySize); err != nil {
			return err
		}
		if b.pgvaultBin, err = filepath.Abs(*pgvault); err != nil {
			return err
		}
		return b.run(ctx, *dir, *bin, *prepare, *big)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, dir, bin string, prepare, big bool) (err error) {
	keep := dir != ""
	if !keep {
		if prepare {
			return errors.New("-prepare-only needs -dir")
		}
		if dir, err = os.MkdirTemp("", "pgvault-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	b.dir = dir
	if b.copyOnly {
		return b.copies(ctx)
	}
	if b.c, err = openCluster(ctx, dir, bin); err != nil {
		return err
	}
	if !prepare {
		defer func() { err = errors.Join(err, b.c.stop()) }()
	}
	fmt.Fprintf(os.Stderr, "bench: filling the database for a dump of about %s\n", mb(b.size))
	if err := b.c.fill(ctx, b.size); err != nil || prepare {
		return err
	}
	if err := os.MkdirAll(b.path("out", "vault"), 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(b.path("out"))
	if err := b.keys(ctx); err != nil {
		return err
	}
	r := &results{}
	if !b.screenOnly {
		if r, err = b.measure(ctx); err != nil {
			return err
		}
	}
	if !b.baseOnly && !b.mainOnly {
		if r.screen, err = b.measureScreen(ctx); err != nil {
			return err
		}
	}
	if !b.baseOnly && !b.screenOnly && !b.mainOnly {
		if r.copies, err = b.measureCopies(ctx, b.copySize); err != nil {
			return err
		}
	}
	if big && !b.baseOnly {
		if err := b.measureBig(ctx, r); err != nil {
			return err
		}
	}
	return r.print(os.Stdout, b)
}

// copies measures copies alone.
func (b *bench) copies(ctx context.Context) error {
	if err := os.MkdirAll(b.path("out"), 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(b.path("out"))
	if err := b.keys(ctx); err != nil {
		return err
	}
	r := &results{}
	var err error
	if r.copies, err = b.measureCopies(ctx, b.copySize); err != nil {
		return err
	}
	return r.print(os.Stdout, b)
}

// environ is the environment of what is measured.
func (b *bench) environ() []string {
	env := os.Environ()
	if b.c != nil {
		env = b.c.env()
	}
	return append(env, b.more...)
}

func (b *bench) path(e ...string) string { return filepath.Join(append([]string{b.dir}, e...)...) }

// keys makes what both sides need: an age key pair, a signing key, and the
// configurations with and without the self-check.
func (b *bench) keys(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "age-keygen", "-o", b.path("out", "key.txt")).CombinedOutput(); err != nil {
		return fmt.Errorf("age-keygen: %w: %s", err, out)
	}
	to, err := exec.CommandContext(ctx, "age-keygen", "-y", b.path("out", "key.txt")).Output()
	if err != nil {
		return fmt.Errorf("age-keygen -y: %w", err)
	}
	if err := os.WriteFile(b.path("out", "recipients.txt"), append([]byte("# bench\n"), to...), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pgvault bench", "-f", b.path("out", "signing_key"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	for _, check := range []bool{false, true} {
		text := fmt.Sprintf(`[vault]
name = "bench"
[keys]
recipients_file = %q
signing_key = %q
self_check = %t
allow_one_recipient = true
[[place]]
name = "disk"
url = "file:%s"
[[database]]
name = %q
`, b.path("out", "recipients.txt"), b.path("out", "signing_key"), check, b.path("out", "vault"), database)
		if err := os.WriteFile(b.config(check), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// config is the file of the configuration with or without the self-check.
func (b *bench) config(selfCheck bool) string {
	return b.path("out", "self-check-"+strconv.FormatBool(selfCheck)+".toml")
}

// parseSize reads 1.5GB, 800MB or a plain number of bytes.
func parseSize(s string) (int64, error) {
	unit := 1.0
	for suffix, u := range map[string]float64{"GB": 1e9, "MB": 1e6} {
		if t, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = t, u
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f <= 0 {
		return 0, fmt.Errorf("size %q: want a number with GB or MB", s)
	}
	return int64(f * unit), nil
}
