// Package tui is the screen of pgvault: one tea.Model (model) whose pages and
// dialogs are plain structs, and the only importer of Bubble Tea.
//
// # How it is built
//
// The model owns everything. A page (the archives, one archive, a run, a
// restore plan) and a dialog (choose, confirm, forms, help) have a keymap, a
// do method that answers a command with actions, and a view that gives lines.
// Pages and dialogs never perform an action: the model does, in perform, and
// all input and output happens in a tea.Cmd, never in Update.
//
// # Keys
//
// A key exists only as a binding in a keymap. The key line, the help page,
// the mouse on the key line and the dispatcher all read that same keymap, so
// a key that is shown works and a key that works is shown. A binding that
// cannot act now carries the reason, which is shown instead.
//
// # Runs
//
// A run's events come through a pump, which never blocks the engine: of
// Progress the newest wins and at most four (SlowLine: two) batches a second
// reach the screen, every other event arrives. A run belongs to this process:
// leaving cancels it, after a question, and Run returns only when the engine
// has ended.
//
// # Terminal
//
// Sixteen ANSI colours at most, none with NoColor; a state is always a word
// too. With ASCII only bytes below 127 are written. Every text from outside
// passes through safetext. Nothing is too small: columns drop in a fixed
// order, panes become pages, and in the end a plain list remains.
package tui
