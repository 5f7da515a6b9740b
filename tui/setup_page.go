package tui

// setup is place 4: how the vault is set up.
type setup struct{ base }

func newSetupPage() screen { return &setup{} }

func (s *setup) keys(env) keymap          { return nil }
func (s *setup) do(env, command) []action { return nil }
func (s *setup) view(e env) block {
	return block{lines: []string{"", " The configuration file says all of it: pgvault config show"}}
}
