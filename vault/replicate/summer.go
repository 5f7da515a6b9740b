package replicate

import "hash"

// summer computes the sum of a reading beside it.
type summer struct {
	items chan sumItem
	sum   hash.Hash
	done  chan struct{}
}

// sumItem is a piece, or a question for the sum of all before it.
type sumItem struct {
	p     *piece
	state chan<- hash.Hash
}

func newSummer(sum hash.Hash) *summer {
	m := &summer{items: make(chan sumItem, queueLength), sum: sum, done: make(chan struct{})}
	go m.run()
	return m
}

func (m *summer) run() {
	defer close(m.done)
	for i := range m.items {
		if i.p == nil {
			i.state <- clone(m.sum)
			continue
		}
		m.sum.Write(i.p.buf[:i.p.n])
		i.p.release()
	}
}

func (m *summer) add(p *piece) { m.items <- sumItem{p: p} }

// state gives the sum of all pieces so far, to go on with elsewhere.
func (m *summer) state() hash.Hash {
	answer := make(chan hash.Hash)
	m.items <- sumItem{state: answer}
	return <-answer
}

// end gives the sum of all pieces.
func (m *summer) end() []byte {
	close(m.items)
	<-m.done
	return m.sum.Sum(nil)
}

// clone copies the state of a SHA-256, which the standard library can.
func clone(h hash.Hash) hash.Hash {
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic("the state of a SHA-256 cannot be copied: " + err.Error())
	}
	return c
}
