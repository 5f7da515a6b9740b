// Package pg is everything that talks to PostgreSQL: how the server is
// reached, which client programs fit it, what a database holds, and dump and
// restore by pg_dump and pg_restore. It knows nothing of vaults.
//
// # Names
//
// The name of a database is never taken for a connection string, although
// libpq would: a database may be named "host=evil". Neither a password nor a
// connection string ever is an argument of a program, where every user of the
// machine could read it.
//
// # Digests
//
// Equal rows must give equal bytes, whatever the role, the database, the
// server or the caller's environment have set. Every session therefore runs
// with the settings of Settings.Env and with the encoding of the database.
//
// # Children
//
// A program that was started ends with its context, and with this process
// even if that is killed. It is always reaped. Its messages are cleaned by
// safetext before anybody sees them.
package pg
