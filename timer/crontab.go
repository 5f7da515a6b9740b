package timer

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"pgvault/fault"
)

// A crontab has pgvault's lines between two comments; all others are nobody's
// business.

func begins(name string) string {
	return "# BEGIN " + name + " (pgvault timer install; pgvault timer remove takes it out)"
}
func ends(name string) string { return "# END " + name }

// block is what a plan puts into a crontab.
func (p Plan) block() string {
	return begins(p.Name) + "\n" + strings.Join(p.Crontab(), "\n") + "\n" + ends(p.Name) + "\n"
}

// cut takes name's block out of a crontab: the block, empty for none, and the
// rest, byte for byte. A block that does not end is an error: what lies behind
// it could be somebody's.
func cut(crontab, name string) (block, rest string, err error) {
	var in, out strings.Builder
	inside := false
	for line := range strings.Lines(crontab) {
		bare := strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(bare, "# BEGIN "+name+" (pgvault ") {
			if inside || in.Len() > 0 {
				return "", crontab, fmt.Errorf("it has two blocks of %s", name)
			}
			inside = true
		}
		if inside {
			in.WriteString(line)
		} else {
			out.WriteString(line)
		}
		inside = inside && bare != ends(name)
	}
	if inside {
		return "", crontab, fmt.Errorf("the line %q is missing", ends(name))
	}
	return in.String(), out.String(), nil
}

// errNoCron: there is no crontab program.
var errNoCron = errors.New("there is no program crontab on this host")

// crontab reads the user's crontab; one that does not exist is empty.
func (h Host) crontab(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("crontab"); err != nil {
		return "", errNoCron
	}
	out, err := run(ctx, "", "crontab", h.cronArgs("-l")...)
	if err != nil && strings.Contains(err.Error(), "no crontab for") {
		return "", nil
	}
	return out, err
}

func (h Host) cronArgs(args ...string) []string {
	if h.CronFor != "" {
		return append([]string{"-u", h.CronFor}, args...)
	}
	return args
}

// InstallCron puts the plan's lines into the crontab, in the place of those
// that were there.
func (h Host) InstallCron(ctx context.Context, p Plan) error {
	old, err := h.crontab(ctx)
	if err != nil {
		do := "put the lines that pgvault timer install -n shows into whatever starts programs here, or run pgvault timer run"
		return &fault.Error{Op: "timer install", What: "the crontab cannot be read", Why: err.Error(), Left: "nothing was changed", Do: do, Code: fault.Refused, Err: err}
	}
	_, rest, err := cut(old, p.Name)
	if err != nil {
		return &fault.Error{Op: "timer install", What: "the crontab's block of pgvault is not whole", Why: err.Error(), Left: "nothing was changed", Do: "mend it with crontab -e", Code: fault.Refused, Err: err}
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	return h.writeCron(ctx, "timer install", rest+p.block())
}

func (h Host) writeCron(ctx context.Context, op, text string) error {
	if _, err := run(ctx, text, "crontab", h.cronArgs("-")...); err != nil {
		return &fault.Error{Op: op, What: "the crontab was not taken", Why: err.Error(), Left: "it is as it was", Do: "crontab -l shows it; crontab -e changes it by hand", Err: err}
	}
	return nil
}

// removeCron takes the block out, and tells whether there was one.
func (h Host) removeCron(ctx context.Context, p Plan, i Installed) (bool, error) {
	if i.Cron == "unknown" || i.Cron == "absent" {
		return false, nil
	}
	_, rest, err := cut(i.cron, p.Name)
	if err != nil {
		return false, &fault.Error{Op: "timer remove", What: "the crontab's block of pgvault is not whole", Why: err.Error(), Left: "the crontab is as it was", Do: "mend it with crontab -e", Code: fault.Refused, Err: err}
	}
	if err := h.writeCron(ctx, "timer remove", rest); err != nil {
		return false, err
	}
	return true, nil
}
