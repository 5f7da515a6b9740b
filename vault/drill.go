package vault

import (
	"cmp"
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
	DrillUnread  = "unread"  // no place that has it could be read
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
	Unread   int       `json:"unread"`
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
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	vf, trust, err := v.identity(ctx)
	if err != nil {
		return nil, err
	}
	list, err := drillList(w.archives, o)
	if err != nil {
		return nil, err
	}
	tried, opened := make([]Drilled, len(list)), make([]*located, len(list))
	var one sync.Mutex // a plugin may ask for a touch: one after another
	err = parallel(ctx, farWorkers, len(list), func(ctx context.Context, i int) error {
		if list[i].State != "foreign" {
			tried[i], opened[i] = drillCopies(ctx, copiesToTry(w.sights, &list[i]), &list[i], func(s site) (*archive.Opened, error) {
				return archive.Open(ctx, s.Store, trust, vf.ID, v.c.Name, list[i].Database, list[i].ID)
			}, keys, &one)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	var newest *located
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
	d.count()
	err = d.verdict()
	if err == nil {
		v.recordDrill(ctx, d, newest)
	}
	d.Seconds = v.now().Sub(began).Seconds()
	return d, v.auditDrill(ctx, o, d, err)
}

// drillList gives the archives to try, newest first.
func drillList(all []Archive, o DrillOptions) ([]Archive, error) {
	taken := map[string]int{}
	out := slices.DeleteFunc(slices.Clone(all), func(a Archive) bool {
		taken[a.Database]++
		return len(o.Databases) > 0 && !slices.Contains(o.Databases, a.Database) || o.Latest > 0 && taken[a.Database] > o.Latest
	})
	for _, name := range o.Databases {
		if taken[name] == 0 {
			return nil, &fault.Error{Op: "key drill", What: fmt.Sprintf("the vault holds no archive of a database %q", name), Why: "no archive of that name is in any place that answers", Left: "no key was tried", Do: "pgvault list shows which there are", Code: fault.Usage}
		}
	}
	return out, nil
}

// copiesToTry gives the places that hold a copy and answer, good copies and
// folders of this host first.
func copiesToTry(sights []sight, a *Archive) []site {
	var out []site
	good := map[string]bool{}
	for _, c := range a.Copies {
		good[c.Place] = c.State == CopyGood
		i := slices.IndexFunc(sights, func(s sight) bool { return s.Name == c.Place && s.err == nil })
		if i >= 0 && (c.State == CopyGood || c.State == CopyDamaged) {
			out = append(out, sights[i].site)
		}
	}
	slices.SortStableFunc(out, func(a, b site) int {
		return cmp.Or(-compareBool(good[a.Name], good[b.Name]), -compareBool(a.near(), b.near()))
	})
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// drillCopies tries one archive where it lies: the first copy that can be
// read tells of the key. It gives that copy.
func drillCopies(ctx context.Context, copies []site, a *Archive, open func(site) (*archive.Opened, error), keys *archive.Keys, one *sync.Mutex) (Drilled, *located) {
	out := Drilled{ID: a.ID, Database: a.Database, Result: DrillDamaged, Why: a.Reason}
	if len(copies) == 0 && a.State != "damaged" {
		out.Result, out.Why = DrillUnread, "no place that has it answers"
	}
	for _, s := range copies {
		o, err := open(s)
		if err == nil {
			var tried Drilled
			if tried, err = drillOne(ctx, o, keys, one); err == nil && tried.Result != DrillDamaged {
				return tried, &located{site: s, o: o}
			}
			out.Why = tried.Why
		}
		if err != nil {
			out.Why = oneLine(err)
		}
		if err != nil && fault.CodeOf(err) != fault.Differs {
			out.Result = DrillUnread
		}
	}
	return out, nil
}

// drillOne tries one archive. The error is not nil only when the place
// failed.
func drillOne(ctx context.Context, o *archive.Opened, keys *archive.Keys, one *sync.Mutex) (Drilled, error) {
	out := Drilled{ID: o.Manifest.ID, Database: o.Manifest.Database}
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

// count sums up.
func (d *Drill) count() {
	for _, a := range d.Archives {
		d.Bytes += a.Bytes
		switch a.Result {
		case DrillOpened:
			d.Opened++
		case DrillClosed:
			d.Closed++
		case DrillUnread:
			d.Unread++
		default:
			d.Damaged++
		}
	}
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
	case d.Unread > 0:
		return &fault.Error{Op: "key drill", What: fmt.Sprintf("%d of %s could not be read", d.Unread, all), Why: name(DrillUnread),
			Left: "the archives are as they were; the drill does not count", Do: "pgvault place test, then try again", Code: fault.PlaceUnreachable}
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
func (v *Vault) recordDrill(ctx context.Context, d *Drill, o *located) {
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
		err = v.addProofEverywhere(ctx, nil, o, signer, archive.ProofFile{Level: string(ProofHeader), Result: "ok", Key: key,
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
