// Command pgvault is an encrypted, proven backup vault for PostgreSQL: on a
// terminal a screen that people like to keep open, elsewhere a command line
// for scripts and timers.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"pgvault/cli"
	"pgvault/tui"
)

func main() {
	os.Exit(run())
}

func run() int {
	harden()
	log.SetOutput(io.Discard) // what libraries say there would land in the middle of the screen
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return cli.Main(ctx, os.Args[1:], screen)
}

// screen shows the terminal UI; the two faces meet only here.
func screen(ctx context.Context, d cli.Desk, o cli.ScreenOptions) error {
	return tui.Run(ctx, tui.Vault{Desk: d, Runs: d, Keeper: d}, tui.Options{
		Theme: o.Theme, ASCII: o.ASCII, Mouse: o.Mouse, UTC: o.UTC,
		ReadOnly: o.ReadOnly, SlowLine: o.SlowLine, Identity: o.Identity,
		Guide: o.Guide, Setup: o.Setup, AtSetup: o.AtSetup, Say: o.Say, Again: o.Again, Command: o.Command,
	})
}
