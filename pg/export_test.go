package pg

// WithStdbuf names another stdbuf until the function it returns is called.
func WithStdbuf(path string) (restore func()) {
	old := stdbuf
	stdbuf = path
	return func() { stdbuf = old }
}
