package pg

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg/internal/child"
)

// restrictSince are the minor versions from which psql knows \restrict, which
// switches off every command of its own (CVE-2025-8714). Newer major
// versions all do.
var restrictSince = map[int]int{13: 22, 14: 17, 15: 14, 16: 10, 17: 6}

// Restricts tells whether the psql beside these programs can be kept from
// running what a script tells it to, beyond SQL.
func (p Programs) Restricts() bool {
	major, minor, _ := strings.Cut(p.Version, ".")
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil {
		return false
	}
	least, known := restrictSince[ma]
	return ma >= 18 || known && mi >= least
}

// ForScript chooses the programs whose psql runs a script on a server of
// targetMajor: those of that version, else the next newer, else the next older;
// only such as can be kept from running what the script tells psql itself.
func ForScript(all []Programs, searched []string, targetMajor int) (Programs, error) {
	best := Programs{}
	distance := func(p Programs) int {
		if p.Major >= targetMajor {
			return p.Major - targetMajor
		}
		return 1000 + targetMajor - p.Major
	}
	var old []string
	for _, p := range all {
		switch {
		case !isProgram(filepath.Join(p.Dir, "psql")):
		case !p.Restricts():
			old = append(old, p.Version+" in "+p.Dir)
		case best.Dir == "" || distance(p) < distance(best):
			best = p
		}
	}
	if best.Dir != "" {
		return best, nil
	}
	why := "found none; searched: " + strings.Join(searched, " ")
	if len(old) > 0 {
		why = `psql knows \restrict since 13.22, 14.17, 15.14, 16.10 and 17.6; found only ` + strings.Join(old, ", ")
	}
	return best, &fault.Error{Op: "programs", What: "a script needs a psql that can be kept from running commands of its own", Why: why, Left: "Nothing was run.",
		Do: "apt install --only-upgrade postgresql-client-" + strconv.Itoa(targetMajor) + ", or install a newer one.", Code: fault.Refused}
}

// RunScript runs a script with psql: without psqlrc, stopping at the first
// error, and with every backslash command switched off. The script must hold
// none that it needs. script's Read must return in the end; RunScript waits
// for it. A statement that fails is a *fault.Error that names its line.
func RunScript(ctx context.Context, s Settings, p Programs, database string, script io.Reader) error {
	psql := filepath.Join(p.Dir, "psql")
	if !isProgram(psql) || !p.Restricts() {
		return &fault.Error{Op: "import", What: "this psql would run commands that a script holds", Code: fault.Refused, Left: "nothing was run",
			Why: "psql " + p.Version + " in " + p.Dir + " does not know \\restrict, or is missing", Do: fmt.Sprintf("apt install --only-upgrade postgresql-client-%d", p.Major)}
	}
	target, err := s.targetArg(database)
	if err != nil {
		return err
	}
	cmd := exec.Command(psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "--no-password", target, "-c", `\restrict `+rand.Text(), "-f", "-")
	env, err := s.childEnv()
	if err != nil {
		return err
	}
	for _, e := range env { // psql's own variables: a pager, a history, an editor
		if !strings.HasPrefix(e, "PSQL") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		w.Close()
		return err
	}
	defer null.Close()
	cmd.Stdin, cmd.Stdout = r, null
	proc, lines, err := startTalking(ctx, cmd, child.Options{}, nil)
	if err != nil {
		w.Close()
		return &fault.Error{Op: "import", What: "psql does not start", Why: err.Error(), Err: err, Left: "nothing was run", Do: "See that " + psql + " can be run."}
	}
	r.Close()
	feedErr := feed(proc, w, script)
	waitErr := proc.Wait()
	lines.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case feedErr != nil:
		return feedErr
	case waitErr == nil:
		return nil
	}
	return scriptFault(lines.Last(keepLines), waitErr)
}

// scriptFault makes an error of what psql said last:
//
//	psql:<stdin>:12: ERROR:  relation "x" does not exist
func scriptFault(lines []string, cause error) error {
	for i, l := range lines {
		rest, ok := strings.CutPrefix(l, "psql:<stdin>:")
		if !ok {
			continue
		}
		line, text, _ := strings.Cut(rest, ": ")
		severity, message, _ := strings.Cut(text, ": ")
		if severity != "ERROR" && severity != "FATAL" && severity != "error" {
			continue
		}
		all := []string{strings.TrimSpace(message)}
		for _, more := range lines[i+1 : min(len(lines), i+3)] {
			if d, ok := strings.CutPrefix(more, "DETAIL:  "); ok {
				all[0] += " (" + d + ")"
			}
		}
		err := ImportFault("line "+line+" of the script fails", all, cause)
		if f := fault.As(err); f.Do == importDo {
			f.Do = "Mend that line in a copy of the script."
			return f
		}
		return err
	}
	return ImportFault("psql failed", []string{tail(lines[max(0, len(lines)-tailLines):], cause)}, cause)
}
