package job

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// Start tells how a runner is started.
type Start struct {
	Command []string // the runner's program and arguments; " --start ADDRESS" is added
	Name    string   // of the systemd unit, for people: "pgvault-backup-shop"
	Message any      // what the runner is told; may hold secrets: it is in no argument, environment or file
	// System is systemd's folder, which is there where systemd runs
	// (empty: /run/systemd/system).
	System string
}

// startMessage is the one line from the launcher to the runner.
type startMessage struct {
	Env  []string        `json:"env"` // for a runner that systemd starts, with none of ours
	Body json.RawMessage `json:"body"`
}

// startReply is the one line from the runner to its launcher.
type startReply struct {
	ID    string     `json:"id,omitempty"`
	Error *startFail `json:"error,omitempty"`
}

type startFail struct {
	Op, What, Why, Left, Do string
	Code                    fault.Code
}

// Launch starts a runner as a process of its own session, which outlives
// this one, and returns the id of its job when the runner says that it has
// begun, or the error that kept it from that.
//
// Where systemd runs it starts the runner as a unit of its own (as root, or
// for a user who lingers: the units of others end with their last login), so
// that no logout can end it; elsewhere, and where that fails, setsid does.
// In both cases the message goes through a socket.
func (d Dir) Launch(ctx context.Context, s Start) (string, error) {
	body, err := json.Marshal(s.Message)
	if err != nil {
		return "", fmt.Errorf("message for a runner: %w", err)
	}
	if s.System == "" {
		s.System = "/run/systemd/system"
	}
	if systemd(s.System) {
		if id, err := d.launchUnit(ctx, s, startMessage{os.Environ(), body}); !errors.Is(err, errNoUnit) {
			return id, err
		}
	}
	return d.launchSession(ctx, s, startMessage{nil, body})
}

// launchSession starts the runner by setsid, connected to it by a pair of
// sockets that have no name.
func (d Dir) launchSession(ctx context.Context, s Start, m startMessage) (string, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", notStarted(err, "")
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "start"), os.NewFile(uintptr(pair[1]), "start")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return "", notStarted(err, "")
	}
	defer conn.Close()
	said, saying, err := os.Pipe()
	if err != nil {
		_ = theirs.Close()
		return "", notStarted(err, "")
	}
	defer said.Close()
	cmd := exec.Command(s.Command[0], append(s.Command[1:len(s.Command):len(s.Command)], "--start", "fd:3")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = saying // until the runner has a folder for it
	err = cmd.Start()
	_, _ = theirs.Close(), saying.Close()
	if err != nil {
		return "", notStarted(err, "")
	}
	go func() { _ = cmd.Wait() }() // how it ended is in its journal
	return converse(ctx, conn, m, func() string { return lastWords(said) })
}

// lastWords is what a runner that ended without a reply wrote to standard
// error.
func lastWords(r *os.File) string {
	_ = r.SetReadDeadline(time.Now().Add(time.Second))
	src, _ := io.ReadAll(io.LimitReader(r, 8<<10)) // whatever came is better than nothing
	return strings.TrimSpace(string(src))
}

// errNoUnit: systemd did not start a unit; the runner has not begun.
var errNoUnit = errors.New("systemd did not start a unit")

// launchUnit starts the runner as a transient unit. Its socket has a name,
// in a folder of the owner alone, and is there for a moment.
func (d Dir) launchUnit(ctx context.Context, s Start, m startMessage) (string, error) {
	dir, err := os.MkdirTemp("", "pgvault-start-") // 0700, and short
	if err != nil {
		return "", notStarted(err, "")
	}
	defer os.RemoveAll(dir)
	l, err := listenIn(dir, "start")
	if err != nil {
		return "", notStarted(err, "")
	}
	defer l.Close()
	at, err := os.Getwd()
	if err != nil {
		at = "/"
	}
	unit := s.Name + "-" + hex.EncodeToString([]byte(filepath.Base(dir))[len("pgvault-start-"):])
	args := []string{"--collect", "--quiet", "--no-ask-password", "--unit=" + unit, "--working-directory=" + at, "--property=KillMode=mixed",
		"--nice=" + strconv.Itoa(backNice), "--"}
	if os.Geteuid() != 0 {
		args = append([]string{"--user"}, args...)
	}
	args = append(append(args, s.Command...), "--start", "unix:"+filepath.Join(dir, "start"))
	if exec.CommandContext(ctx, "systemd-run", args...).Run() != nil {
		if ctx.Err() != nil { // stopped, and no reason to start it in another way
			return "", notStarted(context.Cause(ctx), "")
		}
		return "", errNoUnit
	}
	_ = l.SetDeadline(time.Now().Add(30 * time.Second))
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Now()) })
	defer stop()
	conn, err := l.AcceptUnix()
	if err == nil {
		err = sameUser(conn)
	}
	if err != nil {
		return "", notStarted(err, "systemctl status "+unit)
	}
	defer conn.Close()
	return converse(ctx, conn, m, func() string { return "systemctl status " + unit + " tells more" })
}

// sameUser refuses a peer of another user.
func sameUser(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(cerr, err); err == nil && int(peer.Uid) != os.Geteuid() {
		err = fmt.Errorf("a process of uid %d answered", peer.Uid)
	}
	return err
}

// converse sends the message and waits for the reply.
func converse(ctx context.Context, conn net.Conn, m startMessage, words func() string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if err := json.NewEncoder(conn).Encode(m); err != nil {
		return "", notStarted(err, words())
	}
	var r startReply
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		if ctx.Err() != nil {
			return "", &fault.Error{Op: "launch", What: "the start of the job was not waited for", Why: "asked to stop", Left: "the job may have begun, and goes on then",
				Do: "pgvault job list shows it", Code: fault.Cancelled, Err: context.Cause(ctx)}
		}
		return "", notStarted(errors.New("it ended before it had begun"), words())
	}
	if f := r.Error; f != nil {
		return r.ID, &fault.Error{Op: f.Op, What: f.What, Why: f.Why, Left: f.Left, Do: f.Do, Code: f.Code}
	}
	return r.ID, nil
}

func notStarted(err error, words string) error {
	why := err.Error()
	if words != "" {
		why += "; " + words
	}
	return &fault.Error{Op: "launch", What: "the runner could not be started", Why: why, Left: "nothing was started", Do: "start the same in the foreground: it says more", Err: err}
}

// systemd tells whether a unit can be started that outlives this login.
func systemd(folder string) bool {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return false
	}
	if _, err := exec.LookPath("systemd-run"); err != nil {
		return false
	}
	return os.Geteuid() == 0 || lingers()
}

func lingers() bool {
	u, err := user.Current()
	if err != nil {
		return false
	}
	_, err = os.Stat("/var/lib/systemd/linger/" + u.Username)
	return err == nil
}

// Advice says what a person should know of the way Launch starts a runner
// here, "" where there is nothing.
func Advice() string {
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() || os.Geteuid() == 0 || lingers() {
		return ""
	}
	return "where logind ends what a user leaves behind (KillUserProcesses=yes), the job ends with your last login: loginctl enable-linger prevents that"
}

// Parent is the launcher, seen from the runner.
type Parent struct {
	conn    net.Conn
	replied bool
}

// Answer takes the launcher's message in a runner: body is filled from
// Start.Message, and the environment that came with it is set. address is
// what came after --start.
func Answer(address string, body any) (*Parent, error) {
	conn, err := reach(address)
	if err != nil {
		return nil, &fault.Error{What: "this verb is for pgvault itself", Why: err.Error(), Left: "nothing was started", Do: "pgvault backup --detach starts a job", Code: fault.Usage, Err: err}
	}
	var m startMessage
	if err = json.NewDecoder(bufio.NewReader(conn)).Decode(&m); err == nil {
		err = json.Unmarshal(m.Body, body)
		for _, e := range m.Env {
			if k, v, ok := strings.Cut(e, "="); ok && k != "INVOCATION_ID" && k != "NOTIFY_SOCKET" {
				err = errors.Join(err, os.Setenv(k, v))
			}
		}
		if err == nil {
			standBack()
			return &Parent{conn: conn}, nil
		}
	}
	_ = conn.Close()
	return nil, &fault.Error{What: "the launcher's message could not be read", Left: "nothing was started", Do: "start it again", Code: fault.Usage, Err: err}
}

// backNice is the nice value of a runner that was launched: on a machine
// that is busy with its work, a screen still answers keys at once.
const backNice = 5

// standBack gives this process and what it will start that nice value, where
// it leads a group of its own: Linux sets threads one by one, but for a group
// all of them. Where the kernel groups processes by session (sched(7), The
// autogroup feature), that counts within the session alone, and against others
// the value of the session does. It can only be a courtesy, so that an error is
// none.
func standBack() {
	if unix.Getpgrp() != os.Getpid() {
		return
	}
	_ = unix.Setpriority(unix.PRIO_PGRP, 0, backNice)
	if sid, err := unix.Getsid(0); err == nil && sid == os.Getpid() {
		_ = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(backNice)), 0)
	}
}

func reach(address string) (net.Conn, error) {
	kind, where, _ := strings.Cut(address, ":")
	switch {
	case address == "fd:3":
		unix.CloseOnExec(3)
		f := os.NewFile(3, "start")
		defer f.Close()
		return net.FileConn(f)
	case kind == "unix" && filepath.IsAbs(where):
		return dialIn(context.Background(), filepath.Dir(where), filepath.Base(where))
	}
	return nil, fmt.Errorf("%q is not where a launcher waits", address)
}

// Reply tells the launcher that the job id runs, or with err why it does
// not. Only the first reply counts; a launcher that has gone is no error. A
// nil Parent is one that nobody waits for.
func (p *Parent) Reply(id string, err error) {
	if p == nil || p.replied {
		return
	}
	p.replied = true
	r := startReply{ID: id}
	if err != nil {
		f := fault.As(err)
		r.Error = &startFail{f.Op, f.What, f.Why, f.Left, f.Do, f.Code}
	}
	_ = json.NewEncoder(p.conn).Encode(r)
	_ = p.conn.Close()
}
