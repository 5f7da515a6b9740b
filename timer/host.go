package timer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
)

// Host is where a plan is installed.
type Host struct {
	UnitDir string // where the units lie
	User    bool   // they are a user's own
	Systemd bool   // it runs here, and takes units of this kind
	CronFor string // whose crontab, empty: one's own
}

// ThisHost is the host that this process runs on: with units of the system,
// or of the user who asks. home is that user's configuration folder.
func ThisHost(system bool, userUnits, cronFor string) Host {
	h := Host{UnitDir: "/etc/systemd/system", CronFor: cronFor}
	if !system {
		h.UnitDir, h.User = userUnits, true
	}
	if fi, err := os.Stat("/run/systemd/system"); err == nil && fi.IsDir() {
		_, err = exec.LookPath("systemctl")
		h.Systemd = err == nil
	}
	return h
}

// File is one file as a plan wants it and as it is.
type File struct {
	Path string `json:"path"`
	Want string `json:"-"`
	Have string `json:"-"`
	// State is "same", "differs", "absent", or "stray": there, and the
	// configuration has nothing to start by it.
	State string `json:"state"`

	unit string // that systemd enables, empty for a service
}

// Installed is what of a plan is there.
type Installed struct {
	Units  []File `json:"units"`
	Active bool   `json:"active"`        // systemd waits for the timer of backups
	Drill  bool   `json:"drill"`         // and for that of the restore drill
	Cron   string `json:"cron"`          // "same", "differs", "absent", or "unknown" where there is no crontab program
	Why    string `json:"why,omitempty"` // why Cron is unknown
	cron   string // the crontab
}

// There tells whether anything is installed.
func (i Installed) There() bool {
	return i.Cron == "same" || i.Cron == "differs" || slices.ContainsFunc(i.Units, func(f File) bool { return f.State != "absent" })
}

// Starts is what starts the runner, in a few words; "" for nothing: units
// that systemd does not wait for start nothing.
func (i Installed) Starts() string {
	switch {
	case i.Active:
		return "a systemd timer"
	case i.Cron == "same" || i.Cron == "differs":
		return "a crontab"
	}
	return ""
}

const commandTimeout = 20 * time.Second

// run calls a program of the host; its words in the error are safe to print.
func run(ctx context.Context, stdin string, name string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, commandTimeout)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err != nil {
		words := said.String()
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, safetext.Line(strings.TrimSpace(words[:min(len(words), 500)])))
	}
	return out.String(), err
}

func (h Host) systemctl(ctx context.Context, args ...string) error {
	if h.User {
		args = append([]string{"--user"}, args...)
	}
	_, err := run(ctx, "", "systemctl", args...)
	return err
}

// Files are the plan's units on this host: the service and the timer of
// backups, then those of the restore drill, if there is one.
func (h Host) Files(p Plan) ([]File, error) {
	units := []File{{Path: p.Name + ".service"}, {Path: p.Name + ".timer", unit: p.Name + ".timer"},
		{Path: p.Name + "-drill.service"}, {Path: p.Name + "-drill.timer", unit: p.Name + "-drill.timer"}}
	if len(p.Schedules) > 0 {
		units[0].Want, units[1].Want = p.Service(), p.Timer()
	}
	if p.Drill != nil {
		units[2].Want, units[3].Want = p.DrillService(), p.DrillTimer()
	}
	var files []File
	for i, f := range units {
		f.Path = filepath.Join(h.UnitDir, f.Path)
		src, err := os.ReadFile(f.Path)
		f.Have = string(src)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.State = "absent"
		case err != nil:
			return nil, &fault.Error{Op: "timer", What: f.Path + " cannot be read", Why: err.Error(), Left: "nothing was changed", Do: "run this as the user who may read it", Err: err}
		case f.Have == f.Want:
			f.State = "same"
		case f.Want == "":
			f.State = "stray"
		default:
			f.State = "differs"
		}
		if i < 2 || f.Want != "" || f.State != "absent" {
			files = append(files, f)
		}
	}
	return files, nil
}

// Look finds out what of a plan is installed.
func (h Host) Look(ctx context.Context, p Plan) (Installed, error) {
	files, err := h.Files(p)
	if err != nil {
		return Installed{}, err
	}
	i := Installed{Units: files, Cron: "absent"}
	for n, f := range files {
		if f.unit == "" || f.State == "absent" || !h.Systemd {
			continue
		}
		active := h.systemctl(ctx, "--quiet", "is-active", f.unit) == nil
		if n == 1 {
			i.Active = active
		} else {
			i.Drill = active
		}
	}
	i.cron, err = h.crontab(ctx)
	if err != nil {
		i.Cron, i.Why = "unknown", err.Error()
		return i, nil
	}
	block, _, err := cut(i.cron, p.Name)
	switch {
	case err != nil:
		i.Cron, i.Why = "differs", err.Error()
	case block == "":
	case block == p.block():
		i.Cron = "same"
	default:
		i.Cron = "differs"
	}
	return i, nil
}

// Install writes the units and has systemd wait for the timer.
func (h Host) Install(ctx context.Context, p Plan) error {
	files, err := h.Files(p)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.State == "differs" && !strings.HasPrefix(f.Have, written) {
			return &fault.Error{Op: "timer install", What: f.Path + " is there and was not written by pgvault", Why: "its first line does not say so", Left: "nothing was changed",
				Do: "look at it, and move it away", Code: fault.Refused}
		}
	}
	if _, err := h.takeAway(ctx, "timer install", files, func(f File) bool { return f.State == "stray" }); err != nil {
		return err
	}
	commands := [][]string{{"daemon-reload"}}
	for _, f := range files {
		if f.State != "same" && f.Want != "" {
			if err := write(f.Path, f.Want); err != nil {
				return &fault.Error{Op: "timer install", What: f.Path + " could not be written", Why: err.Error(), Left: "the timer was not started", Do: h.writeAs(), Err: err}
			}
		}
		if f.unit != "" && f.Want != "" {
			commands = append(commands, []string{"enable", f.unit}, []string{"restart", f.unit})
		}
	}
	for _, args := range commands {
		if err := h.systemctl(ctx, args...); err != nil {
			return &fault.Error{Op: "timer install", What: "systemd did not take the timer", Why: err.Error(), Left: "the units are written in " + h.UnitDir, Do: "systemctl status " + p.Name + ".timer says more; pgvault timer remove takes the units away", Err: err}
		}
	}
	return nil
}

// takeAway removes those units that were written by pgvault, and gives them.
func (h Host) takeAway(ctx context.Context, op string, files []File, which func(File) bool) ([]string, error) {
	files = slices.DeleteFunc(slices.Clone(files), func(f File) bool {
		return f.State == "absent" || !which(f) || !strings.HasPrefix(f.Have, written)
	})
	var gone []string
	for _, f := range files {
		if f.unit == "" || !h.Systemd {
			continue
		}
		if err := h.systemctl(ctx, "disable", "--now", f.unit); err != nil {
			return nil, &fault.Error{Op: op, What: "systemd did not let go of the timer", Why: err.Error(), Left: "the units are as they were", Do: h.writeAs(), Err: err}
		}
	}
	for _, f := range files {
		if err := os.Remove(f.Path); err != nil {
			return gone, &fault.Error{Op: op, What: f.Path + " could not be removed", Why: err.Error(), Left: "it is still there", Do: h.writeAs(), Err: err}
		}
		gone = append(gone, f.Path)
	}
	return gone, nil
}

func (h Host) writeAs() string {
	if h.User {
		return "make " + h.UnitDir + " writable"
	}
	return "run it as root: sudo pgvault timer install"
}

// written begins each unit that pgvault wrote.
const written = "# Written by pgvault timer install"

// write replaces a file as a whole.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".pgvault-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Remove takes away what Install and InstallCron wrote, and gives what that
// was. Units that pgvault did not write stay.
func (h Host) Remove(ctx context.Context, p Plan) ([]string, error) {
	i, err := h.Look(ctx, p)
	if err != nil {
		return nil, err
	}
	gone, err := h.takeAway(ctx, "timer remove", i.Units, func(File) bool { return true })
	if err != nil {
		return gone, err
	}
	if len(gone) > 0 && h.Systemd {
		if err := h.systemctl(ctx, "daemon-reload"); err != nil {
			return gone, &fault.Error{Op: "timer remove", What: "systemd was not told that the units are gone", Why: err.Error(), Left: "they are removed", Do: "systemctl daemon-reload", Err: err}
		}
	}
	took, err := h.removeCron(ctx, p, i)
	if took {
		gone = append(gone, "the lines in the crontab")
	}
	return gone, err
}
