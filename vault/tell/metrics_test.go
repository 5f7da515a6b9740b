package tell

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"pgvault/vault/store/storetest"
)

var noon = time.Date(2025, 6, 20, 12, 0, 0, 0, time.UTC)

func sample() *Metrics {
	return &Metrics{Vault: "main", Version: "1.2.3", At: noon, Recipients: 2, KeyUsed: noon.Add(-time.Hour), Warnings: 1,
		Databases: []DatabaseMetrics{
			{Name: "shop", NewestGood: noon.Add(-2 * time.Hour), NewestProven: noon.Add(-3 * time.Hour), MaxAge: 24 * time.Hour, Archives: 7, Tables: 3, Rows: 1 << 40, Bytes: 900, Stored: 300,
				Duration: 90 * time.Second, Copies: map[string]int{"disk": 7, "nas": 6}},
			{Name: "a\"b\\\n\xff", Late: true, Failed: true},
		},
		Places: []PlaceMetrics{{"disk", true, 5, 10}, {"nas", false, -1, -1}},
		Sinks:  []SinkMetrics{{"smtp://mail.example.org", true}, {"ping https://hc-ping.example.org", false}}}
}

// read parses a metrics file as Prometheus does: name{labels} -> value.
func read(t *testing.T, file string) map[string]float64 {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for name, fam := range families {
		if fam.GetHelp() == "" || fam.GetType().String() != "GAUGE" {
			t.Errorf("%s: help %q, type %s", name, fam.GetHelp(), fam.GetType())
		}
		for _, m := range fam.Metric {
			key := name
			for _, l := range m.Label {
				if l.GetName() != "vault" {
					key += " " + l.GetValue()
				} else if l.GetValue() != "main" {
					t.Errorf("%s: vault %q", name, l.GetValue())
				}
			}
			out[key] = m.GetGauge().GetValue()
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pgvault.prom")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteMetrics(file, sample()); err != nil {
		t.Fatal(err)
	}
	got := read(t, file)
	odd := " a\"b\\\n\ufffd"
	for key, want := range map[string]float64{
		"pgvault_info 1.2.3": 1, "pgvault_evaluated_timestamp_seconds": 1750420800, "pgvault_recipients": 2, "pgvault_key_used_timestamp_seconds": 1750417200, "pgvault_warnings": 1,
		"pgvault_database_newest_good_timestamp_seconds shop": 1750413600, "pgvault_database_newest_proven_timestamp_seconds shop": 1750410000,
		"pgvault_database_newest_good_timestamp_seconds" + odd: 0, "pgvault_database_late shop": 0, "pgvault_database_late" + odd: 1,
		"pgvault_database_last_backup_success shop": 1, "pgvault_database_last_backup_success" + odd: 0, "pgvault_database_max_age_seconds shop": 86400,
		"pgvault_database_newest_rows shop": 1 << 40, "pgvault_database_newest_stored_bytes shop": 300, "pgvault_database_newest_duration_seconds shop": 90,
		"pgvault_database_copies shop disk": 7, "pgvault_database_copies shop nas": 6, "pgvault_database_copies" + odd + " nas": 0,
		"pgvault_place_reachable disk": 1, "pgvault_place_reachable nas": 0, "pgvault_place_free_bytes disk": 5, "pgvault_place_size_bytes disk": 10,
		"pgvault_sink_working smtp://mail.example.org": 1, "pgvault_sink_working ping https://hc-ping.example.org": 0,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%q is %v (%t), not %v", key, v, ok, want)
		}
	}
	if _, ok := got["pgvault_place_free_bytes nas"]; ok {
		t.Error("free space that is not known is in the file")
	}
	fi, err := os.Stat(file)
	if err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("%v beside the file, %v", left, err)
	}
}

func TestMetricsCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := WriteMetrics(filepath.Join(dir, "none", "x.prom"), sample()); err == nil || strings.Contains(err.Error(), ".x.prom-") {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "x.prom"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteMetrics(filepath.Join(dir, "x.prom"), sample()); err == nil {
		t.Error("a folder was replaced")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v left behind, %v", left, err)
	}
}

const rules = "../../docs/alerts.example.yml"

// TestRulesExist: every metric that the example of alert rules asks for is
// one that is written, and every name keeps to Prometheus' conventions.
func TestRulesExist(t *testing.T) {
	src, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, f := range families {
		known = append(known, f.name)
		if !regexp.MustCompile(`^pgvault_[a-z_]+$`).MatchString(f.name) || regexp.MustCompile(`_(total|count|sum|bucket|minutes|hours|ms|kb|mb)$`).MatchString(f.name) || !strings.HasSuffix(f.help, ".") {
			t.Errorf("%s: %s", f.name, f.help)
		}
	}
	asked := regexp.MustCompile(`\bpgvault_[a-z_]+\b`).FindAllString(string(src), -1)
	for _, name := range asked {
		if !slices.Contains(known, name) {
			t.Errorf("%s asks for %s, which nobody writes", rules, name)
		}
	}
	if len(asked) < 8 {
		t.Errorf("the rules ask for %v only", asked)
	}
}

// TestPrometheusTakesIt: Prometheus' own tool reads the rules and the metrics,
// and the rules say what they are meant to.
func TestPrometheusTakesIt(t *testing.T) {
	tool := storetest.Program(t, "promtool")
	check := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(tool, args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check("", "check", "rules", rules); err != nil || !strings.Contains(out, "10 rules found") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := check("", "test", "rules", "testdata/alerts.test.yml"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "pgvault.prom")
	if err := WriteMetrics(file, sample()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := check(string(text), "check", "metrics"); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := check("x_total{ 1\n", "check", "metrics"); err == nil {
		t.Error("promtool takes what is no metric")
	}
}
