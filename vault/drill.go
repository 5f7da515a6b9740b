package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// DrillOptions say which archives a drill tries.
type DrillOptions struct {
	Databases  []string // none: all
	Latest     int      // of each database, the newest so many; 0: all
	Identities Identities
}

// The results of a drill on one archive.
const (
	DrillOpened  = "opened"
	DrillClosed  = "closed"  // no given identity opens it
	DrillDamaged = "damaged" // its headers cannot be read as they were written
)

// Drilled is what came of one archive.
type Drilled struct {
	ID       string `json:"id"`
	Database string `json:"database"`
	Result   string `json:"result"`        // one of the Drill words
	Key      string `json:"key,omitempty"` // which identity opened it
	Why      string `json:"why,omitempty"` // why not
	Parts    int    `json:"parts"`
	Bytes    int64  `json:"bytes"` // read for it
}

// Drill is what came of all of them.
type Drill struct {
	At       time.Time `json:"at"`
	Archives []Drilled `json:"archives"` // newest first
	Opened   int       `json:"opened"`
	Closed   int       `json:"closed"`
	Damaged  int       `json:"damaged"`
	Foreign  int       `json:"foreign"` // passed over: nobody trusted signed them
	Bytes    int64     `json:"bytes"`   // read for all
	Seconds  float64   `json:"seconds"`
	Recorded string    `json:"recorded"` // where the drill is remembered: "vault", "state folder", "" for nowhere
	NotKept  string    `json:"not_recorded,omitempty"`
}

// Drill proves, by the headers alone, that a held identity opens the
// archives. One that it does not open is an error with the code NoKey, after
// all were tried; damaged ones alone give Differs. A drill that every archive
// passed is remembered: as a signed proof in the vault, which every host
// sees, where this host has a signing key and may write, and in the state
// folder; it is in the audit trail however it ended.
func (v *Vault) Drill(ctx context.Context, o DrillOptions) (*Drill, error) {
	keys, err := v.keys(o.Identities)
	if err != nil {
		return nil, err
	}
	defer keys.Wipe()
	began := v.now()
	d := &Drill{At: began.UTC(), Archives: []Drilled{}}
	place, vf, trust, err := v.open(ctx)
	if err != nil {
		return nil, err
	}
	list, err := v.drillList(ctx, place, o)
	if err != nil {
		return nil, err
	}
	tried := make([]Drilled, len(list))
	opened := make([]*archive.Opened, len(list))
	var one sync.Mutex // a plugin may ask for a touch: one after another
	err = parallel(ctx, len(list), func(ctx context.Context, i int) error {
		a, o, err := v.describe(ctx, place, vf, trust, list[i])
		if err != nil {
			return err
		}
		opened[i] = o
		tried[i], err = drillOne(ctx, a, o, keys, &one)
		return err
	})
	if err != nil {
		return nil, err
	}
	var newest *archive.Opened
	for i, a := range tried {
		if a.Result == "" {
			d.Foreign++
			continue
		}
		if newest == nil {
			newest = opened[i]
		}
		d.Archives = append(d.Archives, a)
	}
	if len(d.Archives) == 0 {
		return nil, &fault.Error{Op: "key drill", What: "there is no archive to try a key on", Why: "the vault holds none that a trusted key signed", Left: "no key was tried", Do: "pgvault backup", Code: fault.NoVault}
	}
	for _, a := range d.Archives {
		d.Bytes += a.Bytes
		switch a.Result {
		case DrillOpened:
			d.Opened++
		case DrillClosed:
			d.Closed++
		default:
			d.Damaged++
		}
	}
	err = d.verdict()
	if err == nil {
		v.recordDrill(ctx, d, newest)
	}
	d.Seconds = v.now().Sub(began).Seconds()
	return d, v.auditDrill(ctx, o, d, err)
}

// drillList gives the archives to try, newest first.
func (v *Vault) drillList(ctx context.Context, place store.Store, o DrillOptions) ([]folder, error) {
	folders, err := v.folders(ctx, place, "")
	if err != nil {
		return nil, err
	}
	taken := map[string]int{}
	out := slices.DeleteFunc(folders, func(f folder) bool {
		taken[f.database]++
		return len(o.Databases) > 0 && !slices.Contains(o.Databases, f.database) || o.Latest > 0 && taken[f.database] > o.Latest
	})
	for _, name := range o.Databases {
		if taken[name] == 0 {
			return nil, &fault.Error{Op: "key drill", What: fmt.Sprintf("the vault holds no archive of a database %q", name), Left: "no key was tried", Do: "pgvault list shows which there are", Code: fault.Usage}
		}
	}
	return out, nil
}

// drillOne tries one archive; of a foreign one the result is empty. The
// error is not nil only when the place failed.
func drillOne(ctx context.Context, a Archive, o *archive.Opened, keys *archive.Keys, one *sync.Mutex) (Drilled, error) {
	out := Drilled{ID: a.ID, Database: a.Database}
	switch {
	case o == nil && a.State == "foreign":
		return Drilled{}, nil
	case o == nil: // its manifest cannot be read: it cannot be restored, whatever the key
		out.Result, out.Why = DrillDamaged, a.Reason
		return out, nil
	}
	out.Parts = len(o.Manifest.Parts)
	h, err := o.Headers(ctx)
	out.Bytes = h.Bytes
	if err == nil {
		one.Lock()
		out.Key, err = h.Try(keys)
		one.Unlock()
	}
	switch code := fault.CodeOf(err); {
	case err == nil:
		out.Result = DrillOpened
		return out, nil
	case code == fault.NoKey:
		out.Result = DrillClosed
	case code == fault.Differs:
		out.Result = DrillDamaged
	default:
		return out, err
	}
	out.Why = oneLine(err)
	return out, nil
}

// verdict is the error of a drill that not every archive passed.
func (d *Drill) verdict() error {
	name := func(result string) string {
		var ids []string
		for _, a := range d.Archives {
			if a.Result == result {
				ids = append(ids, a.Database+" "+a.ID)
			}
		}
		return strings.Join(firstFew(ids, 5), ", ")
	}
	all := plural(int64(len(d.Archives)), "archive")
	switch {
	case d.Closed > 0:
		return &fault.Error{Op: "key drill", What: fmt.Sprintf("the key does not open %d of %s", d.Closed, all), Why: "it is no recipient of " + name(DrillClosed),
			Left: "the archives are as they were; the drill does not count", Do: "find the key that opens them, pgvault show lists the recipients; back up anew with this key among the recipients", Code: fault.NoKey}
	case d.Damaged > 0:
		return &fault.Error{Op: "key drill", What: fmt.Sprintf("%s damaged", are2(d.Damaged)), Why: name(DrillDamaged),
			Left: "nothing was changed; the drill does not count", Do: "pgvault verify ID --level intact, and use another copy", Code: fault.Differs}
	}
	return nil
}

func are2(n int) string {
	if n == 1 {
		return "1 archive is"
	}
	return fmt.Sprintf("%d archives are", n)
}

// recordDrill remembers a drill that went well: for other hosts beside the
// newest archive, for this one in the state folder.
func (v *Vault) recordDrill(ctx context.Context, d *Drill, o *archive.Opened) {
	if err := v.writable(); err != nil {
		d.NotKept = oneLine(err)
		return
	}
	key := d.Archives[0].Key
	if src, err := json.Marshal(drillNote{At: d.At, Vault: v.c.Name, Key: key, Archives: d.Opened}); err == nil && v.c.StateDir != "" {
		if err = v.writeState(v.drillPath(), append(src, '\n')); err == nil {
			d.Recorded = "state folder"
		} else {
			d.NotKept = oneLine(err)
		}
	}
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err == nil {
		err = v.addProof(ctx, o, signer, archive.ProofFile{Level: string(ProofHeader), Result: "ok", Key: key,
			Note: fmt.Sprintf("key drill: the headers of %s were opened", plural(int64(d.Opened), "archive"))})
	}
	if err != nil {
		d.NotKept = "no signed record in the vault, other hosts do not see it: " + oneLine(err)
		return
	}
	d.Recorded = "vault"
}

func (v *Vault) auditDrill(ctx context.Context, o DrillOptions, d *Drill, err error) error {
	if v.c.StateDir == "" || v.writable() != nil {
		return err
	}
	what := "drill"
	if len(o.Databases) > 0 {
		what += " " + strings.Join(firstFew(o.Databases, 3), ", ")
	}
	return v.audited(ctx, "key", what, fmt.Sprintf("%d of %d archives opened by %s", d.Opened, len(d.Archives), d.Archives[0].Key), err)
}

func (v *Vault) drillPath() string { return filepath.Join(v.c.StateDir, "drill.json") }
