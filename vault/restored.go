package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
)

// restoredNote is what a restore of a whole archive leaves in the state
// folder of what it proved, so that a switch can believe it later. It holds
// for one database of one server: another with the same name is not it.
type restoredNote struct {
	Vault       string       `json:"vault"`
	Archive     string       `json:"archive"`
	Manifest    string       `json:"manifest"` // SHA-256
	Database    string       `json:"database"` // the archive's
	BackupAt    time.Time    `json:"backup_at"`
	Target      string       `json:"target"`
	OID         uint32       `json:"oid"`
	SystemID    string       `json:"system_id"`
	Written     int64        `json:"written"` // see pg.Mark
	At          time.Time    `json:"at"`
	By          string       `json:"by"`
	TablesEqual int          `json:"tables_equal"`
	TablesTotal int          `json:"tables_total"`
	Differences []Difference `json:"differences"`
	Errors      int          `json:"pg_restore_errors"`
	FirstErrors []string     `json:"first_errors,omitempty"`
	NoOwner     bool         `json:"no_owner,omitempty"`
}

// maxNoted bounds the differences of a note; who has more of them restores
// again.
const maxNoted = 1000

func (v *Vault) restoredPath(target string) string {
	return filepath.Join(v.c.StateDir, "restored", v.c.Name+"-"+archive.EncodeName(target)+".json")
}

// forgetRestored takes away what an earlier restore proved of a database
// that is about to be filled.
func (v *Vault) forgetRestored(target string) error {
	if v.c.StateDir == "" {
		return nil
	}
	err := os.Remove(v.restoredPath(target))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return &fault.Error{Op: "restore", What: "what an earlier restore into " + target + " proved cannot be taken back", Why: err.Error(), Left: "nothing was made or changed",
		Do: "see that the state folder " + v.c.StateDir + " can be written to", Err: err}
}

// noteRestored writes down what a restore has come to, its own error
// included. That it cannot be written is a warning: the restore is done.
func (v *Vault) noteRestored(ctx context.Context, r *restoration, p *RestorePlan, result error) {
	code := fault.CodeOf(result)
	if v.c.StateDir == "" || r.only != nil || result != nil && code != fault.Differs && code != fault.Partial {
		return
	}
	mark, err := pg.SettledMarkOf(ctx, r.server, p.Target)
	if err == nil {
		n := restoredNote{Vault: v.c.Name, Archive: p.Archive.ID, Manifest: r.o.Digest, Database: p.Archive.Database, BackupAt: p.Archive.Started.UTC(), Target: p.Target,
			OID: mark.OID, SystemID: mark.SystemID, Written: mark.Written, At: v.now().UTC(), By: who(), TablesEqual: r.done.TablesEqual, TablesTotal: r.done.TablesTotal,
			Differences: r.done.Differences, Errors: len(r.errors), FirstErrors: firstFew(r.errors, 3), NoOwner: r.noOwner}
		if len(n.Differences) > maxNoted {
			rest := len(n.Differences) - maxNoted
			n.Differences = append(n.Differences[:maxNoted:maxNoted], Difference{Table: fmt.Sprintf("%d more", rest)})
		}
		err = v.writeSynced(v.restoredPath(p.Target), n)
	}
	if err != nil {
		r.warn("what this restore has proven could not be noted, so pgvault switch will not take it: " + oneLine(err))
	}
}

// restoredNoteOf reads the note about a database, nil where there is none.
func (v *Vault) restoredNoteOf(target string) *restoredNote {
	src, err := os.ReadFile(v.restoredPath(target))
	n := &restoredNote{}
	if err != nil || json.Unmarshal(src, n) != nil || n.Target != target || n.Vault != v.c.Name || n.OID == 0 {
		return nil
	}
	return n
}

// writeSynced replaces a small JSON file of the state folder, so that after a
// crash there is the old one or the new one, whole.
func (v *Vault) writeSynced(path string, value any) error {
	src, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := v.stateFolder(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(src, '\n'))
	if v.stateShared() {
		err = errors.Join(err, f.Chmod(0o640))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
