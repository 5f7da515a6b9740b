package tui

import (
	"os"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
)

// drawn is longer than some frames take, also on a busy machine: what Update
// changed has been written to the terminal by then.
const drawn = 4*time.Second/framesPerSecond + 100*time.Millisecond

// idleMsg is the time to tell that the screen is idle, if nothing has come
// since change n.
type idleMsg struct{ n int }

// idleSignal writes one byte to the descriptor that PGVAULT_TEST_IDLE_FD
// names whenever the screen has become idle: every question is answered and
// the frame is drawn. It is for tests, which then need no sleeps. nil where
// the variable is not set.
func idleSignal() func() {
	fd, err := strconv.Atoi(os.Getenv("PGVAULT_TEST_IDLE_FD"))
	if err != nil || fd < 3 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "idle")
	return func() { _, _ = f.Write([]byte{'.'}) } // a test that stopped reading misses nothing
}

// stir notes that something has changed that a test may wait for.
func (m *model) stir() { m.changes++ }

// settle gives the Cmd that tells the end of the newest change, nil while
// questions are open or where there is nothing to tell.
func (m *model) settle() tea.Cmd {
	if m.o.idle == nil || m.g.pending > 0 || m.changes == m.settled {
		return nil
	}
	m.settled = m.changes
	n := m.changes
	return tea.Tick(drawn, func(time.Time) tea.Msg { return idleMsg{n} })
}

// gotIdle tells it, unless something newer is under way.
func (m *model) gotIdle(msg idleMsg) {
	if msg.n == m.changes && m.g.pending == 0 {
		m.o.idle()
	}
}
