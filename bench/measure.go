package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is one run of one case.
type sample struct {
	seconds float64
	peak    int64 // bytes, VmHWM of the process itself; 0 where not read
	done    done  // the last event, of a pgvault run
	stages  map[string]float64
}

// done is what the bench reads of the events of `pgvault --json`.
type done struct {
	Type    string  `json:"type"`
	Stage   string  `json:"stage"`
	Seconds float64 `json:"seconds"`
	Result  string  `json:"result"`
	ID      string  `json:"id"`
	Bytes   int64   `json:"bytes"`
	Stored  int64   `json:"stored"`
	Proof   string  `json:"proof"`
}

// series are the samples of one case, in the order they were taken.
type series []sample

func (s series) median(of func(sample) float64) float64 {
	v := make([]float64, 0, len(s))
	for _, x := range s {
		v = append(v, of(x))
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func (s series) seconds() float64 { return s.median(func(x sample) float64 { return x.seconds }) }

// stage is the median time of one stage; 0 if no run told of it.
func (s series) stage(name string) float64 {
	return s.median(func(x sample) float64 { return x.stages[name] })
}

func (s series) peak() int64 {
	var p int64
	for _, x := range s {
		p = max(p, x.peak)
	}
	return p
}

// shell times one pipeline; every part of it must end well.
func (b *bench) shell(ctx context.Context, line string) (sample, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail; "+line)
	cmd.Env, cmd.Stderr = b.environ(), os.Stderr
	start := time.Now()
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w", line, err)
	}
	return sample{seconds: time.Since(start).Seconds()}, err
}

// pgvault times one run of pgvault and reads its events.
func (b *bench) pgvault(ctx context.Context, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, b.pgvaultBin, args...)
	var out, talk bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(b.environ(), "XDG_STATE_HOME="+b.path("out", "state")), &out, &talk
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	ended := make(chan struct{})
	peak := make(chan int64)
	go watchPeak(cmd.Process.Pid, ended, peak)
	err := cmd.Wait()
	s := sample{seconds: time.Since(start).Seconds(), stages: map[string]float64{}}
	close(ended)
	s.peak = <-peak
	if err != nil {
		return s, fmt.Errorf("pgvault %s: %w\n%s", strings.Join(args, " "), err, talk.Bytes())
	}
	for in := bufio.NewScanner(&out); in.Scan(); {
		var d done
		if err := json.Unmarshal(in.Bytes(), &d); err != nil {
			return s, fmt.Errorf("pgvault %s wrote a line that is not JSON: %w", args[0], err)
		}
		switch d.Type {
		case "stage_done":
			s.stages[d.Stage] += d.Seconds
		case "done":
			s.done = d
		}
	}
	if s.done.Result != "ok" {
		return s, fmt.Errorf("pgvault %s ended with result %q", args[0], s.done.Result)
	}
	return s, nil
}

// watchPeak reads a process's own peak of resident memory until it ends. The
// kernel keeps the peak (proc(5), VmHWM), so only the last 20 ms may be
// missed. The rusage of wait4 would not do: it takes in the children, and
// the memory of the process that forked.
func watchPeak(pid int, ended <-chan struct{}, peak chan<- int64) {
	var p int64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			peak <- p
			return
		case <-tick.C:
			p = max(p, statusBytes(pid, "VmHWM:"))
		}
	}
}

func statusBytes(pid int, key string) int64 {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}
