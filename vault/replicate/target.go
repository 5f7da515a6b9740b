package replicate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// target is a place that the archive is brought to. One goroutine at a time
// works on it; mu guards what others read.
type target struct {
	c *copier
	Place
	there map[string]int64 // objects of the archive's folder, by name within it, when it was looked at
	right map[int]bool     // parts that lie there now, every byte compared
	tried map[int]bool     // parts at which it was begun anew
	wrong map[int]bool     // parts that lie there with other bytes

	mu  sync.Mutex
	out Outcome
}

func newTarget(c *copier, p Place) *target {
	return &target{c: c, Place: p, right: map[int]bool{}, tried: map[int]bool{}, wrong: map[int]bool{}, out: Outcome{Place: p.Name}}
}

// again tells whether the target may be tried again from part n: once.
func (t *target) again(n int) bool {
	was := t.tried[n]
	t.tried[n], t.wrong[n] = true, false
	return !was
}

func (t *target) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Err = err
}

func (t *target) outcome() Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.out
	out.Healed = append([]string(nil), out.Healed...)
	return out
}

// count adds to what was sent and what lay there.
func (t *target) count(sent, there int64) {
	t.mu.Lock()
	t.out.Sent += sent
	t.out.There += there
	t.mu.Unlock()
	t.c.Passed(t.Name, sent, there)
}

func (t *target) healed(object string) {
	t.mu.Lock()
	t.out.Healed = append(t.out.Healed, object)
	t.mu.Unlock()
	t.c.Note("info", fmt.Sprintf("%s of %s was damaged in %s and is replaced", object, t.c.ID, t.Name))
}

// prepare makes the vault there if it is not, looks at what lies there of
// the archive, and refuses where the rest would not fit.
func (t *target) prepare(ctx context.Context) error {
	if err := t.haveVault(ctx); err != nil {
		return err
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	return t.space(ctx)
}

// look lists the archive's folder.
func (t *target) look(ctx context.Context) error {
	c := t.c
	infos, err := t.Store.List(ctx, c.folder())
	if err != nil {
		return err
	}
	t.there = map[string]int64{}
	for _, i := range infos {
		t.there[i.Name[len(c.folder()):]] = i.Size
	}
	if _, ok := t.there[archive.ManifestName]; !ok {
		return t.clearDeletion(ctx)
	}
	o, err := archive.Open(ctx, t.Store, c.Trust, c.VaultID, c.Vault, c.Database, c.ID)
	switch {
	case err == nil && o.Digest != c.opened.Digest:
		return &fault.Error{Op: "copy", What: fmt.Sprintf("two archives have the id %s", c.ID), Why: fmt.Sprintf("the manifest in %s is another one, and signed too", t.Name),
			Left: "both are as they were", Do: "look at both: pgvault show " + c.ID, Code: fault.Differs}
	case err != nil && fault.CodeOf(err) != fault.Differs:
		return err
	}
	return nil
}

// deletionAge is how old the mark of a deletion must be that did not come to
// its end before the rest of it is cleared away. A younger one may be at work.
const deletionAge = 24 * time.Hour

// clearDeletion ends a deletion that was interrupted: anybody may. Without a
// mark what lies there is an unfinished copy, and is used.
func (t *target) clearDeletion(ctx context.Context) error {
	if _, marked := t.there[archive.DeletedName]; !marked {
		return nil
	}
	src, err := store.ReadAll(ctx, t.Store, t.c.folder()+archive.DeletedName, maxSmall)
	if err != nil && !errors.Is(err, store.ErrNotExist) && !errors.Is(err, store.ErrTooBig) {
		return err
	}
	var n archive.Note
	if json.Unmarshal(src, &n) == nil && t.c.Now().Sub(n.At) < deletionAge {
		return t.c.goingAway(t.Place, fmt.Sprintf("%s began with it at %s", safetext.Line(n.By), n.At.UTC().Format(time.RFC3339)))
	}
	names := slices.Sorted(maps.Keys(t.there))
	gone := archive.Removal(func(name string) bool { _, ok := t.there[name]; return ok }, names)
	for _, name := range append(gone, archive.DeletedName) {
		if err := t.Store.Remove(ctx, t.c.folder()+name); err != nil && !errors.Is(err, store.ErrNotExist) {
			return err
		}
		delete(t.there, name)
	}
	t.c.Note("info", fmt.Sprintf("what an interrupted deletion had left of %s in %s is removed", t.c.ID, t.Name))
	return nil
}

// still tells whether all parts lie there, right before the manifest is
// written: another host may have cleared away a deletion.
func (t *target) still(ctx context.Context) error {
	infos, err := t.Store.List(ctx, t.c.folder())
	if err != nil {
		return err
	}
	there := map[string]int64{}
	for _, i := range infos {
		there[i.Name[len(t.c.folder()):]] = i.Size
	}
	for n, p := range t.c.opened.Manifest.Parts {
		if size, ok := there[p.Name]; !ok || size != p.Size {
			t.right[n] = false
			return fmt.Errorf("part %s of %s is not in %s any more", p.Name, t.c.ID, t.Name)
		}
	}
	return nil
}

// space refuses a copy for which the place has too little room. One that
// does not know its room is trusted to say so when it is full.
func (t *target) space(ctx context.Context) error {
	var need int64
	for n, p := range t.c.opened.Manifest.Parts {
		if _, ok := t.there[p.Name]; !ok && !t.right[n] {
			need += p.Size
		}
	}
	if need == 0 {
		return nil
	}
	free, err := t.Store.Free(ctx)
	if err != nil || free < 0 || free-need >= t.MinFree {
		return err
	}
	why := fmt.Sprintf("%d bytes are to be written, %d are free", need, free)
	if t.MinFree > 0 {
		why += fmt.Sprintf(", of which min_free keeps %d", t.MinFree)
	}
	return &fault.Error{Op: "copy", What: "not enough space in " + t.Name, Why: why, Left: "nothing was written there",
		Do: "make room there; the next backup, or pgvault copy --missing, sends what it lacks", Code: fault.NoSpace}
}

// inspect finds out how the nth part lies there: right, wrong, or not at
// all. Only reading all of it tells.
func (t *target) inspect(ctx context.Context, n int) error {
	part := t.c.opened.Manifest.Parts[n]
	size, ok := t.there[part.Name]
	if !ok || t.right[n] || t.wrong[n] {
		return nil
	}
	equal := false
	if size == part.Size {
		var err error
		if equal, err = t.compare(ctx, part); err != nil {
			return err
		}
	}
	t.right[n], t.wrong[n] = equal, !equal
	return nil
}

// compare reads what lies there under a part's name and tells whether it is
// that part. What is right is counted.
func (t *target) compare(ctx context.Context, part archive.Part) (bool, error) {
	r, err := t.Store.Open(ctx, t.c.folder()+part.Name, 0, part.Size+1)
	if errors.Is(err, store.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	p := t.c.pieces.Get().(*piece)
	defer t.c.pieces.Put(p)
	sum, n := sha256.New(), int64(0)
	for {
		k, err := r.Read(p.buf)
		sum.Write(p.buf[:k])
		n += int64(k)
		t.count(0, int64(k))
		if err == io.EOF {
			break
		}
		if err != nil {
			t.count(0, -n)
			return false, err
		}
	}
	if n == part.Size && hex.EncodeToString(sum.Sum(nil)) == part.SHA256 {
		return true, nil
	}
	t.count(0, -n)
	return false, nil
}

// remove takes an object with wrong bytes away, by its exact name.
func (t *target) remove(ctx context.Context, object string) error {
	err := t.Store.Remove(ctx, t.c.folder()+object)
	if err == nil || errors.Is(err, store.ErrNotExist) {
		return nil
	}
	if code := fault.CodeOf(err); ctx.Err() != nil || code == fault.PlaceUnreachable {
		return err
	}
	e := &fault.Error{Op: "copy", What: fmt.Sprintf("%s of archive %s in %s is damaged and cannot be replaced", object, t.c.ID, t.Name), Why: oneLine(err),
		Left: "the damaged copy is as it was, and is not counted as one", Code: fault.Refused, Err: err}
	e.Do = "let these credentials delete this object, or wait for the end of its lock; then pgvault copy " + t.c.ID + " --to " + t.Name
	return e
}
