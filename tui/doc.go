// Package tui is the screen of pgvault: one tea.Model (model) whose pages and
// dialogs are plain structs, and the only importer of Bubble Tea.
//
// # How it is built
//
// The model owns everything. There are four places (Health, Backups,
// Activity, Setup), pages over them (one archive, one job, its tables, a
// guide as package guide describes it) and dialogs over those (choose, confirm, forms, help). Each
// has a keymap, a do method that answers a command with actions, and a view
// that gives lines. They never perform an action: the model does, in perform,
// and all input and output happens in a tea.Cmd, never in Update.
//
// # Keys
//
// A key exists only as a binding in a keymap. The key line, the help page,
// the mouse on the key line and the dispatcher all read that same keymap, so
// a key that is shown works and a key that works is shown. A binding that
// cannot act now carries the reason, which is shown instead.
//
// # Jobs
//
// The screen runs nothing itself: it launches jobs, which are processes of
// their own, and reads what they write down, whoever started them. The list
// of jobs is looked at every second (SlowLine: two); health, listing and
// activity when a job has begun or ended, each minute, and at R. The job that
// is shown is followed through a pump: of Progress the newest wins and at most
// four (SlowLine: two) batches a second reach the screen, every other event
// arrives. Leaving asks nothing and ends nothing.
//
// Nothing is written to the terminal when nothing changes: counters that run
// stand only on the view of a job, ages change once a minute.
//
// # Terminal
//
// Sixteen ANSI colours at most, none with the theme none; a state is always a
// word too. With the theme auto the terminal is asked for its background once. With ASCII only bytes below 127 are written. Every text from outside
// passes through safetext. Nothing is too small: columns drop in a fixed
// order, panes become pages, and in the end a plain list remains.
//
// # For tests
//
// PGVAULT_TEST_IDLE_FD names a descriptor (3 or higher) that takes a byte
// whenever the screen has become idle: no question is open and the frame is
// drawn. PGVAULT_TEST_PANIC names a key that breaks the screen.
package tui
