package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/tell"
)

func (p *program) alertCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "Try who is told when something is the matter", Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	test := &cobra.Command{
		Use:   "test",
		Short: "Send a test to every sink under [tell], and say which arrived",
		Long: "Sends a message that says it is a test to every address of on_failure, pings the\n" +
			"watchdog of ping_file with how things stand, and writes metrics_file. One line each: ok,\n" +
			"or why not. Addresses are shown by scheme and host. Exit 1 if one did not work.",
		Args: usageArgs(cobra.NoArgs),
		RunE: p.alertTest,
	}
	test.Flags().BoolVar(&p.json, "json", false, "one JSON array")
	cmd.AddCommand(test)
	return cmd
}

// sinkJSON is one line of alert test.
type sinkJSON struct {
	Sink  string `json:"sink"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (p *program) alertTest(cmd *cobra.Command, _ []string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	results, err := s.vault.TestAlerts(cmd.Context())
	if err != nil && len(results) == 0 {
		return err
	}
	list, failed := []sinkJSON{}, 0
	for _, r := range results {
		j := sinkJSON{Sink: r.Sink, OK: r.Err == nil}
		if r.Err != nil {
			j.Error = r.Err.Error()
			failed++
		}
		list = append(list, j)
	}
	if p.json {
		if werr := p.printJSON(list); werr != nil {
			return werr
		}
	} else {
		for _, j := range list {
			if j.OK {
				fmt.Fprintf(p.stdout, "ok  %s\n", safetext.Line(j.Sink))
			} else {
				fmt.Fprintf(p.stdout, "x   %s: %s\n", safetext.Line(j.Sink), safetext.Line(j.Error))
			}
		}
	}
	if err == nil && failed > 0 {
		err = &fault.Error{Op: "alert", What: fmt.Sprintf("%d of %d did not work", failed, len(list)), Why: "see above", Left: "backups go on; nobody hears of their failure there", Do: "mend [tell] in the configuration, and try again", Code: fault.Failed}
	}
	return err
}

// checkTell checks what can be known of sinks without sending anything; the
// addresses were checked when the file was read.
func (p *program) checkTell(conf *config.Config, report func(string, error, string)) {
	for _, name := range tell.Names(conf.Tell.OnFailure) {
		report("tell", nil, name)
	}
	if file := conf.Tell.PingFile; file != "" {
		report("ping", fourLines(tell.CheckPing(file), "the watchdog cannot be told", "correct tell.ping_file"), tell.ShowPing(file))
	}
	if file := conf.Tell.MetricsFile; file != "" {
		dir := filepath.Dir(file)
		fi, err := os.Stat(dir)
		if err == nil && !fi.IsDir() {
			err = fmt.Errorf("%s is not a folder", dir)
		}
		report("metrics", fourLines(err, "the metrics cannot be written", "make the folder of tell.metrics_file, writable for this user"), file)
	}
}

func fourLines(err error, what, do string) error {
	if err == nil {
		return nil
	}
	return &fault.Error{What: what, Why: err.Error(), Left: "nothing was changed", Do: do, Code: fault.Usage, Err: err}
}
