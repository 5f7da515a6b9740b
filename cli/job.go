package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) jobCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "job",
		Short: "What runs and what ran: list, watch, log, cancel",
		Long: "A job is one run of backup, verify or restore, whoever started it: this command\n" +
			"line, a timer, cron or the screen. An id may be shortened to any beginning or end\n" +
			"that no other has.",
		Example: "  pgvault job list\n" +
			"  pgvault job watch 7f3a",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.jobList(cmd.Context()) },
	}
	list := &cobra.Command{Use: "list", Short: "Jobs, newest first",
		Long: "Running jobs and those of the last 90 days, who started them, and how they stand or\nended. died means that a job was killed: it is in nobody's way.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.jobList(cmd.Context()) }}
	watch := &cobra.Command{Use: "watch [ID]", Short: "Follow a job to its end, and exit as it does",
		Long: "Prints what the run itself prints, from its beginning, and ends with its exit code.\nCtrl-C ends the watching, not the job. Without ID: the newest job.",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return p.jobWatch(cmd.Context(), args) }}
	log := &cobra.Command{Use: "log [ID]", Short: "What a job has told so far; without ID: the newest",
		Long: "Prints what the job has told so far and ends at once. It tells also of a job that died.",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return p.jobLog(cmd.Context(), args) }}
	cancel := &cobra.Command{Use: "cancel ID", Short: "Ask a job to end cleanly",
		Long: "The job ends as it would on Ctrl-C: a backup leaves nothing half-made, a restore\ndrops the database that it was making. Archives are as they were.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return p.jobCancel(cmd.Context(), args[0]) }}
	for _, c := range []*cobra.Command{cmd, list} {
		c.Flags().BoolVar(&p.json, "json", false, "one JSON document")
	}
	for _, c := range []*cobra.Command{watch, log} {
		c.Flags().BoolVar(&p.json, "json", false, "JSON Lines, as the run itself prints them")
	}
	cmd.AddCommand(list, watch, log, cancel, p.jobRunCmd())
	return cmd
}

// jobRunCmd is the process that a job is. Only Launch starts it.
func (p *program) jobRunCmd() *cobra.Command {
	var start string
	cmd := &cobra.Command{Use: "run", Hidden: true, Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.outliveTerminal()
			order, err := vault.ReceiveStart(start)
			if err != nil {
				return err
			}
			v, err := p.ordered(cmd.Context(), order.Order())
			if err != nil {
				order.Refuse(err)
				return err
			}
			return v.RunStart(cmd.Context(), order)
		}}
	cmd.Flags().StringVar(&start, "start", "", "where the launcher waits")
	return cmd
}

// ordered is the vault that an order is for: the configured one, but for a
// recovery, which has no configuration.
func (p *program) ordered(ctx context.Context, o vault.Order) (*vault.Vault, error) {
	if o.Recover != nil {
		return p.orderedRecovery(ctx, *o.Recover)
	}
	s, err := p.open()
	if err != nil {
		return nil, err
	}
	return s.vault, nil
}

// jobLine is a job as JSON: progress and done are lines as the run tells
// them.
type jobLine struct {
	Schema   int             `json:"schema"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Vault    string          `json:"vault"`
	Kind     vault.Kind      `json:"kind"`
	Database string          `json:"database"`
	Archive  string          `json:"archive,omitempty"`
	Target   string          `json:"target,omitempty"`
	State    vault.JobState  `json:"state"`
	Actor    vault.Actor     `json:"actor"`
	PID      int             `json:"pid"`
	Started  time.Time       `json:"started"`
	Ended    time.Time       `json:"ended,omitzero"`
	Stage    vault.Stage     `json:"stage,omitempty"`
	Progress json.RawMessage `json:"progress,omitempty"`
	Done     json.RawMessage `json:"done,omitempty"`
}

func jobJSON(j vault.Job) jobLine {
	l := jobLine{Schema: 1, Type: "job", ID: j.ID, Vault: j.Vault, Kind: j.Order.Kind, Database: j.Order.Database, Archive: firstOf(j.Archive, j.Order.ID),
		Target: j.Target, State: j.State, Actor: j.Actor, PID: j.PID, Started: j.Started, Ended: j.Ended, Stage: j.Stage}
	if j.Progress != nil {
		l.Progress, _ = vault.EncodeEvent(*j.Progress) // every event can be encoded
	}
	if j.Done != nil {
		l.Done, _ = vault.EncodeEvent(*j.Done)
	}
	return l
}

func (p *program) jobList(ctx context.Context) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	jobs, err := s.vault.Jobs(ctx)
	if err != nil {
		return err
	}
	if p.json {
		out := []jobLine{}
		for _, j := range jobs {
			out = append(out, jobJSON(j))
		}
		return p.printJSON(out)
	}
	p.printJobs(jobs)
	return nil
}

func (p *program) printJobs(jobs []vault.Job) {
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	if !p.plain && len(jobs) > 0 {
		fmt.Fprintln(w, "JOB\tSTARTED\tKIND\tWHAT\tSTATE\tBY\tHOW")
	}
	for _, j := range jobs {
		row := []string{j.ID, j.Started.Local().Format("2006-01-02 15:04:05"), string(j.Order.Kind), safetext.Line(jobWhat(j)), string(j.State),
			safetext.Line(j.Actor.User + " " + j.Actor.By), safetext.Line(jobHow(j))}
		if p.plain {
			fmt.Fprintln(p.stdout, strings.Join(row, "\t"))
			continue
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // nobody reads any more
}

func jobWhat(j vault.Job) string {
	what := firstOf(j.Order.Database, j.Order.ID)
	if j.Order.Missing {
		what = "all that is missing"
	}
	if j.Order.Recover != nil {
		what = "the vault " + j.Order.Recover.Vault
	}
	if j.Order.Kind == vault.KindRestore && j.Target != "" {
		return what + " > " + j.Target
	}
	return what
}

// jobHow is where a running job stands, or how it ended.
func jobHow(j vault.Job) string {
	switch {
	case j.State == vault.JobRunning && j.Progress != nil:
		return progressText(*j.Progress)
	case j.State == vault.JobRunning:
		return string(j.Stage)
	case j.Done != nil && j.Done.Err != nil:
		return fault.As(j.Done.Err).What
	}
	return fmt.Sprintf("%.1f s", j.Ended.Sub(j.Started).Seconds())
}

// jobSink prints a job's events as the run itself would; done is its end.
func (p *program) jobSink(done **vault.RunDone, tty bool) vault.Sink {
	print := jsonSink(p.stdout)
	if !p.json {
		t := &textSink{w: p.stderr, tty: tty, quiet: p.quiet, verbose: p.verbose}
		print = t.sink
	}
	return func(e vault.Event) {
		if d, ok := e.(vault.RunDone); ok {
			*done = &d
		}
		print(e)
	}
}

// openJob gives the job that was named, or the newest one.
func (p *program) openJob(ctx context.Context, args []string) (*session, string, error) {
	s, err := p.open()
	if err != nil || len(args) > 0 {
		return s, strings.Join(args, ""), err
	}
	jobs, err := s.vault.Jobs(ctx)
	if err != nil {
		return nil, "", err
	}
	if len(jobs) == 0 {
		return nil, "", &fault.Error{What: "there is no job yet", Why: "nothing has run with this configuration", Left: "nothing was started", Do: "pgvault backup starts one", Code: fault.Failed}
	}
	return s, jobs[0].ID, nil
}

func (p *program) jobWatch(ctx context.Context, args []string) error {
	s, id, err := p.openJob(ctx, args)
	if err != nil {
		return err
	}
	var done *vault.RunDone
	err = s.vault.Watch(ctx, id, p.jobSink(&done, term.IsTerminal(int(os.Stderr.Fd()))))
	switch {
	case ctx.Err() != nil:
		return &fault.Error{What: "the watching was stopped", Why: "asked to", Left: "the job goes on", Do: "pgvault job cancel " + id + " ends it", Code: fault.Cancelled, Err: ctx.Err()}
	case err != nil:
		return err
	case done.Err != nil:
		return done.Err
	case done.Exit != fault.OK:
		return &exitCode{done.Exit}
	}
	return nil
}

func (p *program) jobLog(ctx context.Context, args []string) error {
	s, id, err := p.openJob(ctx, args)
	if err != nil {
		return err
	}
	var done *vault.RunDone
	if err := s.vault.Log(ctx, id, p.jobSink(&done, false)); err != nil {
		return err
	}
	if done != nil && done.Err != nil && !p.json {
		p.printError(done.Err)
	}
	return nil
}

func (p *program) jobCancel(ctx context.Context, id string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	if err := s.vault.Cancel(ctx, id); err != nil {
		return err
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "told to end; pgvault job watch %s shows how it does\n", id)
	}
	return nil
}

// shortID is the end of a job's id, which people can type.
func shortID(id string) string { return id[max(0, len(id)-4):] }
