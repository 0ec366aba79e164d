// SPDX-License-Identifier: Apache-2.0

// Package delivery is the leader's work for the sinks of the event log: it
// reads the events after a sink's cursor, has it delivered, and proposes the new
// cursor.
//
// Promise: every event reaches every sink that wants it at least once and,
// the first time, in order, through any change of leader, until retention
// overtakes it, which is counted and told; a slow sink delays nobody else; a
// webhook event that cannot be delivered becomes a dead letter.
//
// Non-goals: it renders nothing and speaks to no receiver (package audit
// does), and it keeps nothing: what is done is in the replicated state.
package delivery
