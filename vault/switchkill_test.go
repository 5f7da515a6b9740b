package vault

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

// switchOrder is what the process that is to be killed is told.
type switchOrder struct {
	Config   string // of the state folder
	Conninfo string
	Options  SwitchOptions
	Undo     bool
	At       int // killed at this call of onStatement
}

// runSwitchVictim is another process of this test's binary: it switches, and
// kills itself with SIGKILL at the statement it was told. The last line it
// prints is the statement.
func runSwitchVictim(text string) int {
	var o switchOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Println(err)
		return 1
	}
	v := New(Config{Name: "main", Version: "test", StateDir: o.Config, Server: pg.Settings{Conninfo: o.Conninfo}})
	n := 0
	v.onStatement = func(sql string, done bool) {
		if n++; n == o.At {
			fmt.Printf("%t %s\n", done, sql)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	plan := func() (*SwitchPlan, error) { return v.PlanSwitch(context.Background(), o.Options) }
	if o.Undo {
		plan = func() (*SwitchPlan, error) { return v.PlanSwitchUndo(context.Background(), o.Options.Database) }
	}
	p, err := plan()
	if err == nil {
		err = v.Switch(context.Background(), p, nil)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// killedAt runs a switch, or an undo, that is killed at its nth statement; it
// gives that, or "" when the switch came to its end.
func (w *switchWorld) killedAt(n int, undo bool) string {
	w.t.Helper()
	c, err := switchServer()
	if err != nil {
		w.t.Fatal(err)
	}
	order := switchOrder{Config: w.conf.StateDir, Conninfo: fmt.Sprintf("host=%s port=%d user=%s", c.SocketDir, c.Port, c.Superuser),
		Options: SwitchOptions{Database: w.name, With: w.with}, Undo: undo, At: n}
	return killedSwitch(w.t, order)
}

// killedSwitch runs another process that switches and is killed; it gives the
// statement that it was killed at, "" when the switch came to its end.
func killedSwitch(t testing.TB, order switchOrder) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PGVAULT_TEST_SWITCH="+jsonText(order))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	err = cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		return strings.TrimSpace(line)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return ""
}

// TestSwitchKilled kills the process before and after each statement of a
// switch, and of an undo, and before each line of the journal; then it is
// resumed, or taken back, by turns, and everything is as it should be.
func TestSwitchKilled(t *testing.T) {
	w := newSwitchWorld(t, "sw_kill")
	w.sql("", "ALTER DATABASE sw_kill SET work_mem = '5MB'")
	want := w.properties(w.live)
	for _, undo := range []bool{false, true} {
		start, goal := GoalOriginal, GoalSwitched
		if undo {
			start, goal = goal, start
		}
		seen := map[string]bool{}
		for n := 1; ; n++ {
			w.bring(start)
			at := w.killedAt(n, undo)
			if at == "" {
				w.stands(goal)
				break
			}
			seen[at] = true
			w.unfinished(at)
			back := n%2 == 0
			if begun, _ := w.vault().readSwitch(w.name); begun == nil || begun.Done {
				continue // before the first line of the journal: nothing to resume
			}
			p, err := w.vault().PlanSwitchResume(t.Context(), w.name, back)
			if err != nil || p.Refused() {
				t.Fatalf("killed at %q: %+v, %v", at, p, err)
			}
			tp := w.doSwitch(w.vault(), p).ok(t)
			if back {
				w.stands(start)
			} else {
				w.stands(goal)
			}
			if got := w.properties(w.live); got.Differing(want) != "" {
				t.Errorf("killed at %q, the properties differ in %s", at, got.Differing(want))
			}
			if t.Failed() {
				t.Fatalf("killed at %q, back %t: %+v", at, back, tp.events)
			}
		}
		for _, text := range []string{"RENAME TO \"sw_kill\"", "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true", "journal: rename", "true COMMIT", "journal: ask"} {
			found := false
			for at := range seen {
				found = found || strings.Contains(at, text)
			}
			if !found {
				t.Errorf("undo %t was never killed at %s: %v", undo, text, seen)
			}
		}
	}
}

// bring brings the names to where a round begins, by what a user has.
func (w *switchWorld) bring(goal SwitchGoal) {
	w.t.Helper()
	at := GoalOriginal
	if w.oid(w.name) == w.rest {
		at = GoalSwitched
	}
	switch {
	case at == goal:
	case goal == GoalSwitched:
		w.doSwitch(w.vault(), w.planSwitch()).ok(w.t.(*testing.T))
	default:
		w.undo().ok(w.t.(*testing.T))
	}
}

// unfinished holds what is true after each kill: both databases are whole,
// one of them has the name, and a new switch is refused.
func (w *switchWorld) unfinished(at string) {
	w.t.Helper()
	if oid := w.oid(w.name); oid != w.live && oid != w.rest {
		w.t.Errorf("killed at %q, %s is %d", at, w.name, oid)
	}
	j, err := w.vault().readSwitch(w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	if j == nil || j.Done {
		if !strings.HasPrefix(at, "false journal: ") {
			w.t.Errorf("killed at %q, and no journal tells of it: %+v", at, j)
		}
		return
	}
	u := w.vault().UnfinishedSwitches()
	if len(u) != 1 || u[0].Database != w.name {
		w.t.Errorf("killed at %q: %+v", at, u)
	}
	if e := w.vault().switchWarnings(); len(e) != 1 || !strings.Contains(e[0].What, "was broken off") || !strings.Contains(e[0].Do, "pgvault switch sw_kill --resume") {
		w.t.Errorf("killed at %q, the status says %+v", at, e)
	}
	if p, err := w.vault().PlanSwitch(w.t.Context(), SwitchOptions{Database: w.name, With: w.with}); err != nil || !p.Refused() {
		w.t.Errorf("killed at %q, a new switch is planned: %v", at, err)
	}
}

// TestSwitchCancelled cancels at each statement, as Ctrl-C does: until the
// renames the names go back; after them the switch comes to its end.
func TestSwitchCancelled(t *testing.T) {
	w := newSwitchWorld(t, "sw_stop")
	renamed := false
	for n := 1; ; n++ {
		w.bring(GoalOriginal)
		p := w.planSwitch()
		v := w.vault()
		ctx, cancel := context.WithCancel(t.Context())
		count, at := 0, ""
		v.onStatement = func(sql string, done bool) {
			if count++; count == n {
				at = sql
				cancel()
			}
		}
		tp := &tape{}
		tp.err = v.Switch(ctx, p, tp.sink)
		cancel()
		tp.check(t)
		renamed = renamed || strings.Contains(at, "RENAME")
		switch {
		case tp.err == nil:
			w.stands(GoalSwitched)
		case fault.CodeOf(tp.err) != fault.Cancelled:
			t.Fatalf("cancelled at %q: %v", at, tp.err)
		default:
			w.stands(GoalOriginal)
			if e := fault.As(tp.err); !strings.Contains(e.Left, "name") {
				t.Errorf("%+v", e)
			}
		}
		if u := v.UnfinishedSwitches(); len(u) != 0 {
			t.Errorf("cancelled at %q, %+v is left", at, u)
		}
		if at == "" {
			break
		}
	}
	if !renamed {
		t.Error("no rename was met")
	}
}

// TestSwitchFails at each statement: its session is ended by the server, as
// when somebody restarts it. The names go back and logins are let in.
func TestSwitchFails(t *testing.T) {
	w := newSwitchWorld(t, "sw_fail")
	const others = "backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = 'postgres'"
	done := false
	for n := 1; !done; n++ {
		w.bring(GoalOriginal)
		p := w.planSwitch()
		v := w.vault()
		count, at := 0, ""
		v.onStatement = func(sql string, after bool) {
			if count++; count == n && !strings.HasPrefix(sql, "journal") {
				at = sql
				w.sql("", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "+others)
				until(t, "the sessions have ended", func() bool { return w.ask("postgres", "SELECT count(*) FROM pg_stat_activity WHERE "+others) == "0" })
			}
		}
		tp := w.doSwitch(v, p)
		if tp.err != nil {
			e := fault.As(tp.err)
			if !strings.Contains(e.Left, "name") {
				t.Errorf("at %q: %+v", at, e)
			}
			w.stands(GoalOriginal)
		} else {
			w.stands(GoalSwitched)
		}
		if u := v.UnfinishedSwitches(); len(u) != 0 {
			t.Errorf("failed at %q, %+v is left", at, u)
		}
		done = count < n
	}
}
