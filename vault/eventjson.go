package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
)

// eventSchema is in every line; a reader that knows a lower one only may not
// understand it.
const eventSchema = 1

// kindOfLine is what all lines have in common.
type kindOfLine struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"`
}

// The lines of the events, one type each.
type (
	startedLine struct {
		kindOfLine
		Kind     Kind      `json:"kind"`
		ID       string    `json:"id"`
		Database string    `json:"database"`
		Target   string    `json:"target,omitempty"`
		Stages   []Stage   `json:"stages"`
		At       time.Time `json:"at"`
	}
	stageStartedLine struct {
		kindOfLine
		Stage Stage     `json:"stage"`
		At    time.Time `json:"at"`
	}
	stageDoneLine struct {
		kindOfLine
		Stage   Stage   `json:"stage"`
		Seconds float64 `json:"seconds"`
	}
	noticeLine struct {
		kindOfLine
		Level string    `json:"level"`
		Text  string    `json:"text"`
		At    time.Time `json:"at"`
	}
	tableDoneLine struct {
		kindOfLine
		Stage        Stage      `json:"stage"`
		Table        string     `json:"table"`
		State        TableState `json:"state"`
		Rows         int64      `json:"rows"`
		RowsExpected *int64     `json:"rows_expected,omitempty"` // of what was compared
		Bytes        int64      `json:"bytes"`
		SHA256       string     `json:"sha256,omitempty"`
		Note         string     `json:"note,omitempty"`
	}
	progressLine struct {
		kindOfLine
		Stage      Stage           `json:"stage"`
		Rows       int64           `json:"rows"`
		Bytes      int64           `json:"bytes"`
		Stored     int64           `json:"stored"`
		RowsTotal  int64           `json:"rows_total"`
		BytesTotal int64           `json:"bytes_total"`
		Estimate   string          `json:"estimate,omitempty"`
		TablesDone int             `json:"tables_done"`
		Tables     int             `json:"tables_total"`
		Table      string          `json:"table,omitempty"` // the first of Active
		Active     []tableLine     `json:"active,omitempty"`
		Places     []PlaceProgress `json:"places,omitempty"`
		At         time.Time       `json:"at"`
	}
	tableLine struct {
		Name      string     `json:"table"`
		State     TableState `json:"state"`
		Rows      int64      `json:"rows"`
		RowsTotal int64      `json:"rows_total"`
		Bytes     int64      `json:"bytes"`
	}
	doneLine struct {
		kindOfLine
		Kind        Kind           `json:"kind"`
		Result      Result         `json:"result"`
		Exit        fault.Code     `json:"exit"`
		ID          string         `json:"id"`
		Database    string         `json:"database"`
		Target      string         `json:"target,omitempty"`
		Tables      int            `json:"tables"`
		Rows        int64          `json:"rows"`
		Bytes       int64          `json:"bytes"`
		Stored      int64          `json:"stored"`
		Seconds     float64        `json:"seconds"`
		Proof       Proof          `json:"proof"`
		Equal       *int           `json:"tables_equal,omitempty"` // of what was compared
		Total       *int           `json:"tables_total,omitempty"`
		Differences *[]Difference  `json:"differences,omitempty"`
		Places      []placeLine    `json:"places,omitempty"`
		Retained    *Retained      `json:"retained,omitempty"`
		Databases   *[]recoverLine `json:"databases,omitempty"` // recover, as are the next two
		Roles       *[]string      `json:"roles,omitempty"`
		Notes       *[]string      `json:"notes,omitempty"`
		Warnings    int            `json:"warnings"`
		Error       *errorLine     `json:"error,omitempty"`
	}
	databaseLine struct {
		kindOfLine
		N  int `json:"n"`
		Of int `json:"of"`
		recoverLine
	}
	recoverLine struct {
		RecoverRow
		Error *errorLine `json:"error,omitempty"`
	}
	placeDoneLine struct {
		kindOfLine
		Stage    Stage      `json:"stage"`
		Place    string     `json:"place"`
		ID       string     `json:"id"`
		Database string     `json:"database"`
		Result   CopyResult `json:"result"`
		Bytes    int64      `json:"bytes"`
		There    int64      `json:"there"`
		ReadBack bool       `json:"read_back"`
		Seconds  float64    `json:"seconds"`
		Error    *errorLine `json:"error,omitempty"`
	}
	placeLine struct {
		Place    string     `json:"place"`
		Archives int        `json:"archives"`
		Missing  int        `json:"missing"`
		Bytes    int64      `json:"bytes"`
		There    int64      `json:"there"`
		Error    *errorLine `json:"error,omitempty"`
	}
	errorLine struct {
		Op   string     `json:"op,omitempty"`
		What string     `json:"what"`
		Why  string     `json:"why"`
		Left string     `json:"left"`
		Do   string     `json:"do"`
		Code fault.Code `json:"code"`
	}
)

// EncodeEvent gives an event as one line of JSON, without the line break:
// what the command line prints with --json and what a job's journal holds.
// Every line has "type" and "schema":1; RunDone has the type "done". An
// error is its four lines and its code; its wrapped causes are not in it.
func EncodeEvent(e Event) ([]byte, error) {
	line, err := lineOf(e)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		return nil, fmt.Errorf("event as JSON: %w", err)
	}
	return safetext.JSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func lineOf(e Event) (any, error) {
	is := func(word string) kindOfLine { return kindOfLine{eventSchema, word} }
	switch e := e.(type) {
	case RunStarted:
		return startedLine{is("run_started"), e.Kind, e.ID, e.Database, e.Target, e.Stages, e.At.UTC()}, nil
	case StageStarted:
		return stageStartedLine{is("stage_started"), e.Stage, e.At.UTC()}, nil
	case StageDone:
		return stageDoneLine{is("stage_done"), e.Stage, e.Seconds}, nil
	case Notice:
		return noticeLine{is("notice"), e.Level, e.Text, e.At.UTC()}, nil
	case TableDone:
		l := tableDoneLine{is("table_done"), e.Stage, e.Name, e.State, e.Rows, nil, e.Bytes, e.SHA256, e.Note}
		if e.State == StateEqual || e.State == StateDiffers || e.RowsExpected != 0 {
			l.RowsExpected = &e.RowsExpected
		}
		return l, nil
	case Progress:
		l := progressLine{is("progress"), e.Stage, e.Rows, e.Bytes, e.Stored, e.RowsTotal, e.BytesTotal, e.Estimate, e.TablesDone, e.Tables, "", nil, e.Places, e.At.UTC()}
		for i, t := range e.Active {
			if i == 0 {
				l.Table = t.Name
			}
			l.Active = append(l.Active, tableLine(t))
		}
		return l, nil
	case PlaceDone:
		return placeDoneLine{is("place_done"), e.Stage, e.Place, e.ID, e.Database, e.Result, e.Bytes, e.There, e.ReadBack, e.Seconds, lineOfError(e.Err)}, nil
	case DatabaseDone:
		return databaseLine{is("database"), e.N, e.Of, lineOfRow(e.Row)}, nil
	case RunDone:
		return lineOfDone(e), nil
	}
	return nil, fmt.Errorf("%T is no event", e)
}

func lineOfDone(e RunDone) doneLine {
	l := doneLine{kindOfLine: kindOfLine{eventSchema, "done"}, Kind: e.Kind, Result: e.Result, Exit: e.Exit, ID: e.ID, Database: e.Database, Target: e.Target,
		Tables: e.Tables, Rows: e.Rows, Bytes: e.Bytes, Stored: e.Stored, Seconds: e.Seconds, Proof: e.Proof, Retained: e.Retained, Warnings: e.Warnings}
	if e.Kind != KindBackup && e.Kind != KindCopy && e.Kind != KindReseal && e.Kind != KindRetention || e.TablesTotal > 0 || e.TablesEqual > 0 || len(e.Differences) > 0 {
		differences := append([]Difference{}, e.Differences...)
		l.Equal, l.Total, l.Differences = &e.TablesEqual, &e.TablesTotal, &differences
	}
	for _, p := range e.Places {
		l.Places = append(l.Places, placeLine{p.Place, p.Archives, p.Missing, p.Bytes, p.There, lineOfError(p.Err)})
	}
	if r := e.Recovered; r != nil {
		rows := []recoverLine{}
		for _, row := range r.Databases {
			rows = append(rows, lineOfRow(row))
		}
		roles, notes := append([]string{}, r.Roles...), append([]string{}, r.Warnings...)
		l.Databases, l.Roles, l.Notes = &rows, &roles, &notes
	}
	l.Error = lineOfError(e.Err)
	return l
}

func lineOfRow(r RecoverRow) recoverLine { return recoverLine{r, lineOfError(r.err)} }

func (l recoverLine) row() RecoverRow {
	l.err = l.Error.error()
	return l.RecoverRow
}

func lineOfError(err error) *errorLine {
	if err == nil {
		return nil
	}
	f := fault.As(err)
	return &errorLine{f.Op, f.What, f.Why, f.Left, f.Do, f.Code}
}

func (l *errorLine) error() error {
	if l == nil {
		return nil
	}
	return &fault.Error{Op: l.Op, What: l.What, Why: l.Why, Left: l.Left, Do: l.Do, Code: l.Code}
}

// DecodeEvent reads what EncodeEvent wrote. A line of a type that this
// version does not know gives a nil Event and no error.
func DecodeEvent(line []byte) (Event, error) {
	var k kindOfLine
	if err := json.Unmarshal(line, &k); err != nil {
		return nil, fmt.Errorf("line of a journal: %w", err)
	}
	switch k.Type {
	case "run_started":
		return decodeLine(line, func(l startedLine) Event {
			return RunStarted{l.Kind, l.ID, l.Database, l.Target, l.Stages, l.At}
		})
	case "stage_started":
		return decodeLine(line, func(l stageStartedLine) Event { return StageStarted{l.Stage, l.At} })
	case "stage_done":
		return decodeLine(line, func(l stageDoneLine) Event { return StageDone{l.Stage, l.Seconds} })
	case "notice":
		return decodeLine(line, func(l noticeLine) Event { return Notice{l.Level, l.Text, l.At} })
	case "table_done":
		return decodeLine(line, func(l tableDoneLine) Event {
			return TableDone{l.Stage, l.Table, l.State, l.Rows, orZero(l.RowsExpected), l.Bytes, l.SHA256, l.Note}
		})
	case "progress":
		return decodeLine(line, func(l progressLine) Event { return progressOf(l) })
	case "place_done":
		return decodeLine(line, func(l placeDoneLine) Event {
			return PlaceDone{l.Stage, l.Place, l.ID, l.Database, l.Result, l.Bytes, l.There, l.ReadBack, l.Seconds, l.Error.error()}
		})
	case "database":
		return decodeLine(line, func(l databaseLine) Event { return DatabaseDone{l.N, l.Of, l.row()} })
	case "done":
		return decodeLine(line, func(l doneLine) Event { return doneOf(l) })
	}
	return nil, nil
}

func decodeLine[L any](line []byte, event func(L) Event) (Event, error) {
	var l L
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, fmt.Errorf("line of a journal: %w", err)
	}
	return event(l), nil
}

func progressOf(l progressLine) Progress {
	p := Progress{Stage: l.Stage, Rows: l.Rows, Bytes: l.Bytes, Stored: l.Stored, RowsTotal: l.RowsTotal, BytesTotal: l.BytesTotal,
		Estimate: l.Estimate, TablesDone: l.TablesDone, Tables: l.Tables, Places: l.Places, At: l.At}
	for _, t := range l.Active {
		p.Active = append(p.Active, Table(t))
	}
	return p
}

func doneOf(l doneLine) RunDone {
	d := RunDone{Kind: l.Kind, Result: l.Result, Exit: l.Exit, ID: l.ID, Database: l.Database, Target: l.Target, Tables: l.Tables, Rows: l.Rows,
		Bytes: l.Bytes, Stored: l.Stored, Seconds: l.Seconds, Proof: l.Proof, TablesEqual: orZero(l.Equal), TablesTotal: orZero(l.Total), Retained: l.Retained, Warnings: l.Warnings}
	if l.Differences != nil && len(*l.Differences) > 0 {
		d.Differences = *l.Differences
	}
	for _, p := range l.Places {
		d.Places = append(d.Places, PlaceResult{p.Place, p.Archives, p.Missing, p.Bytes, p.There, p.Error.error()})
	}
	if l.Databases != nil {
		d.Recovered = &RecoverReport{Roles: orZero(l.Roles), Warnings: orZero(l.Notes), Databases: []RecoverRow{}}
		for _, row := range *l.Databases {
			d.Recovered.Databases = append(d.Recovered.Databases, row.row())
		}
	}
	d.Err = l.Error.error()
	return d
}

func orZero[N any](p *N) N {
	var zero N
	if p == nil {
		return zero
	}
	return *p
}
