package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// The share of the uncompressed dump that each kind of table gets. pgbench's
// own tables hold the rest.
const (
	shareText  = 0.20
	shareJSON  = 0.28
	shareBytea = 0.20
	shareBench = 1 - shareText - shareJSON - shareBytea
)

// pgbenchScale is the number of bytes that one unit of pgbench's scale adds
// to an uncompressed dump: 100 000 rows of pgbench_accounts of about 97 bytes.
const pgbenchScale = 9_750_000

// schema makes the tables beside pgbench's own; keys, indexes and a foreign
// key are made after the load, as pg_restore does.
const schema = `
CREATE TABLE messages (id bigint, author integer NOT NULL, sent timestamptz NOT NULL, subject text NOT NULL, body text NOT NULL);
CREATE TABLE events (id bigint, at timestamptz NOT NULL, payload jsonb NOT NULL);
CREATE TABLE files (id bigint, name text NOT NULL, kind text NOT NULL, content bytea NOT NULL);`

const indexes = `
ALTER TABLE messages ADD PRIMARY KEY (id);
CREATE INDEX ON messages (author, sent);
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX ON events (at);
CREATE INDEX ON events ((payload->>'kind'));
ALTER TABLE files ADD PRIMARY KEY (id);
ALTER TABLE pgbench_history ADD FOREIGN KEY (aid) REFERENCES pgbench_accounts (aid);`

// tables are filled by COPY from a generator; each writes about size bytes
// in COPY's text format, the same bytes for the same size.
var tables = []struct {
	name  string
	share float64
	write func(g *gen, w *counter, size int64)
}{
	{"messages", shareText, writeMessages},
	{"events", shareJSON, writeEvents},
	{"files", shareBytea, writeFiles},
}

// gen draws believable values from a fixed seed.
type gen struct {
	rng   *rand.Rand
	words []string
	zipf  []float64 // cumulative weight of words
	start time.Time
}

func newGen(seed uint64) *gen {
	g := &gen{rng: rand.New(rand.NewPCG(seed, 1)), start: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	onset := strings.Fields("b br c ch d dr f fl g gr h j k l m n p pr qu r s sh st t th tr v w")
	core := strings.Fields("a e i o u ai ea ee ou oo")
	coda := []string{"", "", "", "n", "r", "s", "t", "l", "nd", "st", "ck", "ng"}
	seen := map[string]bool{}
	for sum := 0.0; len(g.words) < 6000; {
		var b strings.Builder
		for range 1 + g.rng.IntN(1+min(3, 1+len(g.words)/300)) {
			b.WriteString(onset[g.rng.IntN(len(onset))] + core[g.rng.IntN(len(core))] + coda[g.rng.IntN(len(coda))])
		}
		if seen[b.String()] {
			continue
		}
		seen[b.String()] = true
		g.words = append(g.words, b.String())
		// Zipf's law for a natural language: the n-th word comes 1/n as often.
		sum += 1 / float64(len(g.words)+1)
		g.zipf = append(g.zipf, sum)
	}
	return g
}

func (g *gen) word() string {
	x := g.rng.Float64() * g.zipf[len(g.zipf)-1]
	lo, hi := 0, len(g.zipf)-1
	for lo < hi {
		if m := (lo + hi) / 2; g.zipf[m] < x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return g.words[lo]
}

func (g *gen) sentence(w io.Writer, n int) {
	for i := range n {
		s := g.word()
		switch {
		case i == 0:
			s = strings.ToUpper(s[:1]) + s[1:]
		case g.rng.IntN(9) == 0:
			s = ", " + s
		default:
			s = " " + s
		}
		io.WriteString(w, s)
	}
}

func (g *gen) at(i int64) string {
	d := time.Duration(i)*7*time.Second + time.Duration(g.rng.Int64N(int64(time.Minute)))
	return g.start.Add(d).Format("2006-01-02 15:04:05.000000+00")
}

// writeMessages makes letters in which, as in most correspondence, whole
// sentences come again: salutations, templates, signatures.
func writeMessages(g *gen, w *counter, size int64) {
	var stock []string
	for range 600 {
		var b strings.Builder
		g.sentence(&b, 6+g.rng.IntN(14))
		stock = append(stock, b.String())
	}
	for id := int64(1); w.n < size; id++ {
		fmt.Fprintf(w, "%d\t%d\t%s\t", id, 1+g.rng.IntN(20_000), g.at(id))
		g.sentence(w, 3+g.rng.IntN(6))
		io.WriteString(w, "\t")
		for range 2 + g.rng.IntN(12) {
			if g.rng.IntN(2) == 0 {
				io.WriteString(w, stock[g.rng.IntN(len(stock))])
			} else {
				g.sentence(w, 6+g.rng.IntN(14))
			}
			io.WriteString(w, ". ")
		}
		io.WriteString(w, "\n")
	}
}

// writeEvents makes documents whose users and goods are the same ones again
// and again, with all that is told of them.
func writeEvents(g *gen, w *counter, size int64) {
	kinds := strings.Fields("order.created order.paid order.shipped cart.changed user.login user.logout page.viewed search.run")
	var users, goods, agents []string
	for i := range 5000 {
		users = append(users, fmt.Sprintf(`{"id": %d, "name": "%s %s", "mail": "%s%d@mail.example"}`, i+1, g.word(), g.word(), g.word(), i))
	}
	for range 800 {
		goods = append(goods, fmt.Sprintf(`"sku": "%s-%04d", "title": "%s %s %s", "price": %d.%02d`,
			g.word(), g.rng.IntN(3000), g.word(), g.word(), g.word(), g.rng.IntN(200), g.rng.IntN(100)))
	}
	for range 60 {
		agents = append(agents, fmt.Sprintf("Browser/%d.%d (X11; %s %d_%d) Engine/%d.36", g.rng.IntN(140), g.rng.IntN(9), g.word(), g.rng.IntN(15), g.rng.IntN(9), 500+g.rng.IntN(40)))
	}
	for id := int64(1); w.n < size; id++ {
		fmt.Fprintf(w, "%d\t%s\t", id, g.at(id))
		fmt.Fprintf(w, `{"kind": "%s", "session": "%016x", "user": %s, "agent": "%s", "seconds": %.3f, "items": [`,
			kinds[g.rng.IntN(len(kinds))], g.rng.Uint64(), users[g.rng.IntN(len(users))], agents[g.rng.IntN(len(agents))], math.Abs(g.rng.NormFloat64())*3)
		for i := range 1 + g.rng.IntN(5) {
			if i > 0 {
				io.WriteString(w, ", ")
			}
			fmt.Fprintf(w, `{%s, "qty": %d}`, goods[g.rng.IntN(len(goods))], 1+g.rng.IntN(4))
		}
		fmt.Fprintf(w, `], "tags": ["%s", "%s"], "note": "`, g.word(), g.word())
		g.sentence(w, 2+g.rng.IntN(8))
		io.WriteString(w, "\"}\n")
	}
}

// writeFiles makes two files of seven of bytes that do not compress (pictures),
// the others of text (exports), 4 to 124 KiB each.
func writeFiles(g *gen, w *counter, size int64) {
	var b strings.Builder
	for id := int64(1); w.n < size; id++ {
		n, kind := 4096+g.rng.IntN(120<<10), "csv"
		b.Reset()
		if id%7 < 2 {
			kind = "jpeg"
			for b.Len() < n {
				x := g.rng.Uint64()
				b.Write([]byte{byte(x), byte(x >> 8), byte(x >> 16), byte(x >> 24), byte(x >> 32), byte(x >> 40), byte(x >> 48), byte(x >> 56)})
			}
		}
		for b.Len() < n {
			fmt.Fprintf(&b, "%d;%s;%s;%d.%02d\r\n", g.rng.IntN(1_000_000), g.word(), g.word(), g.rng.IntN(10_000), g.rng.IntN(100))
		}
		fmt.Fprintf(w, "%d\t%s-%d.%s\t%s\t\\\\x", id, g.word(), id, kind, kind)
		io.WriteString(hex.NewEncoder(w), b.String())
		io.WriteString(w, "\n")
	}
}

// counter counts what passes, so that a table stops near its size.
type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) WriteString(s string) (int, error) {
	n, err := c.w.WriteString(s)
	c.n += int64(n)
	return n, err
}
