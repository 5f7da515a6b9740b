package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/nearest"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/kinds"
)

// placeOptions is what place test was given.
type placeOptions struct {
	credentials string
	clean       bool
}

func (p *program) placeCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "place", Short: "List the places, or find out what one can promise", Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	list := &cobra.Command{
		Use:   "list",
		Short: "Tell of each place where it is, whether it answers, and what it is asked to do",
		Long:  "Asks all places at once, each for at most 20 seconds. Exit 15 when one does not answer.",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.placeList(cmd.Context()) },
	}
	var o placeOptions
	test := &cobra.Command{
		Use:   "test [NAME|URL]...",
		Short: "Try out what archives ask of a place, and say what it can promise",
		Long: "Writes a small object and one in pieces into a folder that no vault lists, reads them back,\n" +
			"tries to overwrite and to delete them, and takes them away again, also after Ctrl-C. Looks at\n" +
			"the clock, the limits, the lock, the free space, and at uploads that were never ended. Each\n" +
			"line is ok, ! (know this) or x (do not use it so), with the remedy. Where objects get locked,\n" +
			"one of 64 bytes stays until the lock ends. Exit 0 without an x, 1 with one, 15 when the place\n" +
			"does not even answer. Without a name: all places. A URL need not be in the configuration.",
		Example: "  pgvault place test s3\n" +
			"  pgvault place test 's3://acme-pgbackup/main?region=eu-central-1' --credentials profile:pgvault",
		RunE: func(cmd *cobra.Command, names []string) error { return p.placeTest(cmd.Context(), names, o) },
	}
	test.Flags().StringVar(&o.credentials, "credentials", "", "for a URL: where they come from, as in the configuration (profile:NAME, file:PATH, systemd:NAME, instance)")
	test.Flags().BoolVar(&o.clean, "clean", false, "discard uploads and test objects that are older than a day and were never ended")
	for _, c := range []*cobra.Command{list, test} {
		c.Flags().BoolVar(&p.json, "json", false, "JSON: one document for list, lines for test")
	}
	cmd.AddCommand(list, test)
	return cmd
}

// placeRow is a place in list --json.
type placeRow struct {
	vault.PlaceAnswer
	Kind       string `json:"kind"`
	ObjectLock int64  `json:"object_lock_seconds"`
	Limit      int64  `json:"limit"` // bytes per second; 0: none
	ReadBack   string `json:"read_back"`
	MinFree    int64  `json:"min_free"`
}

func (p *program) placeList(ctx context.Context) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	if len(s.conf.Places) == 0 {
		return noPlace()
	}
	down := false
	list := []placeRow{}
	for i, state := range s.vault.PlaceAnswers(ctx) {
		place := s.conf.Places[i]
		a, err := address.Parse(place.URL)
		if err != nil {
			return err
		}
		down = down || state.State == "x"
		state.URL = a.String()
		list = append(list, placeRow{PlaceAnswer: state, Kind: a.Scheme, ObjectLock: int64(place.ObjectLock / time.Second), Limit: int64(place.Limit), ReadBack: readBack(place, a), MinFree: int64(place.MinFree)})
	}
	if p.json {
		err = p.printJSON(list)
	} else {
		rows := [][]string{}
		for i, r := range list {
			lock, limit := "-", "-"
			if r.ObjectLock > 0 {
				lock = config.FormatDuration(s.conf.Places[i].ObjectLock)
			}
			if r.Limit > 0 {
				limit = address.FormatRate(r.Limit)
			}
			rows = append(rows, []string{r.Name, r.Kind, lock, limit, r.ReadBack, r.State + "  " + safetext.Line(r.Text), safetext.Line(r.URL)})
		}
		err = p.table(p.stdout, []string{"NAME", "KIND", "LOCK", "LIMIT", "READ BACK", "STATE", "ADDRESS"}, rows)
	}
	if err == nil && down {
		return &exitCode{fault.PlaceUnreachable}
	}
	return err
}

func readBack(p config.Place, a address.Address) string {
	if p.ReadBack != "" {
		return p.ReadBack
	}
	return config.DefaultReadBack(a)
}

func noPlace() error {
	return &fault.Error{What: "no place is configured", Why: "neither the configuration nor the environment names one", Left: "nothing was changed",
		Do: "add a [[place]] to the configuration, or name an address: pgvault place test s3://bucket/prefix", Code: fault.NoVault}
}

func (p *program) placeTest(ctx context.Context, names []string, o placeOptions) error {
	if p.readOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "a test writes, and it was started with --read-only", Left: "nothing was written", Do: "start it without --read-only", Code: fault.Refused}
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	var places []config.Place
	for _, name := range names {
		place, err := s.named(name, o)
		if err != nil {
			return err
		}
		places = append(places, place)
	}
	if len(names) == 0 {
		places = s.conf.Places
	}
	if len(places) == 0 {
		return noPlace()
	}
	var first error
	for _, place := range places {
		err := p.testOne(ctx, s, place, o)
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			first = ctx.Err()
			break
		}
	}
	p.placeResult("done", "", first)
	return first
}

// named finds the place of a name or of an address.
func (s *session) named(name string, o placeOptions) (config.Place, error) {
	var known []string
	for _, c := range s.conf.Places {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	if !address.HasScheme(name) {
		hint := "none is configured"
		if len(known) > 0 {
			hint = nearest.Hint(name, known)
		}
		return config.Place{}, usage(fmt.Sprintf("%.80q is neither the name of a place nor an address such as s3://bucket/prefix; %s", name, hint))
	}
	a, err := address.Parse(name)
	if err != nil {
		return config.Place{}, err
	}
	for _, c := range s.conf.Places {
		if b, err := address.Parse(c.URL); err == nil && address.Same(a, b) && o.credentials == "" {
			return c, nil
		}
	}
	return config.CheckPlace(config.Place{Name: name, URL: name, Credentials: o.credentials})
}

// testOne prints a test's lines as they come.
func (p *program) testOne(ctx context.Context, s *session, place config.Place, o placeOptions) error {
	out := &placePrinter{p: p, place: place.Name, tty: isTerminal(p.stdout) && !p.json}
	a, err := address.Parse(place.URL)
	if err != nil {
		return err
	}
	if !p.json {
		fmt.Fprintf(p.stdout, "%s\n", safetext.Line(a.String()))
	}
	at, err := setup.OpenPlace(ctx, place, config.StateDir(s.conf.File))
	if err == nil {
		err = vault.TestPlace(ctx, at, vault.PlaceTest{At: a, Lock: place.ObjectLock, MinFree: int64(place.MinFree), Clean: o.clean}, out.sink)
		if cerr := kinds.Close(at); err == nil {
			err = cerr
		}
	}
	return out.done(err)
}
