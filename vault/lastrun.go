package vault

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
)

// lastRun is what the state folder remembers of a database's last backup,
// only to estimate the next one's progress: counts, never values.
type lastRun struct {
	Finished time.Time        `json:"finished"`
	Rows     int64            `json:"rows"`
	Tables   map[string]int64 `json:"tables"`
}

func (v *Vault) lastRunPath(vf *archive.VaultFile, database string) string {
	return filepath.Join(v.c.StateDir, "last", lockName(vf, database)+".json")
}

func (v *Vault) failedPath(vf *archive.VaultFile, database string) string {
	return filepath.Join(v.c.StateDir, "last", lockName(vf, database)+".failed")
}

// failure is why the last backup of a database failed, as the state folder
// remembers it for Status and Health: the four lines of its error. None of
// them holds a secret.
type failure struct {
	At time.Time `json:"at"`
	Explained
}

// rememberEnd notes for Status that a backup failed, or that none has since.
// A run that was cancelled, or never began because another one holds the
// lock, says nothing of the next. When it cannot be noted, Status still
// sees the age of the newest archive.
func (v *Vault) rememberEnd(vf *archive.VaultFile, database string, err error) {
	if vf == nil { // there is no vault yet, or it cannot be reached: Status finds that by itself
		return
	}
	path := v.failedPath(vf, database)
	switch code := fault.CodeOf(err); {
	case err == nil:
		_ = os.Remove(path)
	case code == fault.Cancelled || code == fault.Running || v.writable() != nil:
	default:
		e := fault.As(err)
		src, jerr := json.Marshal(failure{v.now().UTC(), Explained{What: e.What, Why: e.Why, Left: e.Left, Do: e.Do}})
		if jerr == nil {
			_ = v.writeState(path, src)
		}
	}
}

// failed is how the last backup failed, nil if it did not.
func (v *Vault) failed(vf *archive.VaultFile, database string) *failure {
	src, err := os.ReadFile(v.failedPath(vf, database))
	if err != nil {
		return nil
	}
	var f failure
	if json.Unmarshal(src, &f) != nil || f.At.IsZero() {
		return nil
	}
	return &f
}

// lastRun is nil where nothing (readable) is remembered.
func (v *Vault) lastRun(vf *archive.VaultFile, database string) *lastRun {
	src, err := os.ReadFile(v.lastRunPath(vf, database))
	if err != nil {
		return nil
	}
	var l lastRun
	if json.Unmarshal(src, &l) != nil {
		return nil
	}
	return &l
}

// rememberRun is a convenience: when it fails, the next estimate has a
// weaker basis and nothing else changes.
func (v *Vault) rememberRun(vf *archive.VaultFile, database string, c *archive.Contents, finished time.Time) {
	l := lastRun{Finished: finished.UTC(), Tables: map[string]int64{}}
	for _, t := range c.Tables {
		l.Rows += t.Rows
		l.Tables[pg.QuoteName(t.Schema, t.Name)] = t.Rows
	}
	src, err := json.Marshal(l)
	path := v.lastRunPath(vf, database)
	if err == nil {
		_ = v.writeState(path, src)
	}
}
