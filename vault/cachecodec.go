package vault

import (
	varint "encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"time"

	"pgvault/vault/archive"
)

// The listing is kept in a form of its own because it is read before the
// first frame: 10 000 rows take some milliseconds, as JSON or gob twenty
// times as long. Numbers are varints, a string that was there before is
// written as its number. A file of another version is passed over.
const listingMagic = "pgvault listing 7\n"

var errListing = errors.New("the remembered listing cannot be read")

// encodeListing writes a listing, with a checksum at the end.
func encodeListing(r *remembered) []byte {
	e := encoder{seen: map[string]uint64{}, b: make([]byte, 0, 256*len(r.archives)+256)}
	e.b = append(e.b, listingMagic...)
	e.time(r.at)
	e.text(r.vaultID)
	e.text(r.trust)
	e.flag(r.empty)
	e.texts(r.rest)
	e.number(int64(r.left))
	e.number(int64(len(r.archives)))
	for i := range r.archives {
		e.text(r.prints[i])
		e.archive(&r.archives[i])
	}
	return varint.LittleEndian.AppendUint32(e.b, crc32.Checksum(e.b, castagnoli))
}

// rowAtLeast is how many bytes an archive takes at least.
const rowAtLeast = 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decodeListing reads what encodeListing wrote; anything else is an error.
func decodeListing(src []byte) (*remembered, error) {
	body := len(src) - crc32.Size
	if body < len(listingMagic) || string(src[:len(listingMagic)]) != listingMagic ||
		crc32.Checksum(src[:body], castagnoli) != varint.LittleEndian.Uint32(src[body:]) {
		return nil, errListing
	}
	d := decoder{b: string(src[len(listingMagic):body])}
	r := &remembered{at: d.time(), vaultID: d.text(), trust: d.text()}
	r.empty = d.number() == 1
	r.rest = d.texts()
	r.left = int(max(0, d.number()))
	n := d.count()
	if n > len(d.b)/rowAtLeast {
		return nil, errListing
	}
	r.archives, r.prints = make([]Archive, n), make([]string, n)
	d.seen = slices.Grow(d.seen, 8*n)
	for i := range n {
		r.prints[i] = d.text()
		d.archive(&r.archives[i])
	}
	if d.bad || len(d.b) > 0 {
		return nil, errListing
	}
	return r, nil
}

type encoder struct {
	b    []byte
	seen map[string]uint64
}

func (e *encoder) number(n int64) { e.b = varint.AppendVarint(e.b, n) }

// text writes 0 and a new string, or the number of one written before.
func (e *encoder) text(s string) {
	if n, ok := e.seen[s]; ok {
		e.b = varint.AppendUvarint(e.b, n)
		return
	}
	e.seen[s] = uint64(len(e.seen) + 1)
	e.b = append(e.b, 0)
	e.b = append(varint.AppendUvarint(e.b, uint64(len(s))), s...)
}

func (e *encoder) time(t time.Time) {
	e.flag(!t.IsZero())
	if t.IsZero() {
		return
	}
	e.number(t.Unix())
	e.number(int64(t.Nanosecond()))
}

func (e *encoder) texts(list []string) {
	e.number(int64(len(list)))
	for _, s := range list {
		e.text(s)
	}
}

func (e *encoder) flag(b bool) {
	n := int64(0)
	if b {
		n = 1
	}
	e.number(n)
}

func (e *encoder) archive(a *Archive) {
	for _, s := range [...]string{a.ID, a.Database, a.State, string(a.Proof), a.Reason, a.ServerVersion, a.DumpVersion, a.digest, a.ResealedFrom, a.fromDigest} {
		e.text(s)
	}
	e.time(a.Started)
	e.time(a.Finished)
	for _, n := range [...]int64{int64(a.Tables), a.Rows, a.Bytes, a.Stored, a.Seq, int64(a.Warnings)} {
		e.number(n)
	}
	e.flag(a.Pinned)
	e.texts(a.Recipient)
	e.texts(a.Tags)
	e.time(a.locked)
	e.time(a.expires)
	e.flag(a.Imported != nil)
	if a.Imported != nil {
		e.time(*a.Imported)
		e.text(a.mark)
	}
	e.time(a.resealed)
	e.number(int64(len(a.keys)))
	for _, k := range a.keys {
		e.text(k.Name)
		e.text(k.Kind)
		e.text(k.Fingerprint)
	}
	e.number(int64(len(a.Proofs)))
	for _, p := range a.Proofs {
		e.time(p.At)
		for _, s := range [...]string{string(p.Level), p.Result, p.By, p.Key, p.Note, p.Place} {
			e.text(s)
		}
		e.flag(p.Told)
	}
}

// decoder reads from one string, of which all texts are parts: a listing of
// 10 000 archives is then a handful of allocations.
type decoder struct {
	b    string
	seen []string
	list []string // room for lists of texts
	bad  bool
}

func (d *decoder) fail() { d.bad, d.b = true, "" }

func (d *decoder) unsigned() uint64 {
	var n uint64
	for i := 0; i < len(d.b) && i < varint.MaxVarintLen64; i++ {
		c := d.b[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.b = d.b[i+1:]
			return n
		}
	}
	d.fail()
	return 0
}

func (d *decoder) number() int64 {
	n := d.unsigned()
	return int64(n>>1) ^ -int64(n&1) // zigzag, as encoding/binary writes it
}

// count reads how many follow; each takes a byte at least, so that a wrong
// number asks for no absurd memory.
func (d *decoder) count() int {
	n := d.number()
	if n < 0 || n > int64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	if n := d.unsigned(); n > 0 {
		if n > uint64(len(d.seen)) {
			d.fail()
			return ""
		}
		return d.seen[n-1]
	}
	n := d.unsigned()
	if d.bad || n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	s := d.b[:n]
	d.b = d.b[n:]
	d.seen = append(d.seen, s)
	return s
}

func (d *decoder) time() time.Time {
	if d.number() == 0 {
		return time.Time{}
	}
	s, ns := d.number(), d.number()
	return time.Unix(s, ns).UTC()
}

func (d *decoder) texts() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	if cap(d.list)-len(d.list) < n {
		d.list = make([]string, 0, max(n, 4096))
	}
	from := len(d.list)
	for range n {
		d.list = append(d.list, d.text())
	}
	return d.list[from:len(d.list):len(d.list)]
}

func (d *decoder) archive(a *Archive) {
	for _, s := range [...]*string{&a.ID, &a.Database, &a.State, (*string)(&a.Proof), &a.Reason, &a.ServerVersion, &a.DumpVersion, &a.digest, &a.ResealedFrom, &a.fromDigest} {
		*s = d.text()
	}
	a.Started, a.Finished = d.time(), d.time()
	tables, warnings := int64(0), int64(0)
	for _, n := range [...]*int64{&tables, &a.Rows, &a.Bytes, &a.Stored, &a.Seq, &warnings} {
		*n = d.number()
	}
	a.Tables, a.Warnings = int(tables), int(warnings)
	a.Pinned = d.number() == 1
	if a.Recipient = d.texts(); a.Recipient == nil {
		a.Recipient = []string{} // never null in JSON
	}
	a.Tags = d.texts()
	a.locked = d.time()
	a.expires = d.time()
	if d.number() == 1 {
		at := d.time()
		a.Imported, a.mark = &at, d.text()
	}
	a.resealed = d.time()
	if n := d.count(); n > 0 {
		a.keys = make([]archive.Recipient, n)
		for i := range a.keys {
			a.keys[i] = archive.Recipient{Name: d.text(), Kind: d.text(), Fingerprint: d.text()}
		}
	}
	if n := d.count(); n > 0 {
		a.Proofs = make([]ProofRecord, n)
	}
	for i := range a.Proofs {
		p := &a.Proofs[i]
		p.At = d.time()
		p.Level, p.Result, p.By, p.Key, p.Note, p.Place = Proof(d.text()), d.text(), d.text(), d.text(), d.text(), d.text()
		p.Told = d.number() == 1
	}
}
