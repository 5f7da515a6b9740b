// Package tell carries what is the matter with a vault to where somebody
// notices it: messages to mail, Slack, Telegram, ntfy and webhooks, a ping to
// a watchdog such as healthchecks, and a text file for Prometheus.
//
// # Sinks
//
// A sink is an address as shoutrrr writes them: smtp://, slack://,
// telegram://, ntfy://, generic://, and https:// for a webhook that takes
// {"title": …, "message": …} as JSON. Without TLS only this very machine is
// spoken to, except for mail without a password. An address holds secrets:
// nothing of this package repeats more of it than its scheme and host, see
// [Show], and what a server answers is scrubbed of every part of it.
//
// # When
//
// [Decide] is pure: from what is the matter now, what was told before and the
// time it says what is to be told. A change of state is told once, what stays
// the matter is repeated once a day, and what was told and is over is told as
// over.
package tell
