package guide

import (
	"bytes"
	"sync"

	"golang.org/x/sys/unix"
)

// maxSecret is how long a secret may be, in bytes: the longest kind is an
// RSA private key in an SSH file.
const maxSecret = 16 << 10

// SecretValue is bytes that a person typed or pasted and that must not be
// found afterwards. They lie outside the Go heap, locked in memory and left
// out of core files where the system allows, and are overwritten by Wipe. It
// may be used from several goroutines at once. Its zero value is empty.
type SecretValue struct {
	mu   sync.Mutex
	page []byte // mapped, or from the heap where mapping is refused
	own  bool   // page is mapped
	n    int
}

// Len is its length in bytes.
func (s *SecretValue) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Insert puts b at byte at and tells whether it fitted. Carriage returns
// become line ends.
func (s *SecretValue) Insert(at int, b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at < 0 || at > s.n || s.n+len(b) > maxSecret {
		return false
	}
	s.alloc()
	copy(s.page[at+len(b):s.n+len(b)], s.page[at:s.n])
	copy(s.page[at:], b)
	s.n += len(b)
	in := s.page[at : at+len(b)]
	for i, c := range in {
		if c == '\r' {
			in[i] = '\n'
		}
	}
	return true
}

// Cut removes the bytes from from up to to.
func (s *SecretValue) Cut(from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from < 0 || to > s.n || from >= to {
		return
	}
	copy(s.page[from:], s.page[to:s.n])
	left := s.n - (to - from)
	clear(s.page[left:s.n])
	s.n = left
}

// Use gives f the bytes. f must neither keep nor change them.
func (s *SecretValue) Use(f func(b []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.page[:s.n:s.n])
}

// Text gives the secret as a string, without space around it: for those who
// cannot do with less. A string cannot be wiped, so it should live shortly.
func (s *SecretValue) Text() string {
	var out string
	s.Use(func(b []byte) { out = string(bytes.TrimSpace(b)) })
	return out
}

// Wipe overwrites and forgets the secret.
func (s *SecretValue) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.page)
	if s.own {
		_ = unix.Munmap(s.page) // it has been overwritten: a failure leaves nothing to find
	}
	s.page, s.own, s.n = nil, false, 0
}

// String hides the secret from every kind of printing.
func (s *SecretValue) String() string { return "(hidden)" }

// GoString hides the secret from %#v.
func (s *SecretValue) GoString() string { return "(hidden)" }

// alloc makes room, once. Locking is refused where the limit is low: that
// leaves a page which might be swapped out, and is no reason to stop.
func (s *SecretValue) alloc() {
	if s.page != nil {
		return
	}
	page, err := unix.Mmap(-1, 0, maxSecret, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		s.page = make([]byte, maxSecret)
		return
	}
	_ = unix.Mlock(page)
	_ = unix.Madvise(page, unix.MADV_DONTDUMP)
	s.page, s.own = page, true
}
