package tell

import (
	"context"
	"errors"
	"fmt"
	"html"
	"mime"
	"strings"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"pgvault/safetext"
)

// limit is how long one sink may take.
const limit = 10 * time.Second

// maxAnswer bounds what is read of a server's answer, in bytes.
const maxAnswer = 64 << 10

// The sizes of a message, in bytes: Telegram and ntfy take 4096.
const (
	shortMessage = 3500
	longMessage  = 64 << 10
)

// Result is what came of one sink.
type Result struct {
	Sink string // as Names gives it
	Err  error  // nil: it took the message; else scrubbed and on one line
}

// Sender sends messages. Its zero value is ready; its methods may be called
// from several goroutines.
type Sender struct {
	mu      sync.Mutex
	hanging map[string]bool // sinks whose last message has neither arrived nor failed
	limit   time.Duration   // 0: limit
}

// Send gives a message to every sink at once and returns when each has taken
// it or failed, after ten seconds at most. Results are in the order of the
// addresses.
func (s *Sender) Send(ctx context.Context, addresses []string, m Message) []Result {
	out, names := make([]Result, len(addresses)), Names(addresses)
	var wg sync.WaitGroup
	for i, a := range addresses {
		wg.Go(func() { out[i] = Result{names[i], s.one(ctx, a, m)} })
	}
	wg.Wait()
	return out
}

// one sends to one sink. A service cannot be stopped, so one that hangs is
// left behind, and gets nothing more until it has ended.
func (s *Sender) one(ctx context.Context, address string, m Message) error {
	t, err := parse(address)
	if err != nil {
		return err
	}
	if !s.begin(address) {
		return errors.New("the message before has neither arrived nor failed yet")
	}
	ctx, cancel := context.WithTimeout(ctx, s.limited())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer s.end(address)
		done <- t.deliver(m)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s", s.limited())
		}
	}
	if err != nil {
		return errors.New(t.scrub.line(err.Error()))
	}
	return nil
}

func (s *Sender) limited() time.Duration {
	if s.limit > 0 {
		return s.limit
	}
	return limit
}

func (s *Sender) begin(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hanging[address] {
		return false
	}
	if s.hanging == nil {
		s.hanging = map[string]bool{}
	}
	s.hanging[address] = true
	return true
}

func (s *Sender) end(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hanging, address)
}

// deliver sends the message in the form that suits the sink. A service that
// panics must not take a backup with it.
func (t *target) deliver(m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the client failed: %v", p)
		}
	}()
	title, size := safetext.Line(m.Title), shortMessage
	switch t.scheme {
	case "smtp":
		title, size = mime.QEncoding.Encode("utf-8", title), longMessage
	case "ntfy":
		title = mime.QEncoding.Encode("utf-8", title)
	case "generic", "generic+https", "generic+http", "https", "http":
		size = longMessage
	}
	text := m.Text(size)
	if t.scheme == "slack" { // https://docs.slack.dev/messaging/formatting-message-text: a name must not call everybody
		title, text = escape.Replace(title), escape.Replace(text)
	}
	p := types.Params{}
	p.SetTitle(title)
	return t.Send(text, &p)
}

var escape = strings.NewReplacer("&", html.EscapeString("&"), "<", html.EscapeString("<"), ">", html.EscapeString(">"))
