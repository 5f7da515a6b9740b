package tell

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// Metrics is a vault in numbers. A time that is zero becomes 0: never.
type Metrics struct {
	Vault, Version string
	At             time.Time
	Recipients     int
	KeyUsed        time.Time // when a person's identity last opened an archive
	Warnings       int
	Databases      []DatabaseMetrics
	Places         []PlaceMetrics
	Sinks          []SinkMetrics
}

// DatabaseMetrics is one database in numbers. Sizes are of its newest good
// archive.
type DatabaseMetrics struct {
	Name                     string
	NewestGood, NewestProven time.Time // proven: by a restore
	MaxAge                   time.Duration
	Late, Failed             bool
	Archives, Tables         int
	Rows, Bytes, Stored      int64
	Duration                 time.Duration  // of the backup that made it
	Copies                   map[string]int // by place: how many of its good archives are there, good
}

// PlaceMetrics is one place in numbers.
type PlaceMetrics struct {
	Name        string
	Reachable   bool
	Free, Total int64 // bytes, negative: unknown
}

// SinkMetrics tells whether the last message to a sink arrived.
type SinkMetrics struct {
	Name  string // as Names gives it
	Works bool
}

// family is one metric: its name and labels, and where its values come from.
type family struct {
	name, help string
	labels     []string
	each       func(m *Metrics, set func(value float64, labels ...string))
}

// ofDatabase makes a family with one value for each database.
func ofDatabase(name, help string, value func(DatabaseMetrics) float64) family {
	return family{"pgvault_database_" + name, help, []string{"database"}, func(m *Metrics, set func(float64, ...string)) {
		for _, d := range m.Databases {
			set(value(d), d.Name)
		}
	}}
}

// families are all metrics; https://prometheus.io/docs/practices/naming/.
var families = []family{
	{"pgvault_info", "Always 1; labelled with the version of pgvault.", []string{"version"}, func(m *Metrics, set func(float64, ...string)) { set(1, m.Version) }},
	{"pgvault_evaluated_timestamp_seconds", "When these values were true.", nil, func(m *Metrics, set func(float64, ...string)) { set(unix(m.At)) }},
	{"pgvault_recipients", "How many keys can open the archives that are made now.", nil, func(m *Metrics, set func(float64, ...string)) { set(float64(m.Recipients)) }},
	{"pgvault_key_used_timestamp_seconds", "When a person's key last opened an archive; 0: never.", nil, func(m *Metrics, set func(float64, ...string)) { set(unix(m.KeyUsed)) }},
	{"pgvault_warnings", "How many warnings pgvault status shows.", nil, func(m *Metrics, set func(float64, ...string)) { set(float64(m.Warnings)) }},

	ofDatabase("newest_good_timestamp_seconds", "When the newest good archive was finished; 0: there is none.", func(d DatabaseMetrics) float64 { return unix(d.NewestGood) }),
	ofDatabase("newest_proven_timestamp_seconds", "When an archive was last proven by a restore; 0: never.", func(d DatabaseMetrics) float64 { return unix(d.NewestProven) }),
	ofDatabase("max_age_seconds", "How old the newest good archive may be; 0: no limit is set.", func(d DatabaseMetrics) float64 { return d.MaxAge.Seconds() }),
	ofDatabase("late", "1 if the newest good archive is older than allowed, or there is none.", func(d DatabaseMetrics) float64 { return truth(d.Late) }),
	ofDatabase("last_backup_success", "0 if the last backup failed.", func(d DatabaseMetrics) float64 { return truth(!d.Failed) }),
	ofDatabase("archives", "How many good archives there are.", func(d DatabaseMetrics) float64 { return float64(d.Archives) }),
	ofDatabase("newest_tables", "Tables in the newest good archive.", func(d DatabaseMetrics) float64 { return float64(d.Tables) }),
	ofDatabase("newest_rows", "Rows in the newest good archive.", func(d DatabaseMetrics) float64 { return float64(d.Rows) }),
	ofDatabase("newest_dump_bytes", "Size of the newest good archive before compression.", func(d DatabaseMetrics) float64 { return float64(d.Bytes) }),
	ofDatabase("newest_stored_bytes", "Size of the newest good archive as it is stored.", func(d DatabaseMetrics) float64 { return float64(d.Stored) }),
	ofDatabase("newest_duration_seconds", "How long the backup took that made the newest good archive.", func(d DatabaseMetrics) float64 { return d.Duration.Seconds() }),
	{"pgvault_database_copies", "How many good archives of the database have a good copy in the place.", []string{"database", "place"}, func(m *Metrics, set func(float64, ...string)) {
		for _, d := range m.Databases {
			for _, p := range m.Places {
				set(float64(d.Copies[p.Name]), d.Name, p.Name)
			}
		}
	}},

	{"pgvault_place_reachable", "1 if the place can be read.", []string{"place"}, func(m *Metrics, set func(float64, ...string)) {
		for _, p := range m.Places {
			set(truth(p.Reachable), p.Name)
		}
	}},
	{"pgvault_place_free_bytes", "Free space in the place; not there where that is unknown.", []string{"place"}, func(m *Metrics, set func(float64, ...string)) {
		for _, p := range m.Places {
			if p.Free >= 0 {
				set(float64(p.Free), p.Name)
			}
		}
	}},
	{"pgvault_place_size_bytes", "Size of the place; not there where that is unknown.", []string{"place"}, func(m *Metrics, set func(float64, ...string)) {
		for _, p := range m.Places {
			if p.Total >= 0 {
				set(float64(p.Total), p.Name)
			}
		}
	}},
	{"pgvault_sink_working", "1 if the last message to the sink arrived.", []string{"sink"}, func(m *Metrics, set func(float64, ...string)) {
		for _, s := range m.Sinks {
			set(truth(s.Works), s.Name)
		}
	}},
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// text writes all families in Prometheus' text format.
func (m *Metrics) text(w *bufio.Writer) error {
	r := prometheus.NewRegistry()
	for _, f := range families {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: f.name, Help: f.help, ConstLabels: prometheus.Labels{"vault": m.Vault}}, f.labels)
		if err := r.Register(g); err != nil {
			return err
		}
		f.each(m, func(value float64, labels ...string) {
			for i := range labels {
				labels[i] = strings.ToValidUTF8(labels[i], "\ufffd")
			}
			g.WithLabelValues(labels...).Set(value)
		})
	}
	all, err := r.Gather()
	if err != nil {
		return err
	}
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return w.Flush()
}

// WriteMetrics replaces the file with the vault's numbers, mode 0644: who
// reads it sees either the old ones or the new ones, whole. Beside it there
// is for a moment a file that no collector looks for.
func WriteMetrics(file string, m *Metrics) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return fmt.Errorf("the folder of %s cannot be written to: %w", file, unwrapPath(err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = errors.Join(m.text(bufio.NewWriter(f)), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", file, unwrapPath(err))
	}
	return nil
}

// unwrapPath leaves out the temporary file's name.
func unwrapPath(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
