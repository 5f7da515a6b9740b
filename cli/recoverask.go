package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// recoverAsk asks line by line for what recover was not given.
type recoverAsk struct {
	read func() (string, error)
	out  io.Writer
}

func (p *program) newRecoverAsk(ctx context.Context) *recoverAsk {
	shown, _ := lineReaders(ctx, p.stdin, p.stderr)
	return &recoverAsk{read: shown, out: p.stderr}
}

// line asks until something is answered.
func (a *recoverAsk) line(question string) (string, error) {
	for {
		fmt.Fprintf(a.out, "%s: ", safetext.Line(question))
		answer, err := a.read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = &fault.Error{Op: "recover", What: "left", Why: "there was no answer", Left: "nothing was made or changed", Do: "start it again when you like", Code: fault.Cancelled, Err: err}
			}
			return "", err
		}
		if answer = strings.TrimSpace(answer); answer != "" {
			return answer, nil
		}
	}
}

// choose asks for one of several, by number or name.
func (a *recoverAsk) choose(question string, names []string) (string, error) {
	for i, n := range names {
		fmt.Fprintf(a.out, "  %d  %s\n", i+1, safetext.Line(n))
	}
	for {
		answer, err := a.line(question)
		if err != nil {
			return "", err
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(names) {
			return names[n-1], nil
		}
		for _, n := range names {
			if n == answer {
				return n, nil
			}
		}
		fmt.Fprintf(a.out, "! a number from 1 to %d\n", len(names))
	}
}

// begin asks whether the plan is to be done: nothing was made before.
func (a *recoverAsk) begin(plan *vault.RecoverPlan) error {
	answer, err := a.line("Nothing was made yet. Type the vault's name (" + plan.Vault + ") to begin, anything else leaves")
	if err != nil {
		return err
	}
	if answer != plan.Vault {
		return &fault.Error{Op: "recover", What: "the recovery was not begun", Why: "the vault's name was not typed", Left: "nothing was made or changed", Do: "start it again when you like", Code: fault.Cancelled}
	}
	return nil
}
