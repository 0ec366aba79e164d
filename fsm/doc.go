// SPDX-License-Identifier: Apache-2.0

// Package fsm is the deterministic core of the registry: the replicated
// state, every decision about it, its snapshot and its digest.
//
// Promise: the state after an entry is a function of the state before it, the
// entry's index and its bytes, on every member and with every build that knows
// the state's feature level. Nothing here reads a clock, draws a random
// number, opens a file or a socket, starts a goroutine, writes a log line, or
// lets the order of a Go map reach state or reply; a test of this package
// reads its source and says so.
//
// How it is built:
//
//   - [Machine] is the writer. One goroutine calls Apply, Configuration,
//     Snapshot and Restore. It works on copy-on-write tables and publishes an
//     immutable [Root] after every entry.
//   - [Root] is what everybody else reads, without a lock and for as long as
//     they like: reads, dry runs, snapshots and sweeps take it in O(1).
//   - A command is a row of protocol.Commands bound to a handler. A write
//     handler decides first, only reading, and returns the effect as a
//     closure. A dry run stops after deciding, so a dry run and Apply cannot
//     disagree about the rules.
//   - A table put or delete changes the state and its digest in one place.
//   - A record in a table is never modified: copy it, change the copy, put it.
//
// Non-goals: it verifies no signature and sees no credential (that happens
// once, at the front door), replicates nothing, and decides nothing about the
// cluster's raft configuration.
package fsm
