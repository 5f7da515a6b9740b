package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// print writes the tables in Markdown: every case's median, the ratios that
// the project wants to reach beside their limits, and the machine.
func (r *results) print(out io.Writer, b *bench) error {
	w := bufio.NewWriter(out)
	if !b.screenOnly && !b.copyOnly {
		fmt.Fprintf(w, "\n%d runs of each case, taken in turn; medians. Uncompressed dump: %s.\n\n", b.runs, mb(r.dumpBytes))
		fmt.Fprint(w, "| case | seconds | all runs | MB |\n|---|---:|---|---:|\n")
		r.cases(w)
	}
	if !b.baseOnly && !b.screenOnly && !b.copyOnly {
		r.ratios(w, b)
		r.stages(w)
	}
	if r.screen != nil {
		fmt.Fprint(w, "\n| listing and screen | measured | wanted at most |\n|---|---:|---:|\n")
		for _, row := range r.screen.rows() {
			fmt.Fprintf(w, "| %s | %s | %s |\n", row[0], row[1], row[2])
		}
	}
	if r.copies != nil {
		r.copies.print(w)
	}
	machine(w, b)
	return w.Flush()
}

func (r *results) cases(w io.Writer) {
	for _, c := range []struct {
		name  string
		s     series
		bytes int64
	}{
		{"`pg_dump -Fc -Z0 > /dev/null`", r.bare, r.dumpBytes},
		{"`pg_dump -Fc -Z0 \\| zstd -1 -T0 \\| age`", r.pipe, r.pipeBytes},
		{"`pg_dump -Fc \\| age` (gzip 6, pg_dump's default)", r.gzip, r.customBytes},
		{"`pgvault backup`, self_check = false", r.backup, r.storedBytes},
		{"`pgvault backup`, self_check = true", r.checked, r.storedBytes},
		{"`pgvault list --json`", r.list, 0},
		{"createdb, `pg_restore -j2` from a directory dump (-Fd, gzip 6, unencrypted)", r.native, 0},
		{"`pgvault restore --to-new --jobs 2 --no-compare`", r.restore, 0},
	} {
		if len(c.s) == 0 {
			continue
		}
		var all []string
		for _, x := range c.s {
			all = append(all, fmt.Sprintf("%.2f", x.seconds))
		}
		size := ""
		if c.bytes > 0 {
			size = fmt.Sprintf("%.0f", float64(c.bytes)/1e6)
		}
		fmt.Fprintf(w, "| %s | %.2f | %s | %s |\n", c.name, c.s.seconds(), strings.Join(all, " "), size)
	}
}

func (r *results) ratios(w io.Writer, b *bench) {
	fmt.Fprint(w, "\n| what | measured | wanted at most |\n|---|---:|---:|\n")
	for _, c := range []struct {
		name    string
		n, base float64
		limit   string
	}{
		{"backup / `pg_dump -Fc -Z0 > /dev/null`", r.backup.seconds(), r.bare.seconds(), "1.20"},
		{"backup / `pg_dump -Fc -Z0 \\| zstd -1 -T0 \\| age`", r.backup.seconds(), r.pipe.seconds(), "0.95"},
		{"backup / `pg_dump -Fc \\| age`", r.backup.seconds(), r.gzip.seconds(), "0.30"},
		{"stored size / that of `pg_dump -Fc`", float64(r.storedBytes), float64(r.customBytes), "1.0"},
		{"restore / `pg_restore -j2` from a directory dump", r.restore.seconds(), r.native.seconds(), "1.20"},
	} {
		fmt.Fprintf(w, "| %s | %.2f | %s |\n", c.name, c.n/c.base, c.limit)
	}
	memory := func(name string, s series) {
		if len(s) > 0 {
			fmt.Fprintf(w, "| %s | %.0f MiB | 96 MiB |\n", name, float64(s.peak())/(1<<20))
		}
	}
	memory("peak memory, backup", r.backup)
	memory("peak memory, backup with self-check", r.checked)
	memory("peak memory, restore", r.restore)
	if r.bigBytes > 0 {
		memory("peak memory, backup with self-check, of "+mb(r.bigBytes), r.bigBackup)
		memory("peak memory, restore, of "+mb(r.bigBytes), r.bigRestore)
	}
	fmt.Fprintf(w, "\nPeak memory is the largest VmHWM of the pgvault process over %d runs; pg_dump and pg_restore are apart.\n", b.runs)
	fmt.Fprintf(w, "Self-check (stage \"read back\"): %.2f s.\n", r.checked.stage("read back"))
}

// stages tells where the time of pgvault's own runs went.
func (r *results) stages(w io.Writer) {
	for _, c := range []struct {
		name string
		s    series
	}{{"backup", r.checked}, {"restore", r.restore}} {
		var parts []string
		for _, stage := range []string{"preflight", "snapshot", "data", "seal", "read back", "check", "create", "indexes", "settings", "compare"} {
			for _, x := range c.s {
				if _, ok := x.stages[stage]; ok {
					parts = append(parts, fmt.Sprintf("%s %.2f", stage, c.s.stage(stage)))
					break
				}
			}
		}
		fmt.Fprintf(w, "Stages of a %s, seconds: %s.\n", c.name, strings.Join(parts, ", "))
	}
}

func machine(w io.Writer, b *bench) {
	var u syscall.Utsname
	_ = syscall.Uname(&u)
	kernel := strings.TrimRight(string(int8s(u.Release[:])), "\x00")
	fmt.Fprintf(w, "\nMachine: %s, %d cores, %s RAM, Linux %s. ", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), ram(), kernel)
	if b.c == nil {
		fmt.Fprintf(w, "Versions: %s; %s; %s.\n", firstLine(b.pgvaultBin, "version"), runtime.Version(), firstLine("rclone", "version"))
		return
	}
	fmt.Fprintf(w, "Versions: %s; %s; age %s; zstd %s", firstLine(filepath.Join(b.c.bin, "pg_dump"), "--version"), runtime.Version(), firstLine("age", "--version"), zstdVersion())
	if !b.baseOnly {
		fmt.Fprintf(w, "; %s", firstLine(b.pgvaultBin, "version"))
	}
	fmt.Fprint(w, ".\nServer: default settings of PostgreSQL (fsync on), Unix socket, on the same machine and disk as the archives.\n")
}

func int8s(in []int8) []byte {
	out := make([]byte, len(in))
	for i, c := range in {
		out[i] = byte(c)
	}
	return out
}

func field(file, key string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func ram() string {
	var kb float64
	_, _ = fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb)
	return fmt.Sprintf("%.0f GiB", kb/(1<<20))
}

func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return filepath.Base(name) + " unknown"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

func zstdVersion() string {
	f := strings.Fields(firstLine("zstd", "--version"))
	for _, s := range f {
		if strings.HasPrefix(s, "v") {
			return strings.TrimRight(s, ",")
		}
	}
	return "unknown"
}

func mb(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
