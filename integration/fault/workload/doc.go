// SPDX-License-Identifier: Apache-2.0

// Package workload puts load on a cluster under test and records what came of
// it, so that package check can judge.
//
// A workload is a small world of keys (nodes, counters, groups of hostnames)
// that many clients work on at the same time through all members. Keys are
// left for fresh ones before they have more operations, more open questions or
// more age than the checkers can bear.
//
// Promise: every operation that can have an effect is recorded, setting up
// included; most requests are sent once, over a plain connection, so that
// outcomes stay unknown where they are; a share carries a request id, and a
// share of these is sent again to another member, or through the SDK, which
// has to end in one effect; the same seed makes the same choices.
//
// Non-goals: it hurts nobody and starts nothing, and it does not judge.
package workload
