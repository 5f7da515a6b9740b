// Package foreign tells what a dump is that pgvault did not make: its kind,
// what it is wrapped in, when it was made, and what is in it, without a
// server and without running anything of it. Everything it reads is taken
// for hostile: sizes are bounded, and a text is never trusted to be what its
// first lines say.
package foreign
