// SPDX-License-Identifier: Apache-2.0

// Package soak runs a cluster under load and under faults for a while, and
// judges it: workloads through relays, a seeded plan of faults, final reads,
// both checkers, and the checks that need neither.
//
// Promise: a run that finds nothing has done a minimum of work, or it fails:
// enough operations before every fault, and in long runs every kind of fault.
// What it found is kept, with plan, histories, logs and data directories, so
// that it can be looked at and played again.
//
// Non-goals: it repeats faults, not interleavings. It runs on one machine, so
// what a disk's own cache reorders and what real distances do are not in it.
package soak
