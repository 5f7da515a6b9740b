// Package dumpfile reads the custom format that pg_dump writes, as it passes:
// the header and table of contents (TOC) first, then the data blocks, each
// with its rows, bytes and SHA-256 the moment it ends. Memory stays bounded
// whatever the dump says of itself.
//
// # Archive versions
//
// Versions 1.12 (PostgreSQL 9.0) to 1.16 (17 and 18) are read; another one is
// a [FormatError]. Only uncompressed dumps can be scanned. The layout is that
// of PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc,
// ReadInt, ReadStr, ReadOffset) and pg_backup_custom.c:
//
//	int      sign byte (0, or 1 for negative), then IntSize bytes of
//	         magnitude, least significant first
//	string   int length, then the bytes; length -1 is NULL
//	offset   flag byte (1 not set, 2 set, 3 no data), then OffSize bytes
//
//	header   "PGDMP", major, minor, revision, IntSize, OffSize, format 1;
//	         compression: int level before 1.15, from 1.15 one byte
//	         (0 none, 1 gzip, 2 lz4, 3 zstd);
//	         ints sec min hour mday mon year-1900 isdst (local time);
//	         strings database, server version, pg_dump version
//	TOC      int count, then entries
//	entry    int id, int hadDumper, strings tableoid oid tag desc, int
//	         section, strings defn dropStmt copyStmt namespace tablespace,
//	         string table access method (from 1.14), int relkind (from
//	         1.16), strings owner and "true"/"false" (WITH OIDS), dependency
//	         ids as strings ended by NULL, offset
//	block    byte kind, int id, then for kind 1 (Data) chunks; for kind 3
//	         (LargeObjects) an int OID and chunks for each large object,
//	         ended by OID 0. Chunks: int length and bytes, ended by length 0
//
// pg_dump gives every entry that has data the flag "not set" and writes one
// block for each, in the order of the TOC; into a file it comes back and sets
// the offsets, into a pipe it cannot. Flag 3 is on all entries without a
// block. Nothing follows the last block. All table data is Data; an entry is
// of kind LargeObjects exactly if its Desc is "BLOBS". Until PostgreSQL 16
// there is one such entry for all large objects; from 17 there is one for each
// group of up to 1000 large objects with the same owner and rights.
//
// # What the digests are taken over
//
// Data: the COPY text rows, that is the chunks' bytes joined, without
// pg_dump's end marker `\.` + "\n\n\n" where that stands last and at the start
// of a line. This is what COPY ... TO STDOUT sends for the same columns. A
// newline within a value is escaped as `\n` in that text, so Rows is the
// number of newline bytes. Bytes is the length of the rows, newlines included.
// A dump made with --inserts holds SQL statements instead; Rows then counts
// lines.
//
// LargeObjects: for every large object in its order in the block, 8 bytes OID
// (big-endian), the 32 bytes of the SHA-256 of its data, 8 bytes length
// (big-endian). Rows is the number of large objects, Bytes the sum of their
// lengths.
package dumpfile
