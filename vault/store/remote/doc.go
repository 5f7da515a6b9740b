// Package remote is what places over a network have in common: trying again,
// reading on after a broken connection, pieces of an upload, and errors that
// say what a person can do.
package remote
