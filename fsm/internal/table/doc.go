// SPDX-License-Identifier: Apache-2.0

// Package table is the machinery that the replicated state is made of: tables
// of records, indexes, their canonical encoding, the digest over all records
// and the stream in which a snapshot holds them.
//
// Promise: a table that has been published never changes, whatever the writer
// does afterwards. Publishing costs the same whatever the size of the table.
// [Table.Put] and [Table.Drop] keep the digest, so that it always equals the
// sum over the records that the tables hold. An encoding is canonical: equal
// records have equal bytes, and a [Decoder] never reads beyond its input or
// allocates more than the input can hold.
//
// Non-goals: what the records mean, which indexes follow from them and who may
// change them is for package fsm to say. There is no locking: one goroutine
// writes, and the readers have published tables.
package table
