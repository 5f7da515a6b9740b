package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// switchJournal is the last switch of one database, in the state folder: what
// it was about, and before which step it stood. It is written, down to the
// disk, before each step; how the names really stand only the server says, by
// the OIDs. It stays after the end: the undo needs it.
type switchJournal struct {
	Vault    string     `json:"vault"`
	Database string     `json:"database"`
	With     string     `json:"with"` // the restored database's own name
	Old      string     `json:"old"`  // the name of the live one while it is switched
	LiveOID  uint32     `json:"live_oid"`
	WithOID  uint32     `json:"with_oid"`
	SystemID string     `json:"system_id"`
	LiveOpen bool       `json:"live_open"` // they accepted logins before
	WithOpen bool       `json:"with_open"`
	Archive  string     `json:"archive"`
	BackupAt time.Time  `json:"backup_at"`
	Equal    int        `json:"tables_equal"`
	Tables   int        `json:"tables_total"`
	Goal     SwitchGoal `json:"goal"`
	Step     switchStep `json:"step"` // that was about to begin
	Done     bool       `json:"done"` // the names stand as Goal says, and logins are let in
	Started  time.Time  `json:"started"`
	At       time.Time  `json:"at"`
	By       string     `json:"by"`
}

// switchStep is a step of a switch.
type switchStep string

const (
	stepPrepare switchStep = "prepare"
	stepClose   switchStep = "close"
	stepEnd     switchStep = "end sessions"
	stepRename  switchStep = "rename"
	stepOpen    switchStep = "open"
	stepAsk     switchStep = "ask"
	stepDone    switchStep = "done"
)

// UnfinishedSwitch is a switch, or the undo of one, that was broken off: of
// the two databases neither may accept logins.
type UnfinishedSwitch struct {
	Database string
	With     string
	Goal     SwitchGoal
	Step     string // that it stood before
	At       time.Time
}

func (v *Vault) switchDir() string { return filepath.Join(v.c.StateDir, "switches") }

func (v *Vault) switchFile(database string) string {
	return v.c.Name + "-" + archive.EncodeName(database)
}

// readSwitch gives the journal of a database's last switch, nil for none. A
// journal that cannot be read is an error: it may be of one that was broken
// off.
func (v *Vault) readSwitch(database string) (*switchJournal, error) {
	return v.readJournal(filepath.Join(v.switchDir(), v.switchFile(database)+".json"))
}

func (v *Vault) readJournal(path string) (*switchJournal, error) {
	if v.c.StateDir == "" {
		return nil, nil
	}
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	j := &switchJournal{}
	if err == nil {
		err = json.Unmarshal(src, j)
	}
	if err == nil && (v.switchFile(j.Database)+".json" != filepath.Base(path) || j.LiveOID == 0 || j.WithOID == 0) {
		err = errors.New("it is not what its name says")
	}
	if err != nil {
		return nil, &fault.Error{Op: "switch", What: "the journal of the last switch cannot be read", Why: fmt.Sprintf("%s: %v", path, err), Left: leftAtFirst(KindSwitch),
			Do: "look how the databases are called (psql -l); if all is well, remove that file", Code: fault.Refused, Err: err}
	}
	return j, nil
}

func (v *Vault) writeSwitch(j *switchJournal) error {
	j.At = v.now().UTC()
	if err := v.writeSynced(filepath.Join(v.switchDir(), v.switchFile(j.Database)+".json"), j); err != nil {
		return &fault.Error{Op: "switch", What: "the journal of the switch cannot be written", Why: err.Error(), Do: "see that the state folder " + v.c.StateDir + " can be written to", Err: err}
	}
	return nil
}

// UnfinishedSwitches gives the switches of this vault that were broken off
// and that nobody is at just now, by database.
func (v *Vault) UnfinishedSwitches() []UnfinishedSwitch {
	if v.c.StateDir == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(v.switchDir(), "*.json"))
	slices.Sort(files)
	var out []UnfinishedSwitch
	for _, path := range files {
		j, err := v.readJournal(path)
		if err == nil && j != nil && j.Vault == v.c.Name && !j.Done && !job.Held(v.lockDir(), v.switchLock(j.Database)) {
			out = append(out, UnfinishedSwitch{j.Database, j.With, j.Goal, string(j.Step), j.At})
		}
	}
	return out
}

func (v *Vault) switchLock(database string) string { return "switch-" + v.switchFile(database) }

// brokenOff says in words that a switch stands half-way.
func (j *switchJournal) brokenOff(v *Vault) string {
	what := "a switch of " + j.Database + " with " + j.With
	if j.Goal == GoalOriginal {
		what = "the undo of a switch of " + j.Database
	}
	if job.Held(v.lockDir(), v.switchLock(j.Database)) {
		return what + " is under way"
	}
	return fmt.Sprintf("%s was broken off %s, before the step %q", what, stampOf(j.At), string(j.Step))
}

// switchWarnings tell of the switches that were broken off.
func (v *Vault) switchWarnings() []Explained {
	var out []Explained
	for _, u := range v.UnfinishedSwitches() {
		j := &switchJournal{Database: u.Database, With: u.With, Goal: u.Goal, Step: switchStep(u.Step), At: u.At}
		out = append(out, Explained{Key: "switch/" + u.Database, What: j.brokenOff(v), Why: "its process was killed, or could not reach the server any more",
			Left: "both databases are whole; neither may accept logins", Do: switchRemedy(u.Database)})
	}
	return out
}
