package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"1.5GB": 1_500_000_000, "800MB": 800_000_000, "42": 42} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "GB", "-1MB", "1.5GiB", "big"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestMedian(t *testing.T) {
	s := series{{seconds: 9, peak: 5}, {seconds: 1, peak: 7}, {seconds: 2, peak: 6}}
	if got := s.seconds(); got != 2 {
		t.Errorf("median of three is %v, want 2", got)
	}
	if got := s[:2].seconds(); got != 5 {
		t.Errorf("median of two is %v, want 5", got)
	}
	if got := s.peak(); got != 7 {
		t.Errorf("peak is %d, want the largest, 7", got)
	}
	if got := (series{}).seconds(); got != 0 {
		t.Errorf("median of nothing is %v, want 0", got)
	}
}

// TestPlanOnce plans in a process of its own and wants an answer that a table
// can be made of.
func TestPlanOnce(t *testing.T) {
	text, err := exec.Command("go", "run", ".", "-plan-archives", "1000").Output()
	var s planSample
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil || s.Seconds <= 0 || s.Peak < 1<<20 || s.Goes < 1 || s.Goes > 999 {
		t.Fatalf("%+v, %v", s, err)
	}
	row := planRow(series{{seconds: 0.125, peak: 29e6}, {seconds: 0.125, peak: 31e6}})
	if row[1] != "0.12 s; 31 MB" && row[1] != "0.13 s; 31 MB" {
		t.Errorf("%q", row)
	}
}

// TestTablesAreSteady checks that each generator writes the same rows of
// COPY text every time, and stops near the size it was given.
func TestTablesAreSteady(t *testing.T) {
	columns := map[string]int{"messages": 5, "events": 3, "files": 4}
	for _, table := range tables {
		const size = 400_000
		write := func() string {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			table.write(newGen(1), &counter{w: w}, size)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		text := write()
		if text != write() {
			t.Errorf("%s: two runs differ", table.name)
		}
		if len(text) < size || len(text) > size+300_000 {
			t.Errorf("%s: %d bytes for a size of %d", table.name, len(text), size)
		}
		for line := range strings.Lines(text) {
			if n := strings.Count(line, "\t") + 1; n != columns[table.name] {
				t.Fatalf("%s: a row of %d columns: %.100q", table.name, n, line)
			}
		}
	}
}

func TestStatusBytesReadsThePeak(t *testing.T) {
	if got := statusBytes(os.Getpid(), "VmHWM:"); got < 1<<20 {
		t.Errorf("this process has a peak of %d bytes", got)
	}
	if got := statusBytes(os.Getpid(), "NoSuchKey:"); got != 0 {
		t.Errorf("an unknown key gives %d", got)
	}
}

func TestReportHoldsWhatWasMeasured(t *testing.T) {
	r := &results{
		bare: series{{seconds: 10}}, pipe: series{{seconds: 12}}, gzip: series{{seconds: 40}}, native: series{{seconds: 8}},
		backup:    series{{seconds: 11, peak: 22 << 20}},
		checked:   series{{seconds: 14, stages: map[string]float64{"data": 10.5, "read back": 2.5}}},
		restore:   series{{seconds: 9, peak: 30 << 20}},
		dumpBytes: 1_500_000_000, customBytes: 400_000_000, storedBytes: 320_000_000,
	}
	var out strings.Builder
	if err := r.print(&out, &bench{c: &cluster{}, runs: 1, pgvaultBin: "/nonexistent/pgvault"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| backup / `pg_dump -Fc -Z0 > /dev/null` | 1.10 | 1.20 |",
		"| stored size / that of `pg_dump -Fc` | 0.80 | 1.0 |",
		"| restore / `pg_restore -j2` from a directory dump | 1.12 | 1.20 |",
		"| peak memory, restore | 30 MiB | 96 MiB |",
		"read back\"): 2.50 s", "data 10.50, read back 2.50",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}
