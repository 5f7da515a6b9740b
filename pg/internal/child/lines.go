package child

import (
	"bufio"
	"io"
	"sync"

	"pgvault/safetext"
)

// maxLine bounds one line of a child's messages: a server may quote a whole
// statement in one.
const maxLine = 8 << 10

// Lines reads the messages of a child to their end, line by line, each made
// safe for a terminal and cut at 8 KiB.
type Lines struct {
	mu   sync.Mutex
	all  []string
	keep int
	done chan struct{}
}

// ReadLines starts reading r in a goroutine and keeps the last keep lines;
// each also goes to f, which may be nil, from that goroutine.
func ReadLines(r io.ReadCloser, keep int, f func(string)) *Lines {
	l := &Lines{keep: keep, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer r.Close()
		br := bufio.NewReaderSize(r, maxLine)
		for {
			raw, more, err := br.ReadLine()
			if err != nil {
				return
			}
			line := safetext.Line(string(raw))
			for more && err == nil {
				_, more, err = br.ReadLine()
			}
			l.add(line)
			if f != nil {
				f(line)
			}
		}
	}()
	return l
}

func (l *Lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	if len(l.all) > 2*l.keep {
		l.all = append([]string(nil), l.all[len(l.all)-l.keep:]...)
	}
}

// Wait returns when the child has closed its end.
func (l *Lines) Wait() { <-l.done }

// Last gives the last lines, n at most, oldest first.
func (l *Lines) Last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := max(0, len(l.all)-min(n, l.keep))
	return append([]string(nil), l.all[from:]...)
}
