// SPDX-License-Identifier: Apache-2.0

// Package termguard stands between raft and its log, its votes and its
// transport, and keeps raft out of terms that belong to other members.
//
// Raft reads its term more than once while it handles one thing, and a
// heartbeat changes the term from another goroutine. A leader that has just
// been deposed can therefore store a client's command, and start to replicate,
// in the term of its successor. Log matching compares index and term only, so
// two different entries at one place would never be noticed. DESIGN.md of
// package cluster lists every such place.
//
// Promise:
//   - An entry of this member's own making is stored only while raft leads, in
//     a term in which this member asked for votes and won ([ErrNotElected]).
//   - Only raft's main loop enters a term, and it never goes back: a member that has voted
//     in a term acknowledges nothing of an older one.
//   - A crash leaves nobody with a vote that was not given to him.
//   - Nothing is replicated in another term, and no follower is told to commit
//     beyond the entries it was shown.
//   - A follower that sees two leaders in one term, or an entry that differs
//     from its own with the same index and term, stops before it applies it.
//
// Non-goals: it does not decide elections, and it repairs nothing.
package termguard
