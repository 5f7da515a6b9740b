package vault

import (
	"time"

	"pgvault/fault"
)

// Event is one thing the engine tells while a run goes on. CLI text, CLI
// JSON and the screen all print these same values; nothing is reported
// twice in two ways.
type Event interface{ event() }

// Sink receives the events of one run, in order, from one goroutine at a
// time. It must not block for long: the run waits. Progress may be dropped
// by a slow sink (the newest wins), every other event must arrive. Exactly
// one RunDone ends a run, whatever happens.
type Sink func(Event)

// Kind is what a run does.
type Kind string

// The kinds of run.
const (
	KindBackup    Kind = "backup"
	KindVerify    Kind = "verify"
	KindRestore   Kind = "restore"
	KindCopy      Kind = "copy"
	KindSwitch    Kind = "switch"
	KindImport    Kind = "import"
	KindReseal    Kind = "reseal"
	KindRecover   Kind = "recover" // several restores in a row: between its own RunStarted and RunDone are their events, a DatabaseDone in the place of each RunDone
	KindRetention Kind = "retention"
)

// Stage is one phase of a run, in the order of RunStarted.Stages.
type Stage string

// The stages of the kinds of run.
const (
	StagePreflight Stage = "preflight" // programs, rights, space, recipients, lock
	StageSnapshot  Stage = "snapshot"  // exported snapshot and catalog
	StageData      Stage = "data"      // pg_dump passes through, or workers load
	StageSeal      Stage = "seal"      // globals, contents, signature, manifest
	StageReadBack  Stage = "read back" // self-check with the one-time key
	StageCheck     Stage = "check"     // signature and SHA-256 of every part
	StageDecrypt   Stage = "decrypt"   // decrypt and parse to the last byte
	StageScratch   Stage = "scratch"   // private cluster is made
	StageCreate    Stage = "create"    // new database and its schema before data
	StageIndexes   Stage = "indexes"   // indexes, keys, triggers after data
	StageSettings  Stage = "settings"  // database settings and grants, ANALYZE
	StageCompare   Stage = "compare"   // every table's rows and SHA-256
	StageCopies    Stage = "copies"    // archives are brought to other places
	StagePrepare   Stage = "prepare"   // switch: owner, settings and grants are carried over
	StageSwitch    Stage = "switch"    // logins refused, sessions ended, both renamed, logins let in
	StageAsk       Stage = "ask"       // both databases are asked a question
	StageReseal    Stage = "reseal"    // archives are encrypted anew, and read back
	StageRetention Stage = "retention" // archives are marked and removed, and marks taken away
)

// RunStarted is the first event of a run.
type RunStarted struct {
	Kind     Kind
	ID       string // archive id; for a backup the id it will have
	Database string // source database
	Target   string // restore: the database written into
	Stages   []Stage
	At       time.Time
}

// StageStarted says that a stage begins.
type StageStarted struct {
	Stage Stage
	At    time.Time
}

// Progress is where the run stands. A total of 0 means unknown: faces then
// show counts and never invent a percentage.
type Progress struct {
	Stage  Stage
	Rows   int64 // rows passed in this stage
	Bytes  int64 // uncompressed bytes passed in this stage; in StageCopies and StageReseal encrypted ones, of all places
	Stored int64 // encrypted bytes written (backup) or read so far
	// RowsTotal and BytesTotal are exact when Estimate is empty, otherwise
	// estimates with that basis, in words ("from the run of 2026-08-28").
	RowsTotal  int64
	BytesTotal int64
	Estimate   string
	TablesDone int
	Tables     int             // tables in all, 0 unknown
	Active     []Table         // the tables under way (those that changed since the last Progress may be in it with their end state)
	Places     []PlaceProgress // StageCopies: every place that copies go to
	At         time.Time
}

// PlaceStage is where one place stands in a run that copies.
type PlaceStage string

// The stages of a place.
const (
	PlaceWaiting  PlaceStage = "waiting"
	PlaceCopying  PlaceStage = "copying" // bytes are sent, or compared with those that lie there
	PlaceReadBack PlaceStage = "read back"
	PlaceReady    PlaceStage = "done"
	PlaceFailed   PlaceStage = "failed"
)

// PlaceProgress is where one place stands. Bytes are those of archives' parts,
// encrypted.
type PlaceProgress struct {
	Place        string     `json:"place"`
	State        PlaceStage `json:"state"`
	Bytes        int64      `json:"bytes"` // that are there now, of those to be copied
	There        int64      `json:"there"` // of them, those that lay there already
	Total        int64      `json:"total"`
	Rate         int64      `json:"rate"` // bytes a second of late, 0 unknown
	Archives     int        `json:"archives"`
	ArchivesDone int        `json:"archives_done"`
}

// CopyResult is how a copy ended.
type CopyResult string

// The results of a copy.
const (
	Copied      CopyResult = "copied"
	CopyThere   CopyResult = "there"  // every byte was there already
	CopyHealed  CopyResult = "healed" // what was wrong there was replaced
	CopyStopped CopyResult = "failed"
)

// PlaceDone says how the copying of one archive to one place ended. It is
// never dropped.
type PlaceDone struct {
	Stage    Stage
	Place    string
	ID       string // the archive's
	Database string
	Result   CopyResult
	Bytes    int64 // that were sent
	There    int64 // that lay there and were read and found right
	ReadBack bool  // all of it was read back after that, and was right
	Seconds  float64
	Err      error // nil unless Result is failed
}

// PlaceResult is how a run that copies ended for one place.
type PlaceResult struct {
	Place    string
	Archives int   // that it has now, of those that were to be copied
	Missing  int   // that it still lacks
	Bytes    int64 // that were sent
	There    int64
	Err      error // why it lacks some: the first reason
}

// TableState is where one table stands in a run.
type TableState string

// The states of a table.
const (
	StateRunning TableState = "running"
	StateDone    TableState = "done"
	StateEqual   TableState = "equal"
	StateDiffers TableState = "differs"
)

// Table is one table's row in a run: what passed, and what was expected.
type Table struct {
	Name      string // schema.name, quoted where SQL needs quotes
	State     TableState
	Rows      int64
	RowsTotal int64 // 0 unknown; an estimate in a backup, exact in a restore
	Bytes     int64
}

// TableDone says that one table has passed (backup, decrypt, load) or was
// compared (compare). It is never dropped.
type TableDone struct {
	Stage        Stage
	Name         string
	State        TableState
	Rows         int64
	RowsExpected int64 // compare: what the archive recorded
	Bytes        int64
	SHA256       string // hex, empty where not known
	Note         string // why it differs, or "equal, in another order"
}

// DatabaseDone says how one database of a recovery ended. It is never dropped.
type DatabaseDone struct {
	N, Of int // it is the N-th of so many, from 1
	Row   RecoverRow
}

// Notice is something a person should know although the run goes on.
type Notice struct {
	Level string // "info" or "warning"
	Text  string
	At    time.Time
}

// StageDone says that a stage ended well.
type StageDone struct {
	Stage   Stage
	Seconds float64
}

// Result is how a run ended.
type Result string

// The results. Partial: done, but something asked for is not there.
const (
	ResultOK        Result = "ok"
	ResultFailed    Result = "failed"
	ResultPartial   Result = "partial"
	ResultCancelled Result = "cancelled"
)

// RunDone is the last event of a run.
type RunDone struct {
	Kind     Kind
	Result   Result
	Exit     fault.Code
	ID       string
	Database string
	Target   string
	Tables   int
	Rows     int64
	Bytes    int64 // uncompressed
	Stored   int64 // encrypted bytes in the place; of a copy, those that were sent
	Seconds  float64
	Proof    Proof
	// TablesEqual of TablesTotal were compared equal (verify, restore).
	TablesEqual int
	TablesTotal int
	Differences []Difference
	Places      []PlaceResult  // copy, and backup: every place that copies went to
	Retained    *Retained      // retention: what it did
	Recovered   *RecoverReport // recover: row by row
	Warnings    int
	Err         error // nil when Result is ok
}

// Retained counts what a run of retention did with archives.
type Retained struct {
	Kept     int   `json:"kept"` // those that are there after it
	Marked   int   `json:"marked"`
	Unmarked int   `json:"unmarked"`
	Gone     int   `json:"gone"`
	Freed    int64 `json:"freed"` // bytes, in all places
}

// Difference is one thing that is not as the archive recorded it.
type Difference struct {
	Table        string `json:"table"` // or "sequence NAME", "index NAME", … for other objects
	RowsExpected int64  `json:"rows_expected"`
	RowsFound    int64  `json:"rows_found"`
	Why          string `json:"why"`
}

func (RunStarted) event()   {}
func (StageStarted) event() {}
func (Progress) event()     {}
func (TableDone) event()    {}
func (PlaceDone) event()    {}
func (DatabaseDone) event() {}
func (Notice) event()       {}
func (StageDone) event()    {}
func (RunDone) event()      {}
