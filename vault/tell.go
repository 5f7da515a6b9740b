package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/tell"
)

// Tell says who is told when something is the matter.
type Tell struct {
	OnFailure   []string // addresses as tell.Check takes them; each may hold a secret
	PingFile    string   // holds a watchdog's address
	MetricsFile string
	Reminder    time.Duration // what stays the matter is told again after so long; 0: never
}

func (t Tell) any() bool { return len(t.OnFailure) > 0 || t.PingFile != "" || t.MetricsFile != "" }

// sinks names all that is told, the same in every run.
func (t Tell) sinks() []string {
	out := tell.Names(t.OnFailure)
	if t.PingFile != "" {
		out = append(out, tell.ShowPing(t.PingFile))
	}
	if t.MetricsFile != "" {
		out = append(out, "metrics_file "+t.MetricsFile)
	}
	return out
}

// How long telling may take: looking, waiting for another process that
// tells, and all of it. Each sink has its own ten seconds, all at once.
const (
	tellLook = 20 * time.Second
	tellWait = 30 * time.Second
	tellAll  = time.Minute
)

// The files in the state folder: what was told, and the lock of who tells.
const (
	tellFile     = "tell.json"
	tellLockFile = "tell.lock"
)

// Tell looks how things stand and tells whoever is to be told: news since
// the last time as one message, the watchdog, the file for Prometheus. It is
// for a timer or a scheduler, which sees what no run says: that none ran. It
// does nothing where nobody is to be told. The error names the sinks that
// could not be reached, and why.
func (v *Vault) Tell(ctx context.Context) error {
	if !v.c.Tell.any() {
		return nil
	}
	if err := v.writable(); err != nil {
		return err
	}
	results, err := v.tell(ctx, nil)
	if err != nil {
		return err
	}
	var failed []string
	for _, r := range results {
		if r.Err != nil {
			failed = append(failed, r.Sink+": "+r.Err.Error())
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &fault.Error{Op: "tell", What: fmt.Sprintf("%d of %d sinks could not be told", len(failed), len(results)), Why: strings.Join(failed, "; "),
		Left: "the archives are as they were; it is tried again", Do: "mend it, then: pgvault alert test"}
}

// ended is a backup that has just ended in this process.
type ended struct {
	job  string // its id, empty for none
	done RunDone
}

// tell is Tell after a backup, or with nil at any other time. Only one
// process of a vault tells at once.
func (v *Vault) tell(ctx context.Context, after *ended) ([]tell.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, tellAll)
	defer cancel()
	unlock, err := v.lockTelling(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	look, stop := context.WithTimeout(ctx, tellLook)
	w, listErr := v.look(look, screenWait)
	f, err := v.facts(look, w, listErr)
	stop()
	if f == nil || ctx.Err() != nil { // what was broken off says nothing of a place or a server
		return nil, cmp.Or(ctx.Err(), err)
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), tellAll) // what is sent is noted
	defer end()
	s := v.tellState()
	m := newMatter(f, s, listErr, after)
	var results []tell.Result
	if len(v.c.Tell.OnFailure) > 0 {
		conditions := m.conditions(len(v.c.Tell.OnFailure) > 1)
		if n := tell.Decide(s, v.now(), conditions, m.unsure, v.c.Tell.Reminder); !n.Empty() {
			results = v.sender.Send(ctx, v.c.Tell.OnFailure, v.message(m, n))
			if slices.ContainsFunc(results, func(r tell.Result) bool { return r.Err == nil }) {
				s = s.Told(n, v.now().Truncate(time.Second))
			} else {
				s = s.NotTold(n, v.now())
			}
		}
	}
	results = append(results, v.ping(ctx, m, after)...)
	s = s.Heard(results, v.c.Tell.sinks(), v.now().Truncate(time.Second))
	if file := v.c.Tell.MetricsFile; file != "" {
		r := tell.Result{Sink: "metrics_file " + file, Err: tell.WriteMetrics(file, v.metrics(f, s))}
		results = append(results, r)
		s = s.Heard([]tell.Result{r}, v.c.Tell.sinks(), v.now().Truncate(time.Second))
	}
	return results, v.keepTellState(s)
}

func (v *Vault) lockTelling(ctx context.Context) (unlock func(), err error) {
	if err := v.stateFolder(v.c.StateDir); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(v.c.StateDir, tellLockFile), flock.SetPermissions(0o600))
	wait, stop := context.WithTimeout(ctx, tellWait)
	defer stop()
	if got, err := lock.TryLockContext(wait, 20*time.Millisecond); err != nil || !got {
		_ = lock.Close()
		return nil, &fault.Error{Op: "tell", What: "nobody was told", Why: "another process of this vault has been telling for " + span(tellWait), Left: "the archives are as they were", Do: "look at it: pgvault job list", Err: err}
	}
	return func() { _ = lock.Close() }, nil
}

// tellState is what was told; an empty one where nothing readable is
// remembered: then all that is the matter is told anew.
func (v *Vault) tellState() tell.State {
	var s tell.State
	src, err := os.ReadFile(filepath.Join(v.c.StateDir, tellFile))
	if err != nil || json.Unmarshal(src, &s) != nil {
		return tell.State{}
	}
	return s
}

func (v *Vault) keepTellState(s tell.State) error {
	src, err := json.MarshalIndent(s, "", " ")
	if err == nil {
		err = v.writeState(filepath.Join(v.c.StateDir, tellFile), append(src, '\n'))
	}
	if err != nil {
		return &fault.Error{Op: "tell", What: "what was told cannot be noted", Left: "it will be told again", Do: "make the state folder writable, and look for free space", Err: err}
	}
	return nil
}

// pingStart is the watchdog's start, on its way beside the backup.
type pingStart struct {
	mu   sync.Mutex
	sent chan struct{} // nil: not begun since the last end; closed: it was sent, or was not
}

// pingStarted tells the watchdog that a backup begins, once for all that
// follow each other before the next end. It does not wait for it.
func (v *Vault) pingStarted(o Order) {
	if v.c.Tell.PingFile == "" || o.Kind != KindBackup || v.writable() != nil {
		return
	}
	v.started.mu.Lock()
	defer v.started.mu.Unlock()
	if v.started.sent != nil {
		return
	}
	sent := make(chan struct{})
	v.started.sent = sent
	go func() {
		defer close(sent)
		_ = tell.Ping(context.Background(), v.c.Tell.PingFile, tell.PingStart, "") // the ping at the end says whether it works
	}()
}

// ping tells the watchdog how all databases are: one that is well says
// nothing of the others. At no backup's end all is well only where none is
// under way, because that would end its time.
func (v *Vault) ping(ctx context.Context, m *matter, after *ended) []tell.Result {
	if v.c.Tell.PingFile == "" {
		return nil
	}
	v.started.mu.Lock()
	sent := v.started.sent
	v.started.sent = nil
	v.started.mu.Unlock()
	if sent != nil {
		<-sent // not after the end; it has a limit of its own
	}
	signal, body := tell.PingSuccess, fmt.Sprintf("%s are well\n", plural(int64(len(m.f.status)), "database"))
	if bad := m.bad(); len(bad) > 0 {
		signal, body = tell.PingFail, tell.Message{Head: v.head(), Entries: bad}.Text(32<<10)
	}
	switch {
	case signal == tell.PingSuccess && (after == nil && m.f.runningAny || m.blind()):
		return nil
	case after != nil && after.done.Result == ResultCancelled:
		return nil // a person did that; without a success the watchdog speaks up in time
	}
	return []tell.Result{{Sink: tell.ShowPing(v.c.Tell.PingFile), Err: tell.Ping(ctx, v.c.Tell.PingFile, signal, body)}}
}

// alert tells whoever is to be told that a backup has ended. What went wrong
// with that is a warning of the run, and never its failure.
func (r *recorder) alert(d RunDone) RunDone {
	if r.order.Kind != KindBackup || !r.v.c.Tell.any() || r.more && d.Result != ResultCancelled || r.v.c.StateDir == "" || r.v.writable() != nil {
		return d
	}
	after := &ended{done: d}
	if r.run != nil {
		after.job = r.run.ID()
	}
	results, err := r.v.tell(context.Background(), after)
	if err != nil {
		results = append(results, tell.Result{Sink: "alerts", Err: err})
	}
	for _, res := range results {
		if res.Err == nil {
			continue
		}
		d.Warnings++
		n := Notice{Level: "warning", Text: safetext.Line(fmt.Sprintf("%s could not be told: %v", res.Sink, res.Err)), At: r.v.now()}
		r.record(n)
		r.sink(n)
	}
	return d
}

// TestAlerts sends a message that says it is a test to every sink, pings the
// watchdog and writes the metrics; each is told of with what came of it. It
// is in no state and in no flood control.
func (v *Vault) TestAlerts(ctx context.Context) ([]tell.Result, error) {
	if err := v.writable(); err != nil {
		return nil, err
	}
	if !v.c.Tell.any() {
		return nil, &fault.Error{Op: "alert", What: "nobody is to be told", Why: "[tell] names no sink, no ping_file and no metrics_file", Left: "nothing was sent",
			Do: "add on_failure = [\"smtp://…\"] under [tell]; config.toml.example shows how", Code: fault.Usage}
	}
	e := tell.Entry{Title: "a test", Lines: tell.Lines{What: "this is a test of pgvault's alerts", Why: who() + " asked for it", Left: "nothing is the matter because of it", Do: "nothing"}}
	results := v.sender.Send(ctx, v.c.Tell.OnFailure, tell.Message{Title: v.title("a test"), Head: v.head(), Entries: []tell.Entry{e}})
	w, listErr := v.look(ctx, screenWait)
	f, err := v.facts(ctx, w, listErr)
	if err != nil {
		return results, err
	}
	s := v.tellState()
	results = append(results, v.ping(ctx, newMatter(f, s, listErr, nil), nil)...)
	s = s.Heard(results, v.c.Tell.sinks(), v.now())
	if file := v.c.Tell.MetricsFile; file != "" {
		results = append(results, tell.Result{Sink: "metrics_file " + file, Err: tell.WriteMetrics(file, v.metrics(f, s))})
	}
	unlock, err := v.lockTelling(ctx)
	if err != nil {
		return results, err
	}
	defer unlock()
	return results, v.keepTellState(v.tellState().Heard(results, v.c.Tell.sinks(), v.now().Truncate(time.Second)))
}
