package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"pgvault/fault"
	"pgvault/safetext"
)

// The audit trail lies in the state folder: audit.jsonl, one JSON object a
// line, and audit.head, which names its last line. Each line bears its
// number and the SHA-256 of the line before it, so that a line that is
// changed, removed or moved is noticed; audit.head makes a trail that was cut
// at its end notice too. Lines are only ever appended: where a crash tore the
// last one, a note follows it.
const (
	trailFile     = "audit.jsonl"
	trailHeadFile = "audit.head"
	trailLockFile = "audit.lock"
)

// auditLine is one line of the trail.
type auditLine struct {
	Seq     int64     `json:"seq"` // 1 for the first
	At      time.Time `json:"at"`
	Actor   Actor     `json:"actor"`
	Vault   string    `json:"vault"`
	Kind    string    `json:"kind"`
	What    string    `json:"what"`
	Result  string    `json:"result"` // of a job: "started", then how it ended
	Text    string    `json:"text,omitempty"`
	Job     string    `json:"job,omitempty"`
	Seconds float64   `json:"seconds,omitempty"` // how long it took
	Prev    string    `json:"prev"`              // SHA-256 of the line before without its line break, hex; empty for the first
}

// kindNote is the kind of a line that speaks of the trail itself.
const kindNote = "note"

type trailHead struct {
	Seq    int64  `json:"seq"`
	SHA256 string `json:"sha256"` // of that line
}

// trail is where the audit trail lies and who may read it.
type trail struct {
	dir   string
	vault string
	mode  os.FileMode
}

func (v *Vault) trail() trail {
	t := trail{dir: v.c.StateDir, vault: v.c.Name, mode: 0o600}
	if v.stateShared() {
		t.mode = 0o640
	}
	return t
}

// Audit writes into the audit trail that something was done: what ("shop",
// "keep daily 5 > 7") of which kind (pin, unpin, delete, settings, key), with
// which result (ok, failed, cancelled) and a few words more. Who did it is
// found out. The line is on the disk when Audit returns.
func (v *Vault) Audit(ctx context.Context, kind, what, result, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := v.writable(); err != nil {
		return err
	}
	return v.trail().append(v.now(), auditLine{Actor: v.actor(), Kind: kind, What: what, Result: result, Text: text})
}

// audited writes how something ended into the trail and gives its error, or
// that of the trail: what cannot be told of is not ok.
func (v *Vault) audited(ctx context.Context, kind, what, text string, err error) error {
	result := "ok"
	if err != nil {
		result, text = "failed", fault.As(err).What
		if fault.CodeOf(err) == fault.Partial {
			result = "partial"
		}
	}
	if told := v.Audit(context.WithoutCancel(ctx), kind, what, result, text); told != nil {
		return errors.Join(err, told)
	}
	return err
}

func (t trail) path(name string) string { return filepath.Join(t.dir, name) }

// lockWait is how long a line waits for others that are being written.
const lockWait = 5 * time.Second

// append adds one line; Seq, At, Vault and Prev are set here.
func (t trail) append(now time.Time, l auditLine) error {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return trailError(err)
	}
	lock := flock.New(t.path(trailLockFile), flock.SetPermissions(0o600)) // the owner's alone: a reader must not hold a job up
	ctx, stop := context.WithTimeout(context.Background(), lockWait)
	defer stop()
	if got, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil || !got {
		return trailError(errors.Join(err, lock.Close()))
	}
	defer func() { _ = lock.Unlock() }()
	f, err := os.OpenFile(t.path(trailFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, t.mode)
	if err != nil {
		return trailError(err)
	}
	head, err := t.write(f, now, l)
	if err = errors.Join(err, f.Close()); err != nil {
		return trailError(err)
	}
	return t.writeHead(head)
}

// write appends to the open trail, and gives its new head.
func (t trail) write(f *os.File, now time.Time, l auditLine) (trailHead, error) {
	if err := f.Chmod(t.mode); err != nil {
		return trailHead{}, err
	}
	before, last, torn, err := lastLines(f)
	if err != nil {
		return trailHead{}, err
	}
	head, text := t.follow(before, last), []byte(nil)
	if torn { // the crash of a writer, or of the machine
		text = append(text, '\n')
	}
	lines := []auditLine{l}
	if _, ok := parseLine(last); last != nil && !ok {
		lines = []auditLine{{Kind: kindNote, What: "audit trail", Result: string(ResultOK), Actor: l.Actor,
			Text: fmt.Sprintf("line %d is torn after %d bytes: the writer or the machine went down", head.Seq, len(last))}, l}
	}
	for _, l := range lines {
		l.Seq, l.At, l.Vault, l.Prev = head.Seq+1, now.UTC(), t.vault, head.SHA256
		line, err := json.Marshal(l)
		if err != nil {
			return trailHead{}, err
		}
		line = safetext.JSON(line)
		text = append(append(text, line...), '\n')
		head = trailHead{l.Seq, digest(line)}
	}
	if _, err := f.Write(text); err != nil {
		return trailHead{}, err
	}
	return head, f.Sync()
}

// follow tells after which line the next one comes. Where the head knows of
// a later line than the last, or of another one with its number, the trail
// was tampered with: the next line follows the head, so that the break stays
// to be seen.
func (t trail) follow(before, last []byte) trailHead {
	head := t.readHead()
	if last == nil {
		return head
	}
	l, ok := parseLine(last)
	seq := l.Seq
	if !ok { // torn: the one after the head, or after the line before it
		l, _ = parseLine(before)
		seq = max(head.Seq, l.Seq) + 1
	}
	if head.Seq >= seq {
		return head
	}
	return trailHead{seq, digest(last)}
}

func (t trail) readHead() trailHead {
	var h trailHead
	src, err := os.ReadFile(t.path(trailHeadFile))
	if err != nil || json.Unmarshal(src, &h) != nil || h.Seq < 0 {
		return trailHead{}
	}
	return h
}

func (t trail) writeHead(h trailHead) error {
	src, err := json.Marshal(h)
	if err != nil {
		return err
	}
	path := t.path(trailHeadFile)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, t.mode)
	if err != nil {
		return trailError(err)
	}
	_, err = f.Write(append(src, '\n'))
	// Synced: an empty head after a power failure would look like tampering.
	if err = errors.Join(err, f.Chmod(t.mode), f.Sync(), f.Close()); err != nil {
		return trailError(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return trailError(err)
	}
	return nil
}

// lastLines gives the last line of the trail and the one before it, nil where
// there is none; torn when the last has no line break.
func lastLines(f *os.File) (before, last []byte, torn bool, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return nil, nil, false, err
	}
	for n := int64(4096); ; n *= 4 {
		n = min(n, size)
		buf := make([]byte, n)
		if _, err := f.ReadAt(buf, size-n); err != nil {
			return nil, nil, false, err
		}
		torn = buf[n-1] != '\n'
		all := bytes.Split(bytes.TrimSuffix(buf, []byte("\n")), []byte("\n"))
		switch {
		case n == size && len(all) == 1:
			return nil, all[0], torn, nil
		case n == size || len(all) > 2: // the first may be cut
			return all[len(all)-2], all[len(all)-1], torn, nil
		}
	}
}

func parseLine(line []byte) (auditLine, bool) {
	var l auditLine
	return l, json.Unmarshal(line, &l) == nil && l.Seq > 0
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

func trailError(err error) error {
	if err == nil {
		return nil
	}
	return &fault.Error{Op: "audit", What: "the audit trail could not be written", Left: "what was done stays done, without a line about it", Do: "make the state folder writable, and look for free space", Err: err}
}
