// SPDX-License-Identifier: Apache-2.0

// Package store keeps a member's Raft log and its term and vote on disk.
//
// Promise: what it returns is what was stored. Every log entry carries the id
// of the member that made it and a checksum over index, term, type, data and
// maker, set when the leader first stores it, verified when a follower receives
// it, whenever it is read, and for the whole log when the store is opened. Term
// and vote carry one too. A record
// beside the database says how far the log reached and which term was current,
// so that a log that lost its end, or a database that was swapped for an older
// copy, is noticed. Damage is reported as [DamageError] and never repaired: a
// member whose data is damaged counts as lost.
//
// Non-goals: it does not decide what happens to the member, and it does not
// hold snapshots.
package store
