// Package zstdfast writes zstd frames (RFC 8878) that any decoder reads. It
// is made for the text that pg_dump writes, where the same words, keys and
// rows come again, on hosts whose processors are shared with the database
// server: a match must be of some length, so that there are few sequences to
// write, and what did not match costs little more than its Huffman code,
// which is the library's.
//
// Numbers in brackets are sections of the RFC.
package zstdfast
