// Package archive is the format of an archive: how its parts are named,
// sealed, signed and read. docs/FORMAT.md specifies the same in prose; a
// stranger could write a reader from it.
//
// # Promises
//
// Nothing is written to a place unencrypted. A part becomes visible only
// when it is whole. An archive exists if and only if its manifest does, and
// the manifest is the last object written. A manifest counts only with the
// signature of a trusted key; the manifest names every part by size and
// SHA-256, and the contents part names the dump's table of contents and
// every table's rows by SHA-256, so that nothing unsigned is ever believed.
//
// age, zstd and SSH signatures are used nowhere else. This package knows
// nothing of servers: what a server's catalog said travels as raw JSON.
package archive
